"""Headers are packed and judged as docs/wire-format.md, sections 1 and 7, say."""

import struct
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.errors import Drop
from diode.protocol import sizes, wire
from diode.protocol.sizes import Kind, ObjectType
from diode.protocol.wire import headers_of, pack_headers, screen

S = 1408
SLOW_HEADER = struct.Struct(">IBBHQQQIHHBB6s")  # the twin of wire.HEADER
GOOD = {
    "magic_version": 0x44494F01,
    "kind": 1,
    "flags": 0,
    "key_id": 1,
    "session": 2,
    "counter": 3,
    "bundle": 4,
    "slab": 5,
    "symbol": 6,
    "symbol_bytes": S,
    "columns": 64,
    "k": 200,
    "reserved": bytes(6),
}
# Values on both sides of every bound.
EDGES: dict[str, st.SearchStrategy[Any]] = {
    "magic_version": st.sampled_from([0x44494F01, 0x44494F02, 0x44494F00, 0x44494E01, 0x04494F01]),
    "kind": st.sampled_from([0, 1, 2, 3, 4, 5, 255]),
    "flags": st.sampled_from([0, 1, 2, 3, 255]),
    "slab": st.sampled_from([0, (1 << 26) - 1, 1 << 26, (1 << 32) - 1]),
    "symbol": st.sampled_from([0, 255, 256, 255 * 64 + 63, 256 * 64, 65535]),
    "symbol_bytes": st.sampled_from([S, 0, S - 64, 65535]),
    "columns": st.sampled_from([0, 1, 64, 65, 255]),
    "k": st.sampled_from([0, 1, 255]),
    "reserved": st.sampled_from([bytes(6), b"\1" + bytes(5), bytes(5) + b"\x80"]),
    "key_id": st.integers(0, (1 << 16) - 1),
    "session": st.integers(0, (1 << 64) - 1),
    "counter": st.integers(0, (1 << 64) - 1),
    "bundle": st.integers(0, (1 << 64) - 1),
}
CHANGES = st.fixed_dictionaries({}, optional=EDGES)


def slow_header(**changes: Any) -> bytes:
    """The header of a good data datagram, with ``changes``, laid out by hand."""
    return SLOW_HEADER.pack(*(GOOD | changes).values())


