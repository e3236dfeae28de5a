"""The emulated diode does to a stream what it was asked to, repeatably, and forwards in one direction only."""

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Self

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.net import udp
from diode.net.emulator import MAX_DELAY_DATAGRAMS, Datagrams, Impairer, Impairments, Link, Tally
from diode.net.udp import Address
from tests.patience import PATIENCE_S

ANY_PORT = Address("127.0.0.1", 0)
WAIT_S = PATIENCE_S
ALL_AT_ONCE = Impairments(
    loss=0.05, burst_loss=0.1, burst_mean=4, burst=7, burst_gap=20, reorder=0.1, duplicate=0.1, corrupt=0.1
)


def numbered(count: int, size: int = 32) -> Datagrams:
    """``count`` datagrams that begin with their number."""
    datagrams = np.zeros((count, size), np.uint8)
    datagrams[:, :8] = np.arange(count, dtype="<u8").view(np.uint8).reshape(-1, 8)
    return datagrams


def numbers(datagrams: Datagrams) -> list[int]:
    """What the datagrams of :func:`numbered` begin with."""
    return [int(number) for number in np.ascontiguousarray(datagrams[:, :8]).view("<u8")[:, 0]]


def through(impairer: Impairer, stream: Datagrams, cuts: list[int] | None = None) -> Datagrams:
    """All that leaves when ``stream`` arrives in calls of the lengths ``cuts`` (repeated to the end) and is flushed."""
    out: list[Datagrams] = []
    start, turn = 0, 0
    while start < len(stream):
        length = max(1, cuts[turn % len(cuts)]) if cuts else len(stream)
        out.append(impairer.apply(stream[start : start + length]))
        start, turn = start + length, turn + 1
    return np.concatenate([*out, impairer.flush()])


