"""Sockets are bound or taken over as the configuration says, and closed to what they are not for."""

import socket
from collections.abc import Callable

import pytest

from diode.errors import NetworkError, UsageError
from diode.net.address import Address
from diode.net.sockets import UDP_GRO, adopt_receiver, bound_address, open_receiver, open_sender, socket_memory
from diode.net.udp import choose_reader
from tests.diode.net.loopback import BUFFER_BYTES, LOOPBACK, QUIET_S, Closing, has_ipv6, receive_all


def test_filter_of_sender_is_locked(closing: Closing) -> None:
    """Nobody takes the filter off a sender's socket again, and it is connected to nobody."""
    sock = closing(open_sender(Address("127.0.0.1", 9)))
    with pytest.raises(PermissionError):
        sock.setsockopt(socket.SOL_SOCKET, 27, 0)  # SO_DETACH_FILTER
    with pytest.raises(OSError, match="not connected"):
        sock.getpeername()
    assert not sock.get_inheritable()


def test_port_in_use_is_one_clear_line(closing: Closing) -> None:
    """A second listener on a port is told so."""
    address = bound_address(closing(open_receiver(LOOPBACK, BUFFER_BYTES)))
    with pytest.raises(UsageError) as caught:
        open_receiver(address, BUFFER_BYTES)
    assert f"cannot listen on {address}: the port is in use by another program" == str(caught.value)


def test_missing_interface_is_one_clear_line() -> None:
    """A listener on an address that this machine does not have is told so."""
    with pytest.raises(NetworkError, match="no network interface of this machine has that address"):
        open_receiver(Address("192.0.2.77", 0), BUFFER_BYTES)


def test_socket_memory_counts_queue_and_drops(closing: Closing) -> None:
    """What waits in a socket, what it may hold and what it lost are read from the kernel."""
    receiver = closing(open_receiver(LOOPBACK, 1 << 16))
    to = bound_address(receiver)
    empty = socket_memory(receiver)
    assert (0, 0) == (empty.queued_bytes, empty.drops)
    assert 1 << 16 <= empty.granted_bytes
    stranger = closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    for _ in range(400):
        stranger.sendto(bytes(1400), to)
    full = socket_memory(receiver)
    assert 0 < full.queued_bytes
    assert 0 < full.drops < 400


def passed(sock: socket.socket) -> int:
    """A descriptor of ``sock`` that whoever adopts it may close."""
    return socket.dup(sock.fileno())


def test_an_adopted_socket_receives_what_waited_in_it(closing: Closing) -> None:
    """What was sent before this process had the socket is received; the one who passed it keeps the port."""
    holder = closing(open_receiver(LOOPBACK, BUFFER_BYTES))
    address = bound_address(holder)
    sender = closing(open_sender(address))
    sender.sendto(b"waited", (address.host, address.port))
    adopted = adopt_receiver(passed(holder), address, BUFFER_BYTES)
    reader = choose_reader("auto", adopted, QUIET_S)
    assert b"waited" == receive_all(reader, 6)
    reader.close()
    sender.sendto(b"later", (address.host, address.port))
    assert b"later" == holder.recv(10)


def test_any_port_of_the_address_is_adopted_for_port_0(closing: Closing) -> None:
    """Port 0 in the configuration leaves it to whoever opened the socket."""
    holder = closing(open_receiver(LOOPBACK, BUFFER_BYTES))
    adopted = closing(adopt_receiver(passed(holder), LOOPBACK, BUFFER_BYTES))
    assert bound_address(holder) == bound_address(adopted)


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
        adopt_receiver(fd, Address("127.0.0.1", 9), BUFFER_BYTES)
    with pytest.raises(OSError, match="Bad file descriptor"):
        socket.dup(fd)


def test_a_descriptor_that_is_no_socket_is_refused(closing: Closing) -> None:
    """Such as a file."""
    with open("/dev/null", "rb") as file, pytest.raises(UsageError, match="is none"):
        adopt_receiver(file.fileno(), LOOPBACK, BUFFER_BYTES)


@pytest.mark.parametrize("forced", [True, False])
def test_a_passed_buffer_never_shrinks(forced: bool, closing: Closing, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit may grant more than this process could ask for; it may also grant less."""
    if not forced:
        monkeypatch.setattr("diode.net.sockets._SO_RCVBUFFORCE", socket.SO_RCVBUF)  # as without CAP_NET_ADMIN
    holder = closing(open_receiver(LOOPBACK, 128 << 10))
    granted = socket_memory(holder).granted_bytes
    closing(adopt_receiver(passed(holder), LOOPBACK, 64 << 10))
    assert granted == socket_memory(holder).granted_bytes
    closing(adopt_receiver(passed(holder), LOOPBACK, 160 << 10))
    assert granted < socket_memory(holder).granted_bytes


def test_what_an_earlier_reader_switched_on_is_off_again(closing: Closing) -> None:
    """A daemon on the portable path may follow one on the batched path on the same socket."""
    holder = closing(open_receiver(LOOPBACK, BUFFER_BYTES))
    reader = choose_reader("auto", adopt_receiver(passed(holder), LOOPBACK, BUFFER_BYTES), QUIET_S)
    if reader.name != "batched":
        pytest.skip("this kernel knows no UDP_GRO")
    reader.close()
    assert 1 == holder.getsockopt(socket.IPPROTO_UDP, UDP_GRO)
    closing(adopt_receiver(passed(holder), LOOPBACK, BUFFER_BYTES))
    assert 0 == holder.getsockopt(socket.IPPROTO_UDP, UDP_GRO)


@pytest.mark.parametrize("opened", [open_sender, lambda address: open_receiver(address, BUFFER_BYTES)])
def test_the_broadcast_address_of_a_net_is_refused(opened: Callable[[Address], socket.socket]) -> None:
    """Loopback is a net of this host, too."""
    with pytest.raises(UsageError, match="broadcast address of one of this host's own nets"):
        opened(Address("127.255.255.255", 9000))
