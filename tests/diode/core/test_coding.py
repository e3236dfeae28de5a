"""The compiled repair code: zfec's bytes by every kernel, and nothing touched outside of what it is given."""

import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from diode.core.coding import Core
from diode.core.library import load
from diode.protocol.zfec_code import Zfec
from tests.diode.core.guarded import guarded, guarded_copy

try:
    LIBRARY = load()
except OSError as absent:
    pytest.skip(f"the compiled core: {absent}", allow_module_level=True)

Bytes = NDArray[np.uint8]

AVX2, GFNI = 1, 8
KERNELS = {"best": 0, "no GFNI": GFNI, "plain": AVX2 | GFNI}
KS = (1, 2, 3, 7, 15, 16, 17, 33, 64, 65, 100, 128, 192, 200, 236, 252, 255)
RS = (1, 2, 3, 4, 5, 8, 9, 16, 17, 20, 31, 32, 33, 64, 65, 128, 255)
# Each k with as many repair rows as there are, and with each number of them, from the first on and up to row 255.
CODES = sorted({(k, first, r) for k in KS for r in (*RS, 256 - k) if r <= 256 - k for first in (0, 256 - k - r)})


@pytest.fixture(params=KERNELS)
def core(request: pytest.FixtureRequest) -> Iterator[Core]:
    """The engine as on a CPU that lacks some instructions."""
    LIBRARY.diode_core_mask(KERNELS[request.param])
    yield Core(LIBRARY)
    LIBRARY.diode_core_mask(0)


def repaired(source: Bytes, first: int, r: int) -> Bytes:
    """Repair rows, by zfec itself."""
    repair = np.empty((r, source.shape[1]), dtype=np.uint8)
    Zfec().encode(source, repair, first)
    return repair


def some(*shape: int, seed: int = 1) -> Bytes:
    """Random bytes."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_there_are_many_codes() -> None:
    """The table is as large as it is thought to be."""
    assert len(CODES) >= 163


def test_every_code_is_zfecs(core: Core) -> None:
    """For each k, first row and number of rows the bytes are zfec's, by every kernel."""
    for k, first, r in CODES:
        source, repair = some(k, 72, seed=k), np.empty((r, 72), dtype=np.uint8)
        core.encode(source, repair, first)
        assert np.array_equal(repaired(source, first, r), repair), (k, first, r)


@pytest.mark.parametrize("width", [1, 63, 65, 127, 512, 576, 1025])
@pytest.mark.parametrize(("k", "r"), [(200, 20), (192, 64), (40, 7), (3, 2)])
def test_every_width_is_encoded(core: Core, k: int, r: int, width: int) -> None:
    """Strips that are whole, cut, or no multiple of a vector; nothing beside the rows is written or read."""
    rows = guarded_copy(some(k + r, width))
    before = rows[:k].copy()
    core.encode(rows[:k], rows[k:])
    assert np.array_equal(before, rows[:k])
    assert np.array_equal(repaired(before, 0, r), rows[k:])


def test_rows_may_lie_apart(core: Core) -> None:
    """Source and repair rows that are cut out of wider ones; what lies between stays."""
    wide, result = guarded_copy(some(30, 300)), guarded_copy(some(9, 200))
    between = result.copy()
    core.encode(wide[:, 100:], result[:, :200][:, :200])
    core.encode(wide[:, 37:137], result[:, 100:])
    between[:, :100] = repaired(wide[:, 100:], 0, 9)[:, :100]
    between[:, 100:] = repaired(wide[:, 37:137], 0, 9)
    assert np.array_equal(between, result)


def test_rows_that_are_not_rows_are_refused(core: Core) -> None:
    """Reversed rows, every second byte, rows that overlap, and rows of two widths."""
    rows = some(20, 128)
    for source in (rows[::-1], rows[:, ::2], np.lib.stride_tricks.sliding_window_view(rows.reshape(-1), 128)[:20]):
        with pytest.raises(ValueError, match="rows"):
            core.encode(source, np.empty((4, source.shape[1]), dtype=np.uint8))
    with pytest.raises(ValueError, match="rows of 64"):
        core.encode(rows, np.empty((4, 64), dtype=np.uint8))


