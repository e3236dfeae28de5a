"""The compiled repair code under lengths that lie: it answers -1, or keeps to the memory that it was given.

Input: one byte of flags, then k, first, r, columns (1 byte each) and size (2), then lengths that are added to the true
ones (1 byte each, signed) where a flag says so, then which symbols are there (1 bit each, repeated), then content.

Memory ends where a forbidden page begins. A byte too far ends the process.
"""

from functools import cache
from itertools import cycle, islice

import numpy as np
from numpy.typing import NDArray

from diode.core.coding import Core
from diode.core.library import load
from diode.protocol.zfec_code import Zfec
from tests.diode.core.guarded import guarded
from tests.fuzz.reading import Input

Bytes = NDArray[np.uint8]

MOST_BYTES = 1 << 17
AVX2, GFNI = 1, 8
LIES, PLAIN, WITHOUT_GFNI = 1, 2, 4  # flags


@cache
def _core() -> Core | None:
    try:
        return Core(load())
    except OSError:
        return None  # not built here: there is nothing to look at


def one_input(data: bytes) -> None:
    """What is encoded is zfec's, what is restored was sent, and what does not fit is refused."""
    if (core := _core()) is None:
        return
    given = Input(data)
    flags = given.number(1)
    k, first, r, columns = (given.number(1) for _ in range(4))
    size = given.number(2) % 2048
    lies = [given.number(1) - 128 if flags & LIES else 0 for _ in range(4)]
    load().diode_core_mask({0: 0, WITHOUT_GFNI: GFNI}.get(flags & (PLAIN | WITHOUT_GFNI), AVX2 | GFNI))
    try:
        _look(core, (k, first, r), (columns % 65, size), lies, given)
    finally:
        load().diode_core_mask(0)


def _look(core: Core, code: tuple[int, int, int], shape: tuple[int, int], lies: list[int], given: Input) -> None:
    (k, first, r), (columns, size) = code, shape
    symbols = (k + r) * columns
    if symbols * size > MOST_BYTES:
        return
    slab, have = guarded(symbols * size), guarded(symbols)
    mask = given.take(8) or b"\xff"
    have[:] = list(islice(cycle(np.unpackbits(np.frombuffer(mask, np.uint8)).tolist()), symbols))
    content = given.rest()
    if content:
        slab[:] = np.resize(np.frombuffer(content, np.uint8), slab.size)
    if any(lies):
        _lie(core, slab, have, (k, columns, size), lies)
    elif k and r and columns and size and k + first + r <= 256:
        _tell_the_truth(core, slab.reshape(k + r, columns, size), have.reshape(k + r, columns), k, first)


def _lie(core: Core, slab: Bytes, have: Bytes, shape: tuple[int, int, int], lies: list[int]) -> None:
    k, columns, size = (max(0, true + lie) for true, lie in zip(shape, lies, strict=False))
    have_n = min(have.size, max(0, have.size + lies[3]))
    fits = columns and size and have_n % columns == 0 and have_n * size <= slab.size and 0 < k <= have_n // columns
    before = slab.copy()
    said = core._library.diode_restore(slab.ctypes.data, slab.size, have.ctypes.data, have_n, k, columns, size)
    if not fits or have_n // columns > 256:
        assert -1 == said
    if said <= 0:
        assert np.array_equal(before, slab)


def _tell_the_truth(core: Core, slab: Bytes, have: Bytes, k: int, first: int) -> None:
    flat = slab.reshape(len(slab), -1)
    expected = flat.copy()
    core.encode(flat[:k], flat[k:], first)
    Zfec().encode(expected[:k], expected[k:], first)
    assert np.array_equal(expected, flat)
    there = have.astype(np.bool_)
    enough = (np.count_nonzero(there, axis=0) >= k).all()
    if first == 0:
        slab[~there] = 0x5A
        try:
            core.restore(slab, there, k)
        except ValueError:
            assert not enough
        else:
            assert enough
            assert np.array_equal(expected[:k], flat[:k])


def seeds() -> dict[str, bytes]:
    """Codes by transform and by product, by each kernel, whole and lying."""

    def slab(flags: int, k: int, r: int, *, first: int = 0, d: int = 2, size: int = 70, have: bytes = b"") -> bytes:
        lies = bytes([128, 128, 128, 120]) if flags & LIES else bytes(4)
        return bytes([flags, k, first, r, d]) + size.to_bytes(2, "big") + lies + (have or b"\xfe\xff" * 4) + b"content"

    return {
        "standard": slab(0, 200, 20, have=b"\xff" * 7 + b"\xfe"),
        "plain": slab(PLAIN, 200, 20, have=b"\xff" * 7 + b"\xef"),
        "lossy": slab(WITHOUT_GFNI, 192, 64, size=65),
        "extreme": slab(0, 128, 128, have=b"\xaa" * 8),
        "small": slab(0, 7, 3, size=64),
        "later": slab(0, 200, 20, first=36),
        "row": slab(PLAIN, 60, 1, first=3),
        "too_few": slab(0, 20, 4, have=bytes(8)),
        "no_rows": slab(0, 0, 0),
        "lies": slab(LIES, 20, 4),
        "lies_plain": slab(LIES | PLAIN, 3, 2, d=1, size=1),
    }
