"""Trains cross real loopback sockets, on every path, and a sender's socket hears nothing."""

import errno
import itertools
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from diode.errors import KernelError, UsageError
from diode.net import udp
from diode.net.udp import Address
from tests.patience import PATIENCE_S

LOOPBACK = Address("127.0.0.1", 0)
BUFFER_BYTES = 4 << 20
QUIET_S = 0.2
PATHS = ("batched", "portable")
UDP_SEGMENT = 103

Closing = Callable[[Any], Any]


@pytest.fixture
def closing() -> Iterator[Closing]:
    """Closes, at the end of the test, whatever was passed through it."""
    opened: list[Any] = []

    def remember(thing: Any) -> Any:
        opened.append(thing)
        return thing

    yield remember
    for thing in reversed(opened):
        thing.close()


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def payload(datagrams: int, datagram_bytes: int, seed: int = 1) -> bytes:
    """Random bytes for so many datagrams."""
    return random.Random(seed).randbytes(datagrams * datagram_bytes)


def receive_all(reader: Any, length: int) -> bytes:
    """Runs until ``length`` bytes came, or the socket is quiet."""
    into = memoryview(bytearray(udp.MAX_RUN_BYTES))
    got = bytearray()
    while len(got) < length:
        filled = reader.receive(into)
        if not filled:
            break
        got += into[:filled]
    return bytes(got)


class FakeSocket:
    """A kernel that answers ``sendto`` from a script: ``refuse(length, segment)`` gives an errno or 0."""

    def __init__(self, refuse: Callable[[int, int], int]) -> None:
        self.segment = 0
        self.sent: list[bytes] = []
        self._refuse = refuse

    def setsockopt(self, level: int, option: int, value: int) -> None:
        if (level, option) == (socket.IPPROTO_UDP, UDP_SEGMENT):
            self.segment = value

    def sendto(self, data: memoryview, _to: Any) -> int:
        code = self._refuse(len(data), self.segment)
        if code:
            raise OSError(code, "scripted")
        self.sent.append(bytes(data))
        return len(data)

    def close(self) -> None:
        pass


def batched_over(fake: FakeSocket, datagram_bytes: int) -> udp.BatchedSender:
    """A batched sender whose kernel is ``fake``."""
    return udp.BatchedSender(cast(socket.socket, fake), Address("127.0.0.1", 9), datagram_bytes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9000", Address("127.0.0.1", 9000)),
        ("[::1]:9000", Address("::1", 9000)),
        ("diode.example:1", Address("diode.example", 1)),
        ("0.0.0.0:0", Address("0.0.0.0", 0)),
    ],
)
def test_address_round_trips_through_its_text(text: str, expected: Address) -> None:
    """An address reads from the text that it prints."""
    assert (expected, text) == (Address.parse(text), str(expected))


@pytest.mark.parametrize("text", ["", "host", ":9000", "host:", "host:x", "host:65536", "host:-1", "::1:9000", "[]:1"])
def test_address_that_is_none_is_named(text: str) -> None:
    """Anything but HOST:PORT is a ValueError that quotes what was written."""
    with pytest.raises(ValueError, match=r"HOST:PORT|port|bracket") as caught:
        Address.parse(text)
    assert repr(text) in str(caught.value)


def test_address_family() -> None:
    """The family follows from the address."""
    assert socket.AF_INET == Address("127.0.0.1", 1).family
    assert socket.AF_INET6 == Address("::1", 1).family


def test_unknown_host_is_a_usage_error() -> None:
    """A host that nobody knows is the operator's to correct."""
    with pytest.raises(UsageError, match="cannot find the host of no such host:1"):
        Address("no such host", 1).resolve()


@pytest.mark.parametrize(
    ("datagram_bytes", "expected"), [(512, 64), (1023, 64), (1472, 44), (8960, 7), (65507, 1), (65527, 1)]
)
def test_train_is_limited_by_bytes_and_segments(datagram_bytes: int, expected: int) -> None:
    """A train holds no more than a packet's bytes and 64 datagrams, and never less than one."""
    assert expected == udp.train_datagrams(datagram_bytes)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("datagram_bytes", [512, 1472, 8960])
