"""The worker that reads the socket: a whole process, over loopback."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from diode.net.address import Address
from diode.net.sockets import open_receiver
from diode.process.memory import LINK_SIZE, Counters, Ring
from diode.protocol.sizes import datagram_bytes
from receiver.transport.listen import COUNTERS, Listener
from tests.diode.protocol.test_runs import train
from tests.worker_settings import listen_settings

SIZE = datagram_bytes(1408)
REGION_BYTES = 1 << 20


class Mail:
    """A supervisor that says nothing."""

    closed = False

    def send(self, message: object) -> None:
        """Nobody reads it."""

    def receive(self, _: float) -> None:
        """Nothing comes."""


@contextmanager
def listener(path: str, datagram_bytes: int) -> Iterator[tuple[Listener, socket.socket, Counters]]:
    """One that is not started, a socket that sends to it, and its counters."""
    with ExitStack() as stack:
        fds = [Ring.create(2, REGION_BYTES), Counters.create(COUNTERS), Counters.create(LINK_SIZE), *os.pipe()]
        for fd in fds:
            stack.callback(os.close, fd)
        ring, counters, link_size, free_read, ready_write = fds
        Counters(link_size, LINK_SIZE)["datagram_bytes"] = datagram_bytes
        received = open_receiver(Address("127.0.0.1", 0), 1 << 20)
        to = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        to.connect(received.getsockname())
        settings = listen_settings(
            ring=ring,
            regions=2,
            region_bytes=REGION_BYTES,
            counters=counters,
            path=path,
            socket=received.detach(),
            link_size=link_size,
            free_read=free_read,
            ready_write=ready_write,
        )
        made = Listener(settings, Mail())  # type: ignore[arg-type]
        stack.callback(made._reader.close)
        yield made, to, Counters(counters, COUNTERS)


@pytest.mark.parametrize("path", ["batched", "portable"])
def test_what_is_not_of_the_links_size_is_dropped_before_the_ring(path: str) -> None:
    """Alternating sizes, empty datagrams and noise cost none of the sender's, and end no region early."""
    with listener(path, SIZE) as (one, to, counters):
        for number in range(60):
            for datagram in (train(1, fill=number), train(1, 512), b"", b"noise", train(1)[:-1], train(1, 8960)):
                to.send(datagram)
        lengths: list[int] = []
        for _ in range(20):  # a slow reader may take several regions for them
            lengths += one._ring.lengths[0][: one._fill(0)].tolist()
            if sum(length for length in lengths if length % SIZE == 0) == 60 * SIZE:
                break
        mine = [length for length in lengths if length % SIZE == 0]
        assert 60 * SIZE == sum(mine)
        assert {512, 8960}.issuperset(length for length in lengths if length % SIZE)
        assert 30 > len(lengths) - len(mine)
        assert 100 < counters["drop_length"]


def test_without_a_known_size_all_is_let_in() -> None:
    """The first heartbeat tells."""
    with listener("batched", 0) as (one, to, _):
        for datagram in (train(1, 512), train(1), train(1, 8960)):
            to.send(datagram)
        runs = one._fill(0)
        assert [512, SIZE, 8960] == one._ring.lengths[0][:runs].tolist()


def test_a_size_that_no_link_has_is_not_known() -> None:
    """The cell is written by another process."""
    with listener("batched", 7) as (one, to, _):
        to.send(train(1))
        assert 1 == one._fill(0)
