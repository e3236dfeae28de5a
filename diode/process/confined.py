"""Binds a child process that parses strangers' files: memory, time, no files of its own, no other processes.

Both sides use it. Such a child lives for one item or bundle and holds no key. If a stranger's file takes it over, it
can lie about that item, and about nothing else.
"""

import resource
from collections.abc import Iterable, Sequence
from typing import Final

from diode.content.allowance import Allowance
from diode.process.sandbox import Path, confine

MEMORY_BYTES: Final = 2 << 30  # of address space; what is read of one file is bounded at an eighth of it
LEAST_S, PER_FILE_S, PER_BYTE_S, MOST_S = 120.0, 0.02, 1 / 5e6, 21_600.0
UNPACKED_BYTES_PER_S: Final = 50e6  # slower than decompressors are


def limit_s(files: int, size_bytes: int) -> float:
    """How many seconds examining so many files may take, including what may be unpacked from archives among them."""
    unpacked = Allowance.for_item(size_bytes).bytes / UNPACKED_BYTES_PER_S
    return min(MOST_S, LEAST_S + files * PER_FILE_S + size_bytes * PER_BYTE_S + unpacked)


def bind(
    limit_s: float,
    calls: Iterable[str],
    *,
    writes: Iterable[int],
    reads: Sequence[Path | int],
    changes: Sequence[Path] = (),
    file_bytes: int = 0,
) -> list[str]:
    """Bind this process for good: limit memory and time, and call :func:`diode.process.sandbox.confine`.

    It may write files below the folders ``changes`` alone, of at most ``file_bytes`` each. Returns what could not be
    enforced. Import everything that is needed before this call.
    """
    seconds = int(limit_s) + 1
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(what, (most, most))
    return confine(calls, writes=writes, reads=reads, changes=changes)
