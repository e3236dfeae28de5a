"""Streams are cut into slabs by the one rule of docs/wire-format.md, section 3."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.protocol.geometry import (
    PROFILES,
    Geometry,
    Slab,
    columns_for,
    needs_repeats,
    object_geometry,
    repair_offset,
    repair_sets,
    slab_at,
    slab_count,
    stream_geometry,
)
from tests.diode.protocol.sending_order import symbols_of

SYMBOL_SIZES = (448, 1344, 1408, 8896)
FULL = [stream_geometry(size, profile) for size in SYMBOL_SIZES for profile in PROFILES.values()]
OBJECTS = [object_geometry(size) for size in SYMBOL_SIZES]
SHAPES = st.one_of(st.tuples(st.sampled_from(FULL), st.just(False)), st.tuples(st.sampled_from(OBJECTS), st.just(True)))


@st.composite
def streams(draw: st.DrawFn) -> tuple[Geometry, bool, int]:
    """A shape, whether it is an object's, and a length that likes to lie beside a bound."""
    full, is_object = draw(SHAPES)
    unit = draw(st.sampled_from([1, full.symbol_bytes, full.row_bytes, full.source_bytes]))
    total = unit * draw(st.integers(0, 5)) + draw(st.integers(-2, 2))
    return full, is_object, max(0, draw(st.one_of(st.just(total), st.integers(0, 4 * full.source_bytes))))


@st.composite
def slabs(draw: st.DrawFn) -> Slab:
    """Any slab, the last ones of streams above all."""
    full, is_object, total = draw(streams().filter(lambda stream: stream[2] > 0))
    number = draw(st.one_of(st.just(-1), st.integers(0, 4))) % slab_count(full, total)
    return slab_at(full, total, number, is_object=is_object)


@given(streams())
@settings(max_examples=200)
def test_every_byte_lies_in_exactly_one_slab(stream: tuple[Geometry, bool, int]) -> None:
    """Slabs follow one another from 0 to the end of the stream, without gap or overlap, and none is empty."""
    full, is_object, total = stream
    cut = [slab_at(full, total, n, is_object=is_object) for n in range(slab_count(full, total))]
    ends = [0, *(slab.offset + slab.length for slab in cut)]
    assert ends[:-1] == [slab.offset for slab in cut]
    assert total == ends[-1]
    assert all(before < after for before, after in pairwise(ends))


@given(streams())
@settings(max_examples=100)
def test_all_slabs_but_the_last_are_full(stream: tuple[Geometry, bool, int]) -> None:
    """Only the last slab's shape can differ from the full one."""
    full, is_object, total = stream
    for number in range(slab_count(full, total) - 1):
        slab = slab_at(full, total, number, is_object=is_object)
        assert (full, full.source_bytes) == (slab.shape, slab.length)


@given(slabs())
@settings(max_examples=200)
def test_the_shape_is_the_smallest_that_holds_the_slab(slab: Slab) -> None:
    """The source rows hold every byte, a row less would not, and a single row has no column too many."""
    shape = slab.shape
    assert (shape.k - 1) * shape.row_bytes < slab.length <= shape.k * shape.row_bytes
    assert shape.columns == columns_for(shape.symbol_bytes) or (1, slab.source_symbols) == (shape.k, shape.columns)


@given(slabs(), st.integers(0, 300))
@settings(max_examples=200)
def test_no_pass_sends_a_row_of_256_or_more(slab: Slab, pass_number: int) -> None:
    """Symbol numbers rise, are sent once each, stay below row 256, and are as many as the slab says."""
    offset = repair_offset(slab.shape, pass_number)
    symbols = symbols_of(slab, offset).astype(int)
    assert slab.datagrams == len(symbols)
    assert (np.diff(symbols) > 0).all()
    assert symbols.max() // slab.shape.columns < 256
    assert list(range(slab.source_symbols)) == symbols[: slab.source_symbols].tolist()
    assert (slab.shape.k + offset) * slab.shape.columns == symbols[slab.source_symbols]
    assert slab.shape.k + repair_sets(slab.shape) * slab.shape.r <= 256


