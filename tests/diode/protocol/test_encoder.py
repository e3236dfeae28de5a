"""Where a slab's bytes lie among its datagrams."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diode.protocol.encoder import MAX_PLACES, Slot
from diode.protocol.geometry import Geometry
from diode.protocol.wire import datagram_bytes

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