def slab_of(core: Core, k: int, r: int, columns: int, size: int) -> Bytes:
    """A slab with its repair."""
    slab = some(k + r, columns, size, seed=k + r)
    flat = slab.reshape(k + r, -1)
    core.encode(flat[:k], flat[k:])
    return slab


@given(
    k=st.integers(1, 255), size=st.integers(1, 200), columns=st.integers(1, 7), seed=st.integers(0, 999), data=st.data()
)
@settings(max_examples=60)
def test_any_k_symbols_are_enough(k: int, size: int, columns: int, seed: int, data: st.DataObject) -> None:
    """Whatever columns lose, also all alike, they come back, and nothing but missing source symbols is written."""
    core = Core(LIBRARY)
    r = data.draw(st.integers(0 if k > 1 else 1, min(256 - k, 60)))
    slab = slab_of(core, k, r, columns, size) if r else some(k, columns, size)
    rng = np.random.default_rng(seed)
    have = np.zeros((k + r, columns), dtype=np.bool_)
    for column in range(columns):
        if column and rng.random() < 0.5:
            have[:, column] = have[:, column - 1]
        else:
            have[rng.permutation(k + r)[: rng.integers(k, k + r + 1)], column] = True
    received = guarded_copy(np.where(have[:, :, None], slab, np.uint8(0x5A)))
    expected = received.copy()
    expected[:k] = slab[:k]
    assert int(np.count_nonzero(~have[:k].all(axis=0))) == core.restore(received, have, k)
    assert np.array_equal(expected, received)


def test_every_kernel_restores(core: Core) -> None:
    """Bursts over neighbouring columns, and single losses."""
    slab = slab_of(core, 200, 20, 6, 448)
    have = np.ones((220, 6), dtype=np.bool_)
    have[10:25, 1:4] = False
    have[199, 5] = have[200, 5] = False
    received = np.where(have[:, :, None], slab, np.uint8(0))
    assert 4 == core.restore(received, have, 200)
    assert np.array_equal(slab[:200], received[:200])


def test_masks_that_do_not_belong_are_refused() -> None:
    """A mask of another shape, k of none or too many rows, and symbols that are not in one piece."""
    core, symbols = Core(LIBRARY), np.zeros((8, 4, 64), dtype=np.uint8)
    have = np.ones((8, 4), dtype=np.bool_)
    for slab, mask, k in (
        (symbols, have[:7], 5),
        (symbols[:, ::2], have[:, ::2], 5),
        (symbols, have, 9),
        (symbols, have, 0),
    ):
        with pytest.raises(ValueError, match=r"mask|column"):
            core.restore(slab, mask, k)


BIG = (1 << 64) - 1


@pytest.mark.parametrize(
    ("k", "first", "r"),
    [
        (0, 0, 1),
        (1, 0, 0),
        (200, 0, 57),
        (1, 255, 1),
        (256, 0, 1),
        (BIG, 1, 1),
        (1, BIG, 1),
        (1, 1, BIG),
        (BIG, BIG, BIG),
    ],
)
def test_codes_that_are_none_are_null(k: int, first: int, r: int) -> None:
    """Rows from 256 on do not exist, and sums that overflow are no way to get them."""
    Core(LIBRARY)
    assert LIBRARY.diode_coder_new(k, first, r) is None