@pytest.mark.parametrize(("profile", "sets"), [("clean", 5), ("standard", 2), ("lossy", 1), ("extreme", 1)])
def test_later_passes_send_fresh_repair_as_far_as_it_goes(profile: str, sets: int) -> None:
    """Passes take disjoint sets of repair rows in turn."""
    shape = stream_geometry(1408, PROFILES[profile])
    assert [n % sets * shape.r for n in range(2 * sets)] == [repair_offset(shape, n) for n in range(2 * sets)]


def test_the_largest_symbol_number_fits_its_field() -> None:
    """256 rows of 64 columns are below 2^14, so uint16 never wraps."""
    slab = slab_at(stream_geometry(1408, PROFILES["extreme"]), 10**9, 0)
    assert 256 * 64 - 1 == int(symbols_of(slab)[-1])


def lost_in_burst(slab: Slab, first: int, burst: int) -> int:
    """Most symbols that any block loses to ``burst`` datagrams from ``first`` on."""
    lost = symbols_of(slab)[first : first + burst] % slab.shape.columns
    return int(np.bincount(lost).max()) if len(lost) else 0


@given(slabs(), st.floats(0, 1))
@settings(max_examples=100)
def test_a_burst_within_the_promise_is_repaired(slab: Slab, where: float) -> None:
    """R x D datagrams, less the symbols that the last row lacks, cost no block more than r."""
    unsent = slab.shape.k * slab.shape.columns - slab.source_symbols
    burst = slab.shape.burst_datagrams - unsent
    first = int(where * max(0, slab.datagrams - burst))
    assert lost_in_burst(slab, first, burst) <= slab.shape.r


@pytest.mark.parametrize("full", FULL, ids=str)
def test_a_slab_that_a_burst_can_take_is_sent_again(full: Geometry) -> None:
    """Short last slabs are repeated exactly where a burst within the budget costs a block more than r symbols."""
    budget = full.burst_datagrams
    for symbols in range(1, full.columns + 1):
        slab = slab_at(full, symbols * full.symbol_bytes, 0)
        worst = max(lost_in_burst(slab, first, budget) for first in range(0, slab.datagrams, max(1, symbols // 2)))
        assert (worst > slab.shape.r) == needs_repeats(slab, budget)


@pytest.mark.parametrize("rows", range(1, 65))
def test_an_object_that_a_burst_can_take_is_sent_again(rows: int) -> None:
    """Objects have repair in proportion to their own size, so that small ones need repetition."""
    full = object_geometry(1408)
    slab = slab_at(full, rows * full.row_bytes, 0, is_object=True)
    worst = lost_in_burst(slab, 0, 1280)
    assert (worst > slab.shape.r) == needs_repeats(slab, 1280)


@pytest.mark.parametrize(
    ("symbol_bytes", "columns", "k", "r"),
    [
        (0, 64, 200, 20),
        (449, 64, 200, 20),
        (384, 64, 200, 20),
        (8960, 32, 200, 20),
        (1408, 0, 200, 20),
        (1408, -1, 200, 20),
        (1408, 65, 200, 20),
        (1408, 64, 0, 20),
        (1408, 64, -1, 20),
        (1408, 64, 200, -1),
        (1408, 64, 200, 57),
        (1408, 64, 257, 0),
    ],
)
def test_a_shape_out_of_bounds_is_none(symbol_bytes: int, columns: int, k: int, r: int) -> None:
    """A shape that would need row 256, column 64, nothing at all or a symbol size of its own cannot be made."""
    with pytest.raises(ValueError, match="shape"):
        Geometry(symbol_bytes, columns, k, r)


@pytest.mark.parametrize(("total", "number"), [(0, 0), (1, 1), (1, -1), (100, 1 << 26)])
def test_a_slab_outside_the_stream_is_none(total: int, number: int) -> None:
    """Asking for a slab before the first or behind the last one is an error."""
    with pytest.raises(IndexError):
        slab_at(stream_geometry(1408, PROFILES["standard"]), total, number)


def test_no_bytes_make_no_slab() -> None:
    """An empty stream has nothing to send."""
    assert 0 == slab_count(stream_geometry(1408, PROFILES["standard"]), 0)
