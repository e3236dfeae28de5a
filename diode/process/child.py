"""Runs a piece of work in a forked child that is confined further than its parent, and hears what it says.

Workers of one thread use it, which look into strangers' files: each child sees one bundle, and ends with it.
"""

import ctypes
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diode.process import confined
from diode.process.programs import readable_folders
from diode.process.waiting import ready

_PR_SET_PDEATHSIG: Final = 1

Work = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a child may use: seconds, system calls, places to read (paths, or descriptors that it keeps).

    It may write files below the folders ``changes`` alone, of at most ``file_bytes`` each.
    """

    limit_s: float
    calls: Sequence[str]
    reads: tuple[int | str, ...]
    changes: tuple[Path, ...] = ()
    file_bytes: int = 0


class Child:
    """A child that does ``work`` once. It says what ``work`` returns, and is over when :meth:`hear` returns."""

    def __init__(self, seen: Seen, work: Work) -> None:
        self._deadline = time.monotonic() + seen.limit_s
        self._read, write = os.pipe2(os.O_CLOEXEC)
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _run(seen, work, write, parent)
        os.close(write)

    def hear(self, most: int) -> bytes:
        """All that it said until it ended. Nothing when it was too slow, or said more than ``most`` bytes."""
        try:
            return _hear(self._read, most, self._deadline)
        finally:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            os.close(self._read)


def _run(seen: Seen, work: Work, write: int, parent: int) -> None:
    """The child: bound itself, work, say, and end. It never returns."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            kept = [place for place in seen.reads if isinstance(place, int)]
            os.close(0)
            if kept:
                os.dup(kept[0])  # as 0, since SQLite opens no file under that number
            close_all_but(write, *kept)
            given = [os.dup(place) if isinstance(place, int) else place for place in seen.reads]  # and closed there
            confined.bind(
                seen.limit_s,
                seen.calls,
                writes=(write,),
                reads=[*given, *readable_folders()],
                changes=seen.changes,
                file_bytes=seen.file_bytes,
            )
            said = memoryview(work())
            while said:
                said = said[os.write(write, said) :]
    finally:
        os._exit(0)


def close_all_but(*kept: int) -> None:
    """Close every descriptor but standard output, standard error, and ``kept``."""
    first = 3
    for fd in sorted(kept):
        os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def _hear(read: int, most: int, deadline: float) -> bytes:
    heard = bytearray()
    while len(heard) <= most and (left := deadline - time.monotonic()) > 0:
        if ready((read,), left):
            piece = os.read(read, 1 << 16)
            if not piece:
                return bytes(heard)
            heard += piece
    return b""