@pytest.mark.parametrize(
    ("source_n", "source_stride", "repair_n", "repair_stride", "width"),
    [
        (599, 100, 300, 100, 100), (600, 100, 299, 100, 100), (600, 100, 300, 100, 101), (600, 99, 300, 100, 100),
        (600, 101, 300, 100, 100), (600, 100, 300, 101, 100), (0, 0, 0, 0, 1), (600, BIG, 300, 100, 100),
        (600, 100, 300, BIG, 100), (600, BIG, 300, BIG, BIG), (600, BIG // 5 + 1, 300, 100, 100),
    ],
)  # fmt: skip
def test_lengths_that_lie_are_refused(
    source_n: int, source_stride: int, repair_n: int, repair_stride: int, width: int
) -> None:
    """Rows that do not fit into their bytes: -1, and nothing is touched."""
    Core(LIBRARY)
    source, repair = guarded(600), guarded(300)
    coder = LIBRARY.diode_coder_new(6, 0, 3)
    arguments = (source.ctypes.data, source_n, source_stride, repair.ctypes.data, repair_n, repair_stride, width)
    assert -1 == LIBRARY.diode_encode(coder, *arguments)
    assert not repair.any()
    assert 0 == LIBRARY.diode_encode(coder, source.ctypes.data, 600, 100, repair.ctypes.data, 300, 100, 100)
    assert -1 == LIBRARY.diode_encode(coder, None, 600, 100, repair.ctypes.data, 300, 100, 100)
    assert -1 == LIBRARY.diode_encode(coder, source.ctypes.data, 600, 100, None, 300, 100, 100)
    assert -1 == LIBRARY.diode_encode(None, source.ctypes.data, 600, 100, repair.ctypes.data, 300, 100, 100)
    LIBRARY.diode_coder_free(coder)
    LIBRARY.diode_coder_free(None)


@pytest.mark.parametrize(
    ("n", "have_n", "k", "columns", "size"),
    [
        (511, 8, 3, 2, 64), (512, 7, 3, 2, 64), (512, 8, 5, 2, 64), (512, 8, 0, 2, 64), (512, 8, 3, 0, 64),
        (512, 8, 3, 2, 0), (512, 8, 3, 2, 65), (512, 8, 3, 2, BIG), (512, 8, BIG, 2, 64), (512, 8, 3, BIG, 64),
        (512, 0, 3, 2, 64), (512, 8, 3, 3, 64), (512, 8, 1, 1, 65),
    ],
)  # fmt: skip
def test_slabs_that_lie_are_refused(n: int, have_n: int, k: int, columns: int, size: int) -> None:
    """A slab that does not fit into its bytes or its mask: -1, and nothing is touched."""
    Core(LIBRARY)
    symbols, have = guarded(512), guarded(8)
    have[1:] = 1
    assert -1 == LIBRARY.diode_restore(symbols.ctypes.data, n, have.ctypes.data, have_n, k, columns, size)
    assert -1 == LIBRARY.diode_restore(None, 512, have.ctypes.data, 8, 3, 2, 64)
    assert -1 == LIBRARY.diode_restore(symbols.ctypes.data, 512, None, 8, 3, 2, 64)
    assert not symbols.any()
    assert 1 == LIBRARY.diode_restore(symbols.ctypes.data, 512, have.ctypes.data, 8, 3, 2, 64)


def test_more_than_256_rows_are_no_slab() -> None:
    """Also where they fit into their bytes."""
    Core(LIBRARY)
    symbols, have = guarded(257), guarded(257)
    assert -1 == LIBRARY.diode_restore(symbols.ctypes.data, 257, have.ctypes.data, 257, 200, 1, 1)


def test_coders_do_not_pile_up() -> None:
    """Of many codes, one after another, a few are kept, and the library gets back what is dropped."""
    core = Core(LIBRARY)
    core.encode(some(20, 64), np.empty((4, 64), dtype=np.uint8), 0)
    freed = weakref.ref(core._coder(20, 0, 4))
    for first in range(1, 40):
        core.encode(some(20, 64), np.empty((4, 64), dtype=np.uint8), first)
    assert 16 == core._coder.cache_info().currsize
    assert freed() is None