@pytest.mark.parametrize(("out", "back"), list(itertools.product(PATHS, PATHS)))
def test_trains_cross_loopback(out: Any, back: Any, datagram_bytes: int, host: str, closing: Closing) -> None:
    """Every sender reaches every reader, and the bytes arrive complete and in order."""
    if host == "::1" and not has_ipv6():
        pytest.skip("no IPv6 loopback here")
    receiver = udp.open_receiver(Address(host, 0), BUFFER_BYTES)
    to = udp.bound_address(receiver)
    reader = closing(udp.choose_reader(back, receiver, QUIET_S))
    sender = closing(udp.choose_sender(out, udp.open_sender(to), to, datagram_bytes))
    count = udp.train_datagrams(datagram_bytes)
    trains = [payload(n, datagram_bytes, seed=n) for n in (count, 1, count, max(1, count // 2))]
    expected = b"".join(trains)
    for train in trains:
        sender.send(memoryview(train))
    assert expected == receive_all(reader, len(expected))
    assert (0, 0) == (sender.refused, reader.dropped)
    assert (out, back) == (sender.name, reader.name)


def test_batched_path_makes_few_calls(closing: Closing) -> None:
    """A train costs one call to send and one to receive, where the kernel has the offloads."""
    receiver = udp.open_receiver(LOOPBACK, BUFFER_BYTES)
    to = udp.bound_address(receiver)
    reader = closing(udp.choose_reader("auto", receiver, QUIET_S))
    sender = closing(udp.choose_sender("auto", udp.open_sender(to), to, 1472))
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
    reader = closing(udp.choose_reader(path, udp.open_receiver(LOOPBACK, BUFFER_BYTES), 0.02))
    before = time.monotonic()
    assert 0 == reader.receive(memoryview(bytearray(udp.MAX_RUN_BYTES)))
    assert 0.01 < time.monotonic() - before < PATIENCE_S


def test_portable_reader_never_mixes_sizes(closing: Closing) -> None:
    """A datagram of another size waits for the next run."""
    receiver = udp.open_receiver(LOOPBACK, BUFFER_BYTES)
    to = udp.bound_address(receiver)
    reader = closing(udp.PortableReader(receiver, QUIET_S))
    stranger = closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    for size in (700, 700, 300, 700):
        stranger.sendto(bytes(size), to)
    into = memoryview(bytearray(udp.MAX_RUN_BYTES))
    assert [1400, 300, 700, 0] == [reader.receive(into) for _ in range(4)]


def test_portable_reader_bounds_its_queue(closing: Closing) -> None:
    """What asyncio-dgram queues beyond the limit is dropped and counted; the rest arrives."""
    receiver = udp.open_receiver(LOOPBACK, BUFFER_BYTES)
    to = udp.bound_address(receiver)
    reader = closing(udp.PortableReader(receiver, QUIET_S, queue_limit_datagrams=8))
    stranger = closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    for number in range(50):
        stranger.sendto(bytes([number] * 100), to)
    for _ in range(200):  # turns of the event loop in which nobody takes from the queue
        reader._loop.call_soon(reader._loop.stop)
        reader._loop.run_forever()
    into = memoryview(bytearray(udp.MAX_RUN_BYTES))
    assert 800 == reader.receive(into)
    assert 42 == reader.dropped
    assert list(range(42, 50)) == list(into[:800:100])


def test_sized_reads_tell_the_datagram_size(closing: Closing) -> None:
    """A run comes with the size of its datagrams, the last of which may be shorter."""
    receiver = udp.open_receiver(LOOPBACK, BUFFER_BYTES)
    to = udp.bound_address(receiver)
    reader = closing(udp.BatchedReader(receiver, QUIET_S))
    sender = closing(udp.BatchedSender(udp.open_sender(to), to, 1000))
    into = memoryview(bytearray(udp.MAX_RUN_BYTES))
    if reader.degraded or sender.degraded:
        pytest.skip("this kernel lacks UDP_SEGMENT or UDP_GRO")
    for length in (10_000, 1000, 2500, 40):
        sender.send(memoryview(bytes(length)))
    runs = [reader.receive_sized(into) for _ in range(4)]
    assert [(10_000, 1000), (1000, 1000), (2500, 1000), (40, 40)] == runs
    assert (0, 0) == reader.receive_sized(into, wait=False)


@pytest.mark.parametrize("path", PATHS)
def test_sender_hears_nothing(path: Any, closing: Closing) -> None:
    """Reading a sender's socket yields nothing, even when something is sent to its port."""
    receiver = closing(udp.open_receiver(LOOPBACK, BUFFER_BYTES))
    to = udp.bound_address(receiver)
    sock = udp.open_sender(to)
    sender = closing(udp.choose_sender(path, sock, to, 512))
    sender.send(memoryview(bytes(512)))
    _, low_side = receiver.recvfrom(2048)
    receiver.sendto(b"a word back", low_side)
    sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        sock.recv(2048)
    assert 0 == udp.socket_memory(sock).queued_bytes


def test_filter_of_sender_is_locked(closing: Closing) -> None:
    """Nobody takes the filter off a sender's socket again, and it is connected to nobody."""
    sock = closing(udp.open_sender(Address("127.0.0.1", 9)))
    with pytest.raises(PermissionError):
        sock.setsockopt(socket.SOL_SOCKET, 27, 0)  # SO_DETACH_FILTER
    with pytest.raises(OSError, match="not connected"):
        sock.getpeername()
    assert not sock.get_inheritable()


@pytest.mark.parametrize("path", PATHS)
def test_sender_ignores_that_nobody_listens(path: Any, closing: Closing) -> None:
    """The ICMP errors of a closed port neither stop a sender nor count as refusals."""
    with udp.open_receiver(LOOPBACK, BUFFER_BYTES) as gone:
        to = udp.bound_address(gone)
    sender = closing(udp.choose_sender(path, udp.open_sender(to), to, 512))
    for _ in range(5):
        sender.send(memoryview(payload(3, 512)))
    assert 0 == sender.refused


def test_port_in_use_is_one_clear_line(closing: Closing) -> None:
    """A second listener on a port is told so."""
    address = udp.bound_address(closing(udp.open_receiver(LOOPBACK, BUFFER_BYTES)))
    with pytest.raises(UsageError) as caught:
        udp.open_receiver(address, BUFFER_BYTES)
    assert f"cannot listen on {address}: the port is in use by another program" == str(caught.value)


def test_missing_interface_is_one_clear_line() -> None:
    """A listener on an address that this machine does not have is told so."""
    with pytest.raises(UsageError, match="no network interface of this machine has that address"):
        udp.open_receiver(Address("192.0.2.77", 0), BUFFER_BYTES)


def test_socket_memory_counts_queue_and_drops(closing: Closing) -> None:
    """What waits in a socket, what it may hold and what it lost are read from the kernel."""
    receiver = closing(udp.open_receiver(LOOPBACK, 1 << 16))
    to = udp.bound_address(receiver)
    empty = udp.socket_memory(receiver)
    assert (0, 0) == (empty.queued_bytes, empty.drops)
    assert 1 << 16 <= empty.granted_bytes
    stranger = closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    for _ in range(400):
        stranger.sendto(bytes(1400), to)
    full = udp.socket_memory(receiver)
    assert 0 < full.queued_bytes
    assert 0 < full.drops < 400


@pytest.mark.parametrize("code", [errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.ENOPROTOOPT])
def test_refused_offload_costs_no_datagram(code: int) -> None:
    """When the kernel refuses a train as such, all of it goes out datagram by datagram, and so do all later ones."""
    fake = FakeSocket(lambda length, segment: code if 0 < segment < length else 0)
    sender = batched_over(fake, 500)
    trains = [payload(n, 500, seed=n) for n in (1, 7, 4)]
    for train in trains:
        sender.send(memoryview(train))
    assert b"".join(trains) == b"".join(fake.sent)
    assert [500] * 12 == [len(datagram) for datagram in fake.sent]
    assert (0, 1 + 1 + 7 + 4) == (sender.refused, sender.calls)
    assert errno.errorcode[code] in (sender.degraded or "")


def test_degraded_sender_cuts_trains_over_real_sockets(closing: Closing) -> None:
    """A sender whose offload is off still delivers whole trains."""
    receiver = udp.open_receiver(LOOPBACK, BUFFER_BYTES)
    to = udp.bound_address(receiver)
    reader = closing(udp.BatchedReader(receiver, QUIET_S))
    sender = closing(udp.BatchedSender(udp.open_sender(to), to, 1472))
    train = payload(udp.MAX_TRAIN_DATAGRAMS, 1472)  # more bytes than the kernel takes as one train: EMSGSIZE
    sender.send(memoryview(train))
    assert train == receive_all(reader, len(train))
    assert sender.degraded is not None


def test_small_mtu_says_what_to_type() -> None:
    """A single datagram larger than the interface takes stops the sender with advice."""
    sender = batched_over(FakeSocket(lambda length, _segment: errno.EMSGSIZE if length > 1400 else 0), 1472)
    with pytest.raises(KernelError, match=r"too small an MTU for datagrams of 1472 bytes; lower link\.mtu"):
        sender.send(memoryview(payload(3, 1472)))


@pytest.mark.parametrize("path", PATHS)
def test_too_large_datagram_is_refused_by_the_kernel(path: Any, closing: Closing) -> None:
    """The same, with the kernel's own answer."""
    to = Address("127.0.0.1", 9)
    sender = closing(udp.choose_sender(path, udp.open_sender(to), to, 65508))
    with pytest.raises(KernelError, match=r"lower link\.mtu"):
        sender.send(memoryview(bytes(65508)))


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH, errno.ENOBUFS])
def test_pulled_cable_does_not_stop_the_sender(code: int) -> None:
    """What a passing fault of the network refuses is counted, in bounded time, and the offload stays on."""
    fault = {"now": code}
    fake = FakeSocket(lambda _length, _segment: fault["now"])
    sender = batched_over(fake, 500)
    train = payload(4, 500)
    before = time.monotonic()
    sender.send(memoryview(train))
    assert time.monotonic() - before < PATIENCE_S
    fault["now"] = 0
    sender.send(memoryview(train))
    assert ([train], 4, None) == (fake.sent, sender.refused, sender.degraded)


def test_full_queue_is_tried_again() -> None:
    """A kernel without room for the moment gets the same train again."""
    answers = iter([errno.ENOBUFS, errno.EAGAIN, 0])
    fake = FakeSocket(lambda _length, _segment: next(answers))
    sender = batched_over(fake, 500)
    train = payload(4, 500)
    sender.send(memoryview(train))
    assert ([train], 0, 3) == (fake.sent, sender.refused, sender.calls)


def test_unforeseen_refusal_is_a_kernel_error() -> None:
    """An errno that no passing fault explains is raised, not counted."""
    sender = batched_over(FakeSocket(lambda _length, _segment: errno.EDESTADDRREQ), 500)
    with pytest.raises(KernelError, match="EDESTADDRREQ"):
        sender.send(memoryview(payload(1, 500)))


def test_listening_needs_no_numpy() -> None:
    """The process that listens loads neither numpy nor asyncio with this module."""
    script = "import sys, diode.net.udp; print(sorted({'numpy', 'asyncio', 'asyncio_dgram'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()


def passed(sock: socket.socket) -> int:
    """A descriptor of ``sock`` that whoever adopts it may close."""
    return socket.dup(sock.fileno())


def test_an_adopted_socket_receives_what_waited_in_it(closing: Closing) -> None:
    """What was sent before this process had the socket is received; the one who passed it keeps the port."""
    holder = closing(udp.open_receiver(LOOPBACK, BUFFER_BYTES))
    address = udp.bound_address(holder)
    sender = closing(udp.open_sender(address))
    sender.sendto(b"waited", (address.host, address.port))
    adopted = udp.adopt_receiver(passed(holder), address, BUFFER_BYTES)
    reader = udp.choose_reader("auto", adopted, QUIET_S)
    assert b"waited" == receive_all(reader, 6)
    reader.close()
    sender.sendto(b"later", (address.host, address.port))
    assert b"later" == holder.recv(10)


def test_any_port_of_the_address_is_adopted_for_port_0(closing: Closing) -> None:
    """Port 0 in the configuration leaves it to whoever opened the socket."""
    holder = closing(udp.open_receiver(LOOPBACK, BUFFER_BYTES))
    adopted = closing(udp.adopt_receiver(passed(holder), LOOPBACK, BUFFER_BYTES))
    assert udp.bound_address(holder) == udp.bound_address(adopted)


@pytest.mark.parametrize(
    ("family", "kind", "host", "complaint"),
    [
        (socket.AF_INET, socket.SOCK_DGRAM, "127.0.0.1", "is bound to 127.0.0.1:"),
        (socket.AF_INET, socket.SOCK_DGRAM, "0.0.0.0", r"is bound to 0\.0\.0\.0:"),
        (socket.AF_INET6, socket.SOCK_DGRAM, "::1", r"is bound to \[::1\]:"),
        (socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1", "is no UDP socket"),
        (socket.AF_UNIX, socket.SOCK_DGRAM, "", "is no UDP socket"),
    ],
)
def test_another_socket_than_the_configured_one_is_refused(
    family: socket.AddressFamily, kind: socket.SocketKind, host: str, complaint: str, closing: Closing
) -> None:
    """Family, kind and address have to be those of link.listen; the error says what to write where."""
    if family == socket.AF_INET6 and not has_ipv6():
        pytest.skip("no IPv6 on this machine")
    holder = closing(socket.socket(family, kind))
    if host:
        holder.bind((host, 0))
    fd = passed(holder)
    with pytest.raises(UsageError, match=f"{complaint}.*ListenDatagram=127.0.0.1:9"):
        udp.adopt_receiver(fd, Address("127.0.0.1", 9), BUFFER_BYTES)
    with pytest.raises(OSError, match="Bad file descriptor"):
        socket.dup(fd)


def test_a_descriptor_that_is_no_socket_is_refused(closing: Closing) -> None:
    """Such as a file."""
    with open("/dev/null", "rb") as file, pytest.raises(UsageError, match="is none"):
        udp.adopt_receiver(file.fileno(), LOOPBACK, BUFFER_BYTES)


@pytest.mark.parametrize("forced", [True, False])
def test_a_passed_buffer_never_shrinks(forced: bool, closing: Closing, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit may grant more than this process could ask for; it may also grant less."""
    if not forced:
        monkeypatch.setattr(udp, "_SO_RCVBUFFORCE", socket.SO_RCVBUF)  # as without CAP_NET_ADMIN
    holder = closing(udp.open_receiver(LOOPBACK, 128 << 10))
    granted = udp.socket_memory(holder).granted_bytes
    closing(udp.adopt_receiver(passed(holder), LOOPBACK, 64 << 10))
    assert granted == udp.socket_memory(holder).granted_bytes
    closing(udp.adopt_receiver(passed(holder), LOOPBACK, 160 << 10))
    assert granted < udp.socket_memory(holder).granted_bytes


def test_what_an_earlier_reader_switched_on_is_off_again(closing: Closing) -> None:
    """A daemon on the portable path may follow one on the batched path on the same socket."""
    holder = closing(udp.open_receiver(LOOPBACK, BUFFER_BYTES))
    reader = udp.choose_reader("auto", udp.adopt_receiver(passed(holder), LOOPBACK, BUFFER_BYTES), QUIET_S)
    if reader.name != "batched":
        pytest.skip("this kernel knows no UDP_GRO")
    reader.close()
    assert 1 == holder.getsockopt(socket.IPPROTO_UDP, udp._UDP_GRO)
    closing(udp.adopt_receiver(passed(holder), LOOPBACK, BUFFER_BYTES))
    assert 0 == holder.getsockopt(socket.IPPROTO_UDP, udp._UDP_GRO)