def lost_runs(arrived: list[int], count: int) -> list[tuple[int, int]]:
    """(first, length) of each run of consecutive losses."""
    edges = [-1, *sorted(set(arrived)), count]
    return [(a + 1, b - a - 1) for a, b in pairwise(edges) if b - a > 1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": -0.1},
        {"loss": 1.1},
        {"loss": float("nan")},
        {"burst_loss": 2},
        {"burst_loss": 0.9, "burst_mean": 2},
        {"burst_mean": 0},
        {"burst_mean": float("inf")},
        {"burst": -1},
        {"burst": 5, "burst_gap": 0},
        {"reorder": 3},
        {"duplicate": -1},
        {"corrupt": 1.5},
    ],
)
def test_impossible_impairment_is_named(wrong: dict[str, float]) -> None:
    """What cannot be done to a stream is refused, by name."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Impairments(**wrong)  # type: ignore[arg-type]  # lengths are whole numbers in the table above


def test_nothing_asked_nothing_copied() -> None:
    """A stream that is not hit is handed on as it is."""
    impairer = Impairer(Impairments(), 1)
    stream = numbered(100)
    assert impairer.apply(stream) is stream
    assert Tally(received=100, forwarded=100, bytes=3200) == impairer.tally
    assert 0 == len(impairer.flush())


def test_random_loss_has_its_share_and_keeps_order() -> None:
    """Independent loss takes about its share, and the others arrive in order."""
    impairer = Impairer(Impairments(loss=0.1), 3)
    arrived = numbers(through(impairer, numbered(50_000), [44]))
    assert sorted(arrived) == arrived
    assert 50_000 - len(arrived) == impairer.tally.lost_random
    assert abs(impairer.tally.lost_random - 5000) < 350


def test_burst_loss_has_its_share_and_mean_length() -> None:
    """Gilbert-Elliott loss takes about its share, in bursts of about the mean length."""
    impairer = Impairer(Impairments(burst_loss=0.05, burst_mean=20), 4)
    count = 400_000
    arrived = numbers(through(impairer, numbered(count, 8), [44]))
    tally = impairer.tally
    assert count - len(arrived) == tally.lost_burst
    assert abs(tally.lost_burst / count - 0.05) < 0.006
    assert abs(tally.lost_burst / tally.bursts - 20) < 2
    assert max(length for _, length in lost_runs(arrived, count)) == tally.longest_burst


@pytest.mark.parametrize("seed", range(5))
def test_fixed_bursts_keep_their_length_and_distance(seed: int) -> None:
    """Bursts of a given length come at random places, with between one and two gaps between them."""
    impairer = Impairer(Impairments(burst=100, burst_gap=3000), seed)
    arrived = numbers(through(impairer, numbered(60_000, 8), [44]))
    runs = lost_runs(arrived, 60_000)
    whole = [run for run in runs if run[0] + run[1] < 60_000]
    assert {100} == {length for _, length in whole}
    assert all(3000 <= b[0] - a[0] - 100 < 6000 for a, b in pairwise(runs))
    assert len({b[0] - a[0] for a, b in pairwise(runs)}) > 5
    assert (len(runs), 100) == (impairer.tally.bursts, impairer.tally.longest_burst)


def test_loss_and_bursts_at_once_are_told_apart() -> None:
    """A datagram in a burst is a burst loss, any other a random one, and together they are all that is missing."""
    impairer = Impairer(Impairments(loss=0.01, burst=500, burst_gap=5000), 5)
    arrived = through(impairer, numbered(100_000, 8), [44])
    tally = impairer.tally
    assert 100_000 == tally.forwarded + tally.lost_random + tally.lost_burst
    assert len(arrived) == tally.forwarded
    assert abs(tally.lost_burst - 500 * tally.bursts) < 500
    assert abs(tally.lost_random - 0.01 * (100_000 - tally.lost_burst)) < 150


def test_everything_can_be_lost() -> None:
    """A loss of 100 % leaves nothing."""
    impairer = Impairer(Impairments(loss=1), 1)
    assert (0, 32) == impairer.apply(numbered(100)).shape


def test_reordering_is_bounded_and_loses_nothing() -> None:
    """Late datagrams are overtaken by at most MAX_DELAY_DATAGRAMS others, and all arrive."""
    impairer = Impairer(Impairments(reorder=0.05), 6)
    arrived = numbers(through(impairer, numbered(20_000), [44]))
    assert list(range(20_000)) == sorted(arrived)
    highest, overtaken = -1, 0
    for number in arrived:
        assert number >= highest - MAX_DELAY_DATAGRAMS
        overtaken += number < highest
        highest = max(highest, number)
    assert 0.9 * impairer.tally.reordered <= overtaken <= impairer.tally.reordered
    assert abs(impairer.tally.reordered - 1000) < 150


def test_held_back_datagrams_are_not_lost_to_another_size() -> None:
    """Another size of datagrams is refused while some are held back, and goes once these are flushed."""
    impairer = Impairer(Impairments(reorder=1), 7)
    kept = 3 - len(impairer.apply(numbered(3)))
    with pytest.raises(ValueError, match="flush first"):
        impairer.apply(numbered(3, 16))
    assert kept == len(impairer.flush())
    impairer.apply(numbered(3, 16))


def test_duplicates_are_copies() -> None:
    """Duplicated datagrams arrive twice, and no other does."""
    impairer = Impairer(Impairments(duplicate=0.1), 8)
    arrived = numbers(through(impairer, numbered(10_000), [44]))
    assert list(range(10_000)) == sorted(set(arrived))
    assert len(arrived) - 10_000 == impairer.tally.duplicated
    assert abs(impairer.tally.duplicated - 1000) < 150


def test_corruption_flips_one_bit_and_spares_the_input() -> None:
    """A corrupted datagram differs in one bit from the one that was sent, which stays as it was."""
    impairer = Impairer(Impairments(corrupt=0.1), 9)
    stream = numbered(10_000)
    before = stream.copy()
    arrived = through(impairer, stream, [44])
    flipped = np.unpackbits(arrived ^ before, axis=1).sum(axis=1)
    assert np.array_equal(before, stream)
    assert {0, 1} == set(flipped.tolist())
    assert impairer.tally.corrupted == flipped.sum()
    assert abs(impairer.tally.corrupted - 1000) < 150
    places = np.flatnonzero(np.unpackbits(arrived ^ before, axis=1).any(axis=0))
    assert len(places) > 200  # of the 256 bits there are


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**64),
    count=st.integers(1, 400),
    cuts=st.lists(st.integers(1, 90), min_size=1, max_size=12),
)
def test_outcome_does_not_depend_on_how_the_stream_is_cut(seed: int, count: int, cuts: list[int]) -> None:
    """One seed gives one outcome and one tally, however a stream is cut into calls."""
    whole, cut = Impairer(ALL_AT_ONCE, seed), Impairer(ALL_AT_ONCE, seed)
    stream = numbered(count)
    expected = whole.apply(stream)
    assert np.array_equal(np.concatenate([expected, whole.flush()]), through(cut, stream, cuts))
    assert whole.tally == cut.tally


def test_effects_do_not_disturb_each_other() -> None:
    """Turning another effect on leaves the losses of a seed where they were."""
    alone = numbers(through(Impairer(Impairments(loss=0.1), 11), numbered(5000)))
    together = numbers(through(Impairer(Impairments(loss=0.1, reorder=0.1, duplicate=0.1), 11), numbered(5000)))
    assert alone == sorted(set(together))


def test_seeds_differ() -> None:
    """Another seed gives another outcome."""
    one, other = (numbers(through(Impairer(Impairments(loss=0.1), seed), numbered(1000))) for seed in (1, 2))
    assert one != other


@contextmanager
def running(link: Link, report: Callable[[Tally], None] | None = None) -> Iterator[None]:
    """``link`` forwards in a thread of its own until the block ends."""
    stop = threading.Event()
    thread = threading.Thread(target=link.run, args=(stop.is_set, report))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(WAIT_S)
        link.close()
    assert not thread.is_alive()


class HighSide:
    """A receiver behind a link."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.sock = udp.open_receiver(Address(host, 0), 8 << 20)
        self.address = udp.bound_address(self.sock)
        self.sock.settimeout(WAIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def take(self, count: int) -> list[bytes]:
        """The next ``count`` datagrams; fails the test when they do not come."""
        return [self.sock.recv(65535) for _ in range(count)]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("path", ["batched", "portable"])
def test_link_forwards_trains_of_any_size(path: udp.Path, host: str) -> None:
    """Whatever the size of datagrams, and with a shorter one at the end of a train, the same come out in order."""
    generator = random.Random(12)
    trains = [
        (max(sizes), [generator.randbytes(size) for size in sizes])
        for sizes in ([1472] * 44, [1472] * 43 + [700], [8960] * 7, [33], [1472] * 3)
    ]
    expected = [datagram for _, train in trains for datagram in train]
    try:
        high = HighSide(host)
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with high:
        link = Link(Address(host, 0), high.address, Impairer(Impairments(), 1))
        with running(link):
            for size, train in trains:
                sender = udp.choose_sender(path, udp.open_sender(link.listen_address), link.listen_address, size)
                sender.send(memoryview(b"".join(train)))
                sender.close()
            assert expected == high.take(len(expected))
    assert [len(expected)] * 2 == [link.tally.received, link.tally.forwarded]
    assert [0, 0] == [link.tally.refused, link.tally.overflowed]


def test_link_does_what_its_impairer_does() -> None:
    """Over sockets a stream comes out as the same impairer in memory leaves it."""
    impairments = Impairments(loss=0.05, burst=30, burst_gap=100, duplicate=0.05, corrupt=0.02, reorder=0.02)
    stream = numbered(2000, 500)
    expected = [row.tobytes() for row in through(Impairer(impairments, 13), stream)]
    with HighSide() as high:
        link = Link(ANY_PORT, high.address, Impairer(impairments, 13))
        sender = udp.choose_sender("auto", udp.open_sender(link.listen_address), link.listen_address, 500)
        for start in range(0, 2000, 50):  # all is queued before the link runs, so that it is never quiet in between
            sender.send(stream[start : start + 50].reshape(-1).data)
        with running(link):
            assert expected == high.take(len(expected))
        sender.close()


def test_link_lets_go_of_held_back_datagrams_when_quiet() -> None:
    """The last datagrams of a transfer are not held back for ever."""
    with HighSide() as high:
        link = Link(ANY_PORT, high.address, Impairer(Impairments(reorder=1), 14))
        sender = udp.choose_sender("auto", udp.open_sender(link.listen_address), link.listen_address, 500)
        with running(link):
            sender.send(numbered(10, 500).reshape(-1).data)
            assert 10 == len(high.take(10))
        sender.close()


def test_link_keeps_its_rate() -> None:
    """A link with a rate takes the time that the rate needs."""
    with HighSide() as high:
        link = Link(ANY_PORT, high.address, Impairer(Impairments(), 1), rate_bytes_per_s=2_000_000)
        sender = udp.choose_sender("auto", udp.open_sender(link.listen_address), link.listen_address, 1000)
        with running(link):
            before = time.monotonic()
            for _ in range(20):
                sender.send(memoryview(bytes(50_000)))
            high.take(1000)
            took_s = time.monotonic() - before
        sender.close()
    assert 0.4 < took_s


def test_link_counts_what_its_buffer_cannot_hold() -> None:
    """Datagrams that arrive faster than the rate for too long are dropped by the kernel, and counted."""
    with HighSide() as high:
        link = Link(ANY_PORT, high.address, Impairer(Impairments(), 1))
        sender = udp.choose_sender("auto", udp.open_sender(link.listen_address), link.listen_address, 1000)
        for _ in range(1500):
            sender.send(memoryview(bytes(60_000)))
        reports: list[Tally] = []
        with running(link, reports.append):
            high.take(1)
        sender.close()
    assert reports[-1].overflowed > 0
    assert reports[-1].received < 1500 * 60


def test_nothing_passes_from_the_high_side() -> None:
    """What the high side sends to the link's socket is never seen on the low side."""
    with HighSide() as high, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as low:
        low.bind(("127.0.0.1", 0))
        link = Link(ANY_PORT, high.address, Impairer(Impairments(), 1))
        with running(link):
            low.sendto(b"up", link.listen_address)
            _, back = high.sock.recvfrom(2048)
            for _ in range(20):
                high.sock.sendto(b"down", back)
            low.sendto(b"up again", link.listen_address)
            assert [b"up again"] == high.take(1)
        low.settimeout(0.05)
        with pytest.raises(TimeoutError):
            low.recv(2048)
    assert 2 == link.tally.received
