"""A slab becomes datagrams: its bytes in place, repair that restores them, headers that say where each belongs."""

import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.protocol.auth import DatagramViews, Kernel, Session
from diode.protocol.encoder import COUNTERS_PER_SESSION, MAX_PLACES, Part, SlabEncoder, Slot, fill_from
from diode.protocol.fec import choose_engine
from diode.protocol.geometry import Geometry, repair_offset, slab_at
from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.sizes import OVERHEAD_BYTES, Kind, datagram_bytes
from diode.protocol.wire import PADDING_BUNDLE, PADDING_COUNTER, headers_of, screen
from tests.diode.core.kernels import PATHS, kernel_without
from tests.diode.protocol.sending_order import symbols_of

SHAPE = Geometry(448, 8, 200, 10)
SLOT = Slot(memoryview(bytearray(SHAPE.rows * SHAPE.columns * datagram_bytes(448))), SHAPE)


@given(st.integers(0, SHAPE.source_bytes), st.integers(0, SHAPE.source_bytes))
def test_places_are_the_symbols_bytes_in_order(offset: int, length: int) -> None:
    """Together they are the stretch that was asked for, or its beginning when that needs too many of them."""
    length = min(length, SHAPE.source_bytes - offset)
    SLOT.symbols[:] = 0
    places = SLOT.places(offset, length)
    assert len(places) <= MAX_PLACES
    size = sum(map(len, places))
    assert size == length or (len(places) == MAX_PLACES and size < length)
    for number, place in enumerate(places):
        place[:] = bytes([number % 255 + 1]) * len(place)
    written = SLOT.symbols.reshape(-1)
    assert written[offset : offset + size].all()
    assert not written[:offset].any()
    assert not written[offset + size :].any()


@pytest.mark.parametrize("offset", [0, 1, 447, 448, 5000])
def test_a_file_is_read_straight_into_its_places(tmp_path: Path, offset: int) -> None:
    """Preadv scatters what a file holds over the symbols of a slab."""
    data = random.Random(offset).randbytes(300_000)
    (tmp_path / "file").write_bytes(data)
    with (tmp_path / "file").open("rb") as file:
        assert len(data) == os.preadv(file.fileno(), SLOT.places(offset, len(data)), 0)
    assert data == SLOT.symbols.reshape(-1)[offset : offset + len(data)].tobytes()


FULL = Geometry(448, 4, 6, 3)
KEY = LinkKey.of(bytes(range(32)))
PART = Part(99, Kind.DATA)
MODES: tuple[Mode, ...] = ("gmac", "aead", "none")


class Sealing:
    """An encoder with a slot of its own, in one session."""

    def __init__(self, mode: Mode = "gmac", session: int = 5, kernel: Kernel | None = None) -> None:
        self.mode = mode
        self.slot = Slot(memoryview(bytearray(FULL.rows * FULL.columns * datagram_bytes(448))), FULL)
        self.encoder = SlabEncoder(choose_engine(), Session(KEY, session, mode, kernel), KEY.key_id)

    def encode(self, content: bytes, number: int = 0, repair: int = 0) -> np.ndarray[Any, Any]:
        """The datagrams of a slab of ``content`` in sending order."""
        slab = slab_at(FULL, len(content), number)
        fill = fill_from(content[slab.offset : slab.offset + slab.length])
        runs = self.encoder.encode(self.slot, slab, PART, fill, repair_offset=repair)
        return np.concatenate([self.slot.datagrams[first : first + count] for first, count in runs])


