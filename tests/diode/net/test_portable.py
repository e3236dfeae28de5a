"""The portable path: runs of one size, and a queue with a bound."""

import socket

from diode.net.portable import PortableReader
from diode.net.sockets import bound_address, open_receiver
from diode.net.trains import MAX_RUN_BYTES
from tests.diode.net.loopback import BUFFER_BYTES, LOOPBACK, QUIET_S, Closing


def test_portable_reader_never_mixes_sizes(closing: Closing) -> None:
    """A datagram of another size waits for the next run."""
    receiver = open_receiver(LOOPBACK, BUFFER_BYTES)
    to = bound_address(receiver)
    reader = closing(PortableReader(receiver, QUIET_S))
    stranger = closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    for size in (700, 700, 300, 700):
        stranger.sendto(bytes(size), to)
    into = memoryview(bytearray(MAX_RUN_BYTES))
    assert [1400, 300, 700, 0] == [reader.receive(into) for _ in range(4)]


def test_portable_reader_bounds_its_queue(closing: Closing) -> None:
    """What asyncio-dgram queues beyond the limit is dropped and counted; the rest arrives."""
    receiver = open_receiver(LOOPBACK, BUFFER_BYTES)
    to = bound_address(receiver)
    reader = closing(PortableReader(receiver, QUIET_S, queue_limit_datagrams=8))
    stranger = closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    for number in range(50):
        stranger.sendto(bytes([number] * 100), to)
    for _ in range(200):  # turns of the event loop in which nobody takes from the queue
        reader._loop.call_soon(reader._loop.stop)
        reader._loop.run_forever()
    into = memoryview(bytearray(MAX_RUN_BYTES))
    assert 800 == reader.receive(into)
    assert 42 == reader.dropped
    assert list(range(42, 50)) == list(into[:800:100])
