"""Which received runs are let in, and how few pieces a region has, however sizes alternate."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.errors import Drop
from diode.protocol import runs, sizes, wire
from diode.protocol.runs import MOST_ODD_RUNS, ODD_EVERY_S, Doorkeeper, Run, gather, slice_runs
from diode.protocol.sizes import datagram_bytes, is_symbol_size
from diode.protocol.wire import MAGIC, VERSION, headers_of

SIZE = datagram_bytes(1408)


def train(count: int, size: int = SIZE, fill: int = 1) -> bytes:
    """``count`` datagrams of one size, as the sender's."""
    rows = np.full((count, size), fill, np.uint8)
    headers = headers_of(rows)
    headers["magic_version"] = MAGIC << 8 | VERSION
    headers["symbol_bytes"] = size - sizes.OVERHEAD_BYTES
    return rows.tobytes()


def let_in(doorkeeper: Doorkeeper, received: Sequence[bytes], now: float = 1.0) -> list[bytes]:
    """What is left of runs that are received one after another."""
    return [one[: doorkeeper.admit(memoryview(one), 0, len(one), now)] for one in received]


def test_its_constants_are_those_of_the_wire() -> None:
    """``listen`` loads no numpy, so they are written twice."""
    assert (MAGIC << 8 | VERSION).to_bytes(4, "big") == runs.MARK
    assert wire.HEADER.fields is not None
    field, at = wire.HEADER.fields["symbol_bytes"][:2]
    assert (slice(at, at + field.itemsize), sizes.OVERHEAD_BYTES) == (runs.SIZE_FIELD, runs.OVERHEAD_BYTES)
    for size in range(sizes.OVERHEAD_BYTES, 1 << 16):
        assert is_symbol_size(size - sizes.OVERHEAD_BYTES) == runs.is_datagram_size(size)


def test_a_forged_tail_costs_no_train() -> None:
    """The kernel ends a run with a shorter datagram, whoever sent it: it alone is cut off."""
    for tail in (b"x", b"\0" * 64, train(1, 512), train(1)[:-1]):
        assert [train(40)] == let_in(Doorkeeper(SIZE), [train(40) + tail])


@pytest.mark.parametrize("claim", [512, 576, 0, 65535, 8960])
def test_a_stranger_at_the_head_of_a_run_costs_no_train(claim: int) -> None:
    """Network cards put datagrams of one flow into one run: those behind him are let in, and his tail is cut off."""
    run = bytearray(train(10))
    run[38:40] = max(0, claim - 64).to_bytes(2, "big")
    assert [bytes(run)] * 3 == let_in(Doorkeeper(SIZE), [bytes(run) + b"tail"] * 3)


def test_other_sizes_are_let_in_seldom() -> None:
    """A hundred a second, in even steps, so that a change of MTU is heard; without limit where no size is known."""
    other, short = train(3, 512), train(1)[: SIZE - 64]
    doorkeeper = Doorkeeper(SIZE)
    taken = [let_in(doorkeeper, [other, short, train(2)], 1.0 + step / 1000) for step in range(1000)]
    odd = [one for three in taken for one in three[:2] if one]
    assert 1.0 / ODD_EVERY_S == pytest.approx(len(odd), abs=2)
    assert all(train(2) == three[2] for three in taken)
    assert [other, short] * 9 == let_in(Doorkeeper(), [other, short] * 9)


@pytest.mark.parametrize("other", [512, 576, 1024, 2 * SIZE, 8960])
def test_a_change_of_mtu_is_heard(other: int) -> None:
    """Whole runs of the new size come through, of sizes as well that the old one divides."""
    for size in (SIZE, 512):
        if other != size:
            assert [train(1, other)] == let_in(Doorkeeper(size), [train(1, other)])


def test_sizes_that_alternate_make_few_pieces() -> None:
    """Each piece costs as much as a hundred datagrams: the link's own come in one, in their order."""
    region, lengths = bytearray(), []
    for number in range(300):
        parts = [train(2, fill=number % 251), train(1, (512, 640)[number % 2], 255)]
        region += b"".join(parts)
        lengths += [len(part) for part in parts]
    cut = slice_runs(memoryview(region), lengths, Counter[Drop](), SIZE)
    assert 600 == len(cut)
    pieces = []
    for piece in gather(memoryview(region), cut):
        at = piece.offset
        pieces.append((piece, bytes(region[at : at + piece.size * piece.count])))
    assert MOST_ODD_RUNS + 1 == len(pieces)
    assert pieces[-1] == (Run(0, SIZE, 600), b"".join(train(2, fill=number % 251) for number in range(300)))
    assert all(found == train(1, piece.size, 255) for piece, found in pieces[:-1])


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from([512, 640, SIZE, 8960]), st.integers(1, 3)), max_size=200))
def test_pieces_lie_in_the_region_and_hold_what_was_received(sent: list[tuple[int, int]]) -> None:
    """No sequence of sizes makes a piece of bytes that were not one."""
    parts = [train(count, size, number % 251) for number, (size, count) in enumerate(sent)]
    region = bytearray(b"".join(parts))
    whole = bytes(region)
    cut = slice_runs(memoryview(region), [len(part) for part in parts], Counter[Drop](), SIZE)
    for piece in gather(memoryview(region), cut):
        found = region[piece.offset :][: piece.size * piece.count]
        assert piece.size * piece.count == len(found)
        for first in range(0, len(found), piece.size):
            assert bytes(found[first : first + piece.size]) in whole


@settings(max_examples=200)
@given(st.binary(max_size=3000), st.sampled_from([0, 512, SIZE]), st.booleans())
def test_any_run_is_judged(received: bytes, usual: int, is_marked: bool) -> None:
    """Never more is kept than there is, and of the usual size whole datagrams only."""
    run = (train(1)[:48] + received) if is_marked else received
    kept = Doorkeeper(usual).admit(memoryview(run), 0, len(run), 1.0)
    assert 0 <= kept <= len(run)
    if is_marked and usual == SIZE:
        assert kept == len(run) // SIZE * SIZE
