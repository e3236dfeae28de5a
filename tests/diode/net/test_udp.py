"""Both paths do the same: trains cross real loopback sockets, and a sender hears nothing."""

import errno
import itertools
import subprocess
import sys
import time
from typing import Any

import pytest

from diode.net.address import Address
from diode.net.sockets import bound_address, open_receiver, open_sender, socket_memory
from diode.net.trains import MAX_RUN_BYTES, train_datagrams
from diode.net.udp import choose_reader, choose_sender
from tests.diode.net.loopback import BUFFER_BYTES, LOOPBACK, PATHS, QUIET_S, Closing, has_ipv6, payload, receive_all


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("datagram_bytes", [512, 1472, 8960])
@pytest.mark.parametrize(("out", "back"), list(itertools.product(PATHS, PATHS)))
def test_trains_cross_loopback(out: Any, back: Any, datagram_bytes: int, host: str, closing: Closing) -> None:
    """Every sender reaches every reader, and the bytes arrive complete and in order."""
    if host == "::1" and not has_ipv6():
        pytest.skip("no IPv6 loopback here")
    receiver = open_receiver(Address(host, 0), BUFFER_BYTES)
    to = bound_address(receiver)
    reader = closing(choose_reader(back, receiver, QUIET_S))
    sender = closing(choose_sender(out, open_sender(to), to, datagram_bytes))
    count = train_datagrams(datagram_bytes)
    trains = [payload(n, datagram_bytes, seed=n) for n in (count, 1, count, max(1, count // 2))]
    expected = b"".join(trains)
    for train in trains:
        sender.send(memoryview(train))
    assert expected == receive_all(reader, len(expected))
    assert (0, 0) == (sender.refused, reader.dropped)
    assert (out, back) == (sender.name, reader.name)


def test_batched_path_makes_few_calls(closing: Closing) -> None:
    """A train costs one call to send and one to receive, where the kernel has the offloads."""
    receiver = open_receiver(LOOPBACK, BUFFER_BYTES)
    to = bound_address(receiver)
    reader = closing(choose_reader("auto", receiver, QUIET_S))
    sender = closing(choose_sender("auto", open_sender(to), to, 1472))
    if "portable" in (reader.name, sender.name) or reader.degraded or sender.degraded:
        pytest.skip("this kernel lacks UDP_SEGMENT or UDP_GRO")
    train = payload(44, 1472)
    for _ in range(8):
        sender.send(memoryview(train))
    assert train * 8 == receive_all(reader, 8 * len(train))
    assert (8, 8) == (sender.calls, reader.calls)


@pytest.mark.parametrize("path", PATHS)
def test_reader_returns_nothing_when_quiet(path: Any, closing: Closing) -> None:
    """A quiet socket gives 0 after the timeout, so that a stop signal is seen."""
    reader = closing(choose_reader(path, open_receiver(LOOPBACK, BUFFER_BYTES), 0.02))
    before = time.monotonic()
    assert 0 == reader.receive(memoryview(bytearray(MAX_RUN_BYTES)))
    assert time.monotonic() - before > 0.01


@pytest.mark.parametrize("path", PATHS)
def test_sender_hears_nothing(path: Any, closing: Closing) -> None:
    """Reading a sender's socket yields nothing, even when something is sent to its port."""
    receiver = closing(open_receiver(LOOPBACK, BUFFER_BYTES))
    to = bound_address(receiver)
    sock = open_sender(to)
    sender = closing(choose_sender(path, sock, to, 512))
    sender.send(memoryview(bytes(512)))
    _, low_side = receiver.recvfrom(2048)
    receiver.sendto(b"a word back", low_side)
    sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        sock.recv(2048)
    assert 0 == socket_memory(sock).queued_bytes


@pytest.mark.parametrize("path", PATHS)
def test_sender_ignores_that_nobody_listens(path: Any, closing: Closing) -> None:
    """The ICMP errors of a closed port neither stop a sender nor count as refusals."""
    with open_receiver(LOOPBACK, BUFFER_BYTES) as gone:
        to = bound_address(gone)
    sender = closing(choose_sender(path, open_sender(to), to, 512))
    for _ in range(5):
        sender.send(memoryview(payload(3, 512)))
    assert 0 == sender.refused


@pytest.mark.parametrize("path", PATHS)
def test_too_large_datagram_is_refused_by_the_kernel(path: Any, closing: Closing) -> None:
    """The same, with the kernel's own answer."""
    to = Address("127.0.0.1", 9)
    sender = closing(choose_sender(path, open_sender(to), to, 65508))
    assert 0 == sender.send(memoryview(bytes(65508)))
    assert (errno.EMSGSIZE, 1) == (sender.refusal, sender.refused)


def test_listening_needs_no_numpy() -> None:
    """The process that listens loads neither numpy nor asyncio with this module."""
    script = "import sys, diode.net.udp; print(sorted({'numpy', 'asyncio', 'asyncio_dgram'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()
