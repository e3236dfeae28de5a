"""The emulated diode forwards what its impairer leaves, at its rate, and in one direction only."""

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

import pytest

from diode.net.address import Address
from diode.net.emulator import Link
from diode.net.impairments import Impairer, Impairments, Tally
from diode.net.sockets import bound_address, open_receiver, open_sender
from diode.net.udp import UdpPath, choose_sender
from tests.diode.net.streams import numbered, through
from tests.patience import PATIENCE_S

ANY_PORT = Address("127.0.0.1", 0)


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
        thread.join(PATIENCE_S)
        link.close()
    assert not thread.is_alive()


class HighSide:
    """A receiver behind a link."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.sock = open_receiver(Address(host, 0), 8 << 20)
        self.address = bound_address(self.sock)
        self.sock.settimeout(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def take(self, count: int) -> list[bytes]:
        """The next ``count`` datagrams; fails the test when they do not come."""
        return [self.sock.recv(65535) for _ in range(count)]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("path", ["batched", "portable"])
def test_link_forwards_trains_of_any_size(path: UdpPath, host: str) -> None:
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
                sender = choose_sender(path, open_sender(link.listen_address), link.listen_address, size)
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
        sender = choose_sender("auto", open_sender(link.listen_address), link.listen_address, 500)
        for start in range(0, 2000, 50):  # all is queued before the link runs, so that it is never quiet in between
            sender.send(stream[start : start + 50].reshape(-1).data)
        with running(link):
            assert expected == high.take(len(expected))
        sender.close()


def test_link_lets_go_of_held_back_datagrams_when_quiet() -> None:
    """The last datagrams of a transfer are not held back for ever."""
    with HighSide() as high:
        link = Link(ANY_PORT, high.address, Impairer(Impairments(reorder=1), 14))
        sender = choose_sender("auto", open_sender(link.listen_address), link.listen_address, 500)
        with running(link):
            sender.send(numbered(10, 500).reshape(-1).data)
            assert 10 == len(high.take(10))
        sender.close()


def test_link_keeps_its_rate() -> None:
    """A link with a rate takes the time that the rate needs."""
    with HighSide() as high:
        link = Link(ANY_PORT, high.address, Impairer(Impairments(), 1), rate_bytes_per_s=2_000_000)
        sender = choose_sender("auto", open_sender(link.listen_address), link.listen_address, 1000)
        with running(link):
            before = time.monotonic()
            for _ in range(20):
                sender.send(memoryview(bytes(50_000)))
            high.take(1000)
            took_s = time.monotonic() - before
        sender.close()
    assert took_s > 0.4


def test_link_counts_what_its_buffer_cannot_hold() -> None:
    """Datagrams that arrive faster than the rate for too long are dropped by the kernel, and counted."""
    with HighSide() as high:
        link = Link(ANY_PORT, high.address, Impairer(Impairments(), 1))
        sender = choose_sender("auto", open_sender(link.listen_address), link.listen_address, 1000)
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
