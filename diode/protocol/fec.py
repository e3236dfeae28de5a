"""Reed-Solomon codes over GF(2^8): zfec's code, computed by the fastest engine of this machine.

There are three: the compiled core computes repair by syndromes, ISA-L multiplies by zfec's matrix with the CPU's
shuffles or its GFNI, and zfec is the reference. With AVX2 and without GFNI the core is faster; on other CPUs
:func:`choose_engine` times the first two at start-up. It uses an engine only if it gives the bytes that zfec gives.

A slab is coded as a whole: rows are the codeword positions, so one call covers all its blocks (columns).
"""

import ctypes
import time
from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np

from diode.core.coding import Core, outruns_isal
from diode.protocol.isal import IsaL, find_isal
from diode.protocol.zfec_code import Bytes2D, Bytes3D, Mask2D, Zfec

STANDARD: Final = (200, 20)
CLEARLY_FASTER: Final = 0.8  # of the other's time; between that and 1, two runs might choose differently
_TIMED_BYTES: Final = 2048  # of each row: what the caches hold
_ROUNDS: Final = 3

# What is compared with zfec: (k, repair rows, the first of them, source rows lost). The profiles, what later passes and
# the rows of small slabs ask for, and what is smallest. Without losses to restore: the rows are not from the first on.
PROVEN: Final = (
    (200, 10, 0, 10), (200, 20, 0, 20), (192, 64, 0, 64), (128, 128, 0, 128),
    (200, 20, 20, 0), (200, 20, 36, 0), (192, 20, 44, 0), (128, 20, 108, 0),
    (200, 1, 55, 0), (60, 1, 3, 0), (7, 3, 0, 2), (1, 2, 0, 1),
)  # fmt: skip


class Engine(Protocol):
    """What encoder and assembler need of a Reed-Solomon implementation."""

    name: str

    def encode(self, source: Bytes2D, repair: Bytes2D, first: int = 0) -> None:
        """Fill ``repair`` (r rows) with repair rows ``first``.. of ``source`` (k rows); rows are contiguous bytes."""
        ...

    def restore(self, symbols: Bytes3D, have: Mask2D, k: int) -> int:
        """Fill the missing source symbols of a slab in place.

        ``symbols`` is (rows, D, S), repair row j at index k + j; ``have`` (rows, D) says which symbols are there, at
        least k in every column. Returns the number of columns that needed repair.
        """
        ...


def choose_engine(name: str = "auto", library: ctypes.CDLL | None = None, code: tuple[int, int] = STANDARD) -> Engine:
    """The fastest engine that produces the same bytes as zfec here, for ``code`` (source and repair rows).

    ``library`` is the compiled core; without it there is no engine ``core``. ``name`` may force ``core``, ``isal`` or
    ``zfec``. Raises OSError when an engine that is forced is missing or produces other bytes.
    """
    if name in {"core", "isal"}:
        forced: Engine = _core(library) if name == "core" else IsaL(find_isal())
        prove_identical(forced)
        return forced
    if name == "auto":
        engines = list(_fast_engines(library))
        for engine in engines if library is not None and outruns_isal(library) else _by_speed(engines, code):
            try:
                prove_identical(engine)
            except OSError:
                continue
            return engine
    return Zfec()


def prove_identical(engine: Engine) -> None:
    """Compare ``engine`` with zfec over the codes in use and worst-case erasures. Raises OSError on a difference."""
    rng = np.random.default_rng(0xD10DE)
    reference = Zfec()
    for k, r, first, lost in PROVEN:
        slab = rng.integers(0, 256, (k + r, 2, 80), dtype=np.uint8)  # a whole step of every kernel, and a part of one
        theirs = slab.copy()
        for one, into in ((engine, slab), (reference, theirs)):
            flat = into.reshape(k + r, -1)
            one.encode(flat[:k], flat[k:], first)
        if not np.array_equal(slab, theirs):
            raise OSError(f"{engine.name} does not encode as zfec does: it will not be used")
        have = np.ones((k + r, 2), dtype=np.bool_)
        have[rng.permutation(k)[:lost], 0] = False
        damaged = np.where(have[:, :, None], slab, np.uint8(0))
        engine.restore(damaged, have, k)
        if not np.array_equal(damaged[:k], slab[:k]):
            raise OSError(f"{engine.name} does not restore what zfec encoded: it will not be used")


def _core(library: ctypes.CDLL | None) -> Core:
    if library is None:
        raise OSError("the compiled core is not installed, or switched off")
    return Core(library)


def _fast_engines(library: ctypes.CDLL | None) -> Iterator[Engine]:
    if library is not None:
        yield Core(library)
    try:
        yield IsaL(find_isal())
    except OSError:
        return


def _by_speed(engines: list[Engine], code: tuple[int, int]) -> list[Engine]:
    """The same engines, the best first: the earlier ones, unless a later one is clearly faster at ``code``."""
    if len(engines) < 2:
        return engines
    rows = np.zeros((sum(code), _TIMED_BYTES), dtype=np.uint8)
    seconds = [min(times) for times in zip(*(_one_round(engines, rows, code[0]) for _ in range(_ROUNDS)), strict=True)]
    core, isal = seconds
    return engines[::-1] if isal < CLEARLY_FASTER * core else engines


def _one_round(engines: list[Engine], rows: Bytes2D, k: int) -> list[float]:
    """CPU seconds of one encoding by each. A neighbour that takes the CPU away does not count, and rounds alternate."""
    seconds = []
    for engine in engines:
        before = time.thread_time()
        engine.encode(rows[:k], rows[k:])
        seconds.append(time.thread_time() - before)
    return seconds