@settings(max_examples=30)
@given(st.integers(1, 2 * FULL.source_bytes), st.integers(0, 100), st.sampled_from(MODES))
def test_headers_say_where_each_symbol_belongs(length: int, sending_pass: int, mode: Mode) -> None:
    """Whatever the length: in sending order, repair of the pass after the source, and each with the tag of its own."""
    sealing, counter = Sealing(mode), 0
    for number in range(-(-length // FULL.source_bytes)):
        slab = slab_at(FULL, length, number)
        offset = repair_offset(slab.shape, sending_pass)
        made = sealing.encode(random.Random(length).randbytes(length), number, offset)
        headers = headers_of(made)
        assert symbols_of(slab, offset).tolist() == headers["symbol"].tolist()
        assert list(range(counter, counter + len(made))) == headers["counter"].tolist()
        counter += len(made)
        said = {name: set(headers[name].tolist()) for name in ("bundle", "kind", "slab", "columns", "k", "session")}
        shape = slab.shape
        assert said == {
            "bundle": {99}, "kind": {1}, "slab": {number}, "columns": {shape.columns}, "k": {shape.k}, "session": {5},
        }  # fmt: skip
        passed, dropped = screen(headers, 448)
        assert (True, Counter()) == (bool(passed.all()), Counter(dropped))
        copy = np.ascontiguousarray(made)
        views = DatagramViews(memoryview(copy.reshape(-1)), copy.shape[1], len(copy))
        assert Session(KEY, 5, mode).check(copy, views, slice(0, len(copy))).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lacking", PATHS.values(), ids=list(PATHS))
def test_a_kernel_makes_the_same_datagrams(mode: Mode, lacking: int) -> None:
    """Whole slabs, short ones, other passes and padding: byte for byte what the readable way makes."""
    with kernel_without(lacking) as kernel:
        compiled, readable = Sealing(mode, kernel=kernel), Sealing(mode)
        for length in (1, 448, 449, FULL.row_bytes + 1, FULL.source_bytes - 1, FULL.source_bytes):
            content = random.Random(length).randbytes(length)
            assert np.array_equal(
                readable.encode(content, repair=length % 5), compiled.encode(content, repair=length % 5)
            )
            assert readable.encoder.counter == compiled.encoder.counter
        for each in (compiled, readable):
            each.encoder.padding(each.slot, 9)
        assert np.array_equal(readable.slot.datagrams[:9], compiled.slot.datagrams[:9])


@settings(max_examples=40)
@given(st.integers(1, FULL.source_bytes), st.integers(0, 1 << 30))
def test_any_k_rows_of_a_column_give_its_bytes_back(length: int, seed: int) -> None:
    """Source and repair alike, of any pass: what is lost is solved for."""
    rng, content = random.Random(seed), random.Random(seed).randbytes(length)
    slab = slab_at(FULL, length, 0)
    shape = slab.shape
    offset = repair_offset(shape, rng.randint(0, 90))
    made = Sealing("none").encode(content, 0, offset)
    cube = np.zeros((256, shape.columns, 448), np.uint8)
    have = np.zeros((256, shape.columns), np.bool_)
    have[: shape.k].reshape(-1)[slab.source_symbols :] = True  # zero, and never sent
    for symbol, datagram in zip(headers_of(made)["symbol"].tolist(), made, strict=True):
        row, column = divmod(symbol, shape.columns)
        cube[row, column], have[row, column] = datagram[48:-16], True
    for column in range(shape.columns):
        there = [row for row in np.flatnonzero(have[:, column]) if row * shape.columns + column < slab.source_symbols]
        for row in rng.sample(there, min(len(there), rng.randint(0, shape.r))):
            have[row, column] = False
            cube[row, column] = 0xEE
    choose_engine().restore(cube, have, shape.k)
    assert content == cube[: shape.k].tobytes()[:length]


def test_no_counter_is_used_twice() -> None:
    """Each datagram of a session has its own: the stream of its cipher begins with it."""
    sealing = Sealing("aead")
    content = bytes(3 * FULL.source_bytes)
    used = [n for number in (0, 1, 2, 1) for n in headers_of(sealing.encode(content, number))["counter"].tolist()]
    assert list(range(len(used))) == used
    assert sealing.encoder.counter == len(used)


def test_a_session_that_is_used_up_ends() -> None:
    """Far below the limit of its cipher; a new one is begun by the worker that takes over."""
    sealing = Sealing()
    sealing.encoder.counter = COUNTERS_PER_SESSION - 1
    with pytest.raises(AssertionError):
        sealing.encode(bytes(FULL.source_bytes))


def test_what_a_slot_held_before_is_not_sent() -> None:
    """Bytes of another bundle never fill up the last symbol of a slab."""
    sealing = Sealing("none")
    sealing.encode(b"\xff" * FULL.source_bytes)
    assert b"x" + bytes(447) == sealing.encode(b"x")[0, 48:-16].tobytes()


@pytest.mark.parametrize("mode", MODES)
def test_filler_says_nothing_and_is_authentic(mode: Mode) -> None:
    """It may be sent again and again: its counters are none of data's."""
    sealing = Sealing(mode)
    sealing.encode(b"\xff" * FULL.source_bytes)
    sealing.encoder.padding(sealing.slot, 8)
    copy = sealing.slot.datagrams[:8].copy()
    headers = headers_of(copy)
    assert ({PADDING_BUNDLE}, {True}) == (
        set(headers["bundle"].tolist()),
        {n >= PADDING_COUNTER for n in headers["counter"]},
    )
    views = DatagramViews(memoryview(copy.reshape(-1)), copy.shape[1], 8)
    assert Session(KEY, 5, mode).check(copy, views, slice(0, 8)).all()
    assert not copy[:, 48:-16].any()
    assert 8 * OVERHEAD_BYTES == copy.size - 8 * 448


@pytest.mark.long
@given(st.integers(1, FULL.source_bytes))
def test_memory_fills_a_slot_as_a_file_does(length: int) -> None:
    """Byte for byte, also where the last symbol is not full."""
    slot, data = Sealing().slot, random.Random(length).randbytes(length)
    slot.symbols[:] = 0
    fill_from(data)(slot)
    assert data == slot.symbols.reshape(-1)[:length].tobytes()
    assert not slot.symbols.reshape(-1)[length:].any()