def slow_judge(header: bytes, symbol_bytes: int) -> Drop | None:
    """The screen stage of the table in section 7, one datagram at a time."""
    first, kind, flags, _, _, _, _, slab, symbol, claimed, columns, k, reserved = SLOW_HEADER.unpack(header)
    if first >> 8 != 0x44494F:
        return Drop.MAGIC
    if first & 0xFF != 1:
        return Drop.VERSION
    if kind not in (1, 2, 3, 4):
        return Drop.KIND
    if flags > (2 if kind == 2 else 0):
        return Drop.FLAGS
    if reserved != bytes(6):
        return Drop.RESERVED
    if claimed != symbol_bytes:
        return Drop.SYMBOL_SIZE
    if not (1 <= columns <= 64 and k >= 1 and symbol // columns < 256 and slab < 1 << 26):
        return Drop.GEOMETRY
    return None


def as_headers(headers: list[bytes]) -> wire.Headers:
    """As the code sees them."""
    return np.frombuffer(b"".join(headers), dtype=wire.HEADER)


def check_against_slow_twin(headers: list[bytes]) -> None:
    """Screen a run, and compare the verdicts with the slow twin's."""
    verdicts = [slow_judge(header, S) for header in headers]
    ok, drops = screen(as_headers(headers), S)
    assert [verdict is None for verdict in verdicts] == ok.tolist()
    assert Counter(verdict for verdict in verdicts if verdict is not None) == Counter(drops)


@given(st.lists(st.binary(min_size=48, max_size=48), max_size=20))
@settings(max_examples=50)
def test_screen_bounds_arbitrary_bytes(headers: list[bytes]) -> None:
    """No bytes make the screen raise, and none of them pass that the slow twin would drop."""
    check_against_slow_twin(headers)


@given(st.lists(CHANGES, max_size=12))
@settings(max_examples=150)
def test_screen_agrees_with_its_slow_twin_at_the_bounds(changes: list[dict[str, Any]]) -> None:
    """Headers a step inside or outside the bounds pass or fall, for the first reason in the order of the spec."""
    check_against_slow_twin([slow_header(**change) for change in changes])


@given(CHANGES, st.lists(st.integers(0, 65535), min_size=1, max_size=12), st.integers(0, (1 << 64) - 13))
@settings(max_examples=150)
def test_a_run_that_looks_alike_gets_no_kinder_judgement(
    change: dict[str, Any], symbols: list[int], counter: int
) -> None:
    """Runs that differ in symbol and counter only, which take the fast path, are judged as the slow twin does."""
    headers = [slow_header(**change | {"symbol": s, "counter": counter + i}) for i, s in enumerate(symbols)]
    check_against_slow_twin(headers)


@pytest.mark.parametrize("byte", range(48))
def test_one_flipped_bit_in_a_uniform_run_is_judged_alone(byte: int) -> None:
    """A single odd header inside a run of good ones neither passes unseen nor takes its neighbours along."""
    for bit in range(8):
        headers = [bytearray(slow_header(symbol=i, counter=i)) for i in range(4)]
        headers[bit % 4][byte] ^= 1 << bit
        check_against_slow_twin([bytes(header) for header in headers])


def test_an_empty_run_passes_the_screen() -> None:
    """No headers give an empty mask and no drops."""
    ok, drops = screen(np.zeros(0, dtype=wire.HEADER), S)
    assert (0, {}) == (len(ok), drops)


def test_a_uniform_run_with_one_row_too_many_loses_that_datagram_only() -> None:
    """The fast path still bounds each symbol number by its row."""
    ok, drops = screen(as_headers([slow_header(symbol=s) for s in (0, 255 * 64 + 63, 256 * 64)]), S)
    assert [True, True, False] == ok.tolist()
    assert {Drop.GEOMETRY: 1} == drops


@given(
    kind=st.sampled_from(Kind),
    flags=st.integers(0, 255),
    key_id=st.integers(0, (1 << 16) - 1),
    session=st.integers(0, (1 << 64) - 1),
    counter=st.integers(0, (1 << 64) - 65),
    bundle=st.integers(0, (1 << 64) - 1),
    slab=st.integers(0, (1 << 32) - 1),
    symbols=st.lists(st.integers(0, 65535), min_size=1, max_size=64),
    columns=st.integers(0, 255),
    k=st.integers(0, 255),
)
@settings(max_examples=100)
def test_headers_pack_as_the_spec_lays_them_out(symbols: list[int], counter: int, **fields: Any) -> None:
    """What is packed for a train at once reads back field by field, counters rising by one."""
    datagrams = np.full((len(symbols), sizes.datagram_bytes(448)), 0xAA, dtype=np.uint8)
    numbers = np.array(symbols, dtype=np.uint16)
    pack_headers(headers_of(datagrams), counter=counter, symbols=numbers, symbol_bytes=448, **fields)
    for i, symbol in enumerate(symbols):
        expected = GOOD | fields | {"counter": counter + i, "symbol": symbol, "symbol_bytes": 448}
        assert tuple(expected.values()) == SLOW_HEADER.unpack(datagrams[i, :48].tobytes())
    assert (datagrams[:, 48:] == 0xAA).all()


def test_counters_of_filler_do_not_lose_their_low_bits() -> None:
    """Counters from 2^63 on stay exact integers."""
    headers = np.zeros(3, dtype=wire.HEADER)
    common = {"flags": 0, "key_id": 0, "session": 0, "bundle": 0, "slab": 0, "columns": 1, "k": 1, "symbol_bytes": S}
    pack_headers(headers, kind=Kind.DATA, counter=wire.PADDING_COUNTER - 1, symbols=np.zeros(3, np.uint16), **common)
    assert [(1 << 63) - 1, 1 << 63, (1 << 63) + 1] == headers["counter"].tolist()


def test_headers_are_a_view_of_the_datagrams() -> None:
    """Writing a header writes the datagram: nothing is copied."""
    datagrams = np.zeros((2, sizes.datagram_bytes(448)), dtype=np.uint8)
    headers_of(datagrams)["session"][1] = 0x0102030405060708
    assert bytes(range(1, 9)) == datagrams[1, 8:16].tobytes()
    assert not datagrams[0].any()


@pytest.mark.parametrize("object_type", ObjectType)
def test_every_object_type_passes(object_type: ObjectType) -> None:
    """Objects say in their flags which of the three they are."""
    ok, _ = screen(as_headers([slow_header(kind=2, flags=object_type)]), S)
    assert [True] == ok.tolist()


@given(st.integers(576, 70_000), st.booleans())
@settings(max_examples=200)
def test_the_symbol_is_the_largest_that_the_mtu_carries(mtu: int, ipv6: bool) -> None:
    """A datagram fits into one packet, and the next larger symbol would not, or is not allowed."""
    symbol_bytes = sizes.symbol_bytes_for(mtu, ipv6=ipv6)
    room = mtu - (48 if ipv6 else 28)
    assert sizes.is_symbol_size(symbol_bytes)
    assert sizes.datagram_bytes(symbol_bytes) <= room
    assert sizes.datagram_bytes(symbol_bytes + 64) > room or not sizes.is_symbol_size(symbol_bytes + 64)


@pytest.mark.parametrize("symbol_bytes", [-448, 0, 64, 384, 447, 449, 8895, 8897, 8960, 65535])
def test_other_symbol_sizes_are_refused(symbol_bytes: int) -> None:
    """Too small, too large, and unaligned sizes are none."""
    assert not sizes.is_symbol_size(symbol_bytes)
