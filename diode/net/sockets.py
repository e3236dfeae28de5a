"""Opens UDP sockets that work in one direction only, or takes them over from systemd, and asks what they lost.

A sending socket is never connected: a connected one turns ICMP messages into errors, and that is a way back. A locked
socket filter keeps it from receiving anything. A receiving socket is only read.
"""

import errno
import math
import socket
import struct
from array import array
from typing import Final, NamedTuple

from diode.errors import KernelError, NetworkError, UsageError
from diode.net.address import Address, SocketAddress

SEND_BUFFER_BYTES: Final = 4 << 20
SEND_TIMEOUT_S: Final = 0.1  # a driver that stalls must not keep a sender from its stop signal

# Linux numbers that the socket module of Python 3.11 does not name (include/uapi: asm-generic/socket.h, linux/udp.h,
# linux/in.h, linux/in6.h).
_SO_ATTACH_FILTER: Final = 26
_SO_SNDBUFFORCE: Final = 32
_SO_RCVBUFFORCE: Final = 33
_SO_LOCK_FILTER: Final = 44
_SO_MEMINFO: Final = 55
UDP_SEGMENT: Final = 103
UDP_GRO: Final = 104
_IP_MTU_DISCOVER: Final = 10
_IPV6_MTU_DISCOVER: Final = 23
_PMTUDISC_PROBE: Final = 3  # set Don't Fragment, and believe no ICMP about the path

# An interface, or its address, that is not there yet at boot: systemd starts a daemon again that ends for this.
_COMES_LATER: Final = frozenset({errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.ENODEV, errno.ENXIO})
_MEMINFO: Final = struct.Struct("9I")
_TIMEVAL: Final = struct.Struct("ll")
_BPF_RET_0: Final = struct.pack("HBBI", 0x06, 0, 0, 0)  # struct sock_filter: keep 0 bytes of every packet


class SocketMemory(NamedTuple):
    """A socket's receive side as the kernel counts it (``sock_diag(7)``, SK_MEMINFO_*)."""

    queued_bytes: int  # waiting to be read, in buffers' true sizes, which are larger than the datagrams
    granted_bytes: int  # the limit of that: twice what was asked for, if the kernel agreed to it
    drops: int  # packets lost since the socket was opened, as a 32-bit counter; a coalesced run may count as one


def open_sender(to: Address) -> socket.socket:
    """A socket to send to ``to`` by ``sendto``. It is not connected, never fragments, and can never receive."""
    to.refuse_broadcast()
    sock = _made(to.resolve()[0], to)
    family = sock.family
    try:
        _close_to_reading(sock)
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
        _ask_for_buffer(sock, _SO_SNDBUFFORCE, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval(SEND_TIMEOUT_S))
    except OSError as error:
        sock.close()
        raise KernelError(f"cannot set up a socket to send to {to}: {error.strerror}") from error
    return sock


def open_receiver(listen: Address, buffer_bytes: int) -> socket.socket:
    """A socket bound to ``listen``, only to be read. :func:`socket_memory` tells how many buffer bytes were granted."""
    listen.refuse_broadcast()
    family, address = listen.resolve()
    sock = _made(family, listen)
    try:
        _ask_for_buffer(sock, _SO_RCVBUFFORCE, socket.SO_RCVBUF, buffer_bytes)
        sock.bind(address)
    except OSError as error:
        sock.close()
        kind = NetworkError if error.errno in _COMES_LATER else UsageError
        raise kind(f"cannot listen on {listen}: {_bind_advice(error)}") from error
    return sock


def adopt_receiver(fd: int, listen: Address, buffer_bytes: int) -> socket.socket:
    """Set up the socket that systemd bound to ``listen``, as :func:`open_receiver` would have opened it.

    Raises UsageError when it is another kind of socket, or bound elsewhere. Its buffer is never made smaller: systemd
    may have set it above the system's limit.
    """
    try:
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise UsageError(f"descriptor {fd} was passed as the socket, and is none: {error.strerror}") from error
    try:
        listen.refuse_broadcast()
        family, address = listen.resolve()
        _check_passed(sock, family, address, listen)
        _enlarge_buffer(sock, buffer_bytes)
        if knows(sock, UDP_GRO):  # an earlier process may have left it on; the reader switches it on again
            sock.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 0)
    except OSError as error:
        sock.close()
        raise UsageError(f"the socket that was passed cannot be set up: {error.strerror}") from error
    except UsageError:
        sock.close()
        raise
    return sock


def bound_address(sock: socket.socket) -> Address:
    """The address to which ``sock`` is bound, with the port that the kernel chose for port 0."""
    host, port = sock.getsockname()[:2]
    return Address(host, port)


def socket_memory(sock: socket.socket) -> SocketMemory:
    """How full the receive buffer is, how large it is, and how many datagrams it lost, in one call."""
    # u32 each: RMEM_ALLOC, RCVBUF, WMEM_ALLOC, SNDBUF, FWD_ALLOC, WMEM_QUEUED, OPTMEM, BACKLOG, DROPS
    fields = _MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))
    return SocketMemory(queued_bytes=fields[0], granted_bytes=fields[1], drops=fields[8])


def knows(sock: socket.socket, option: int) -> bool:
    """Whether this kernel supports the UDP option (UDP_SEGMENT or UDP_GRO)."""
    try:
        sock.getsockopt(socket.IPPROTO_UDP, option)
    except OSError:
        return False
    return True


def knows_offload(*, receives: bool) -> bool:
    """Whether this kernel takes trains of datagrams (or, with ``receives``, gives runs of them) in one call."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return knows(sock, UDP_GRO if receives else UDP_SEGMENT)


def timeval(seconds: float) -> bytes:
    """``seconds`` as a ``struct timeval``. It is never zero, which would mean to wait for ever."""
    microseconds = max(1, math.ceil(seconds * 1_000_000))
    return _TIMEVAL.pack(*divmod(microseconds, 1_000_000))


def _made(family: socket.AddressFamily, address: Address) -> socket.socket:
    try:
        return socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:  # a kernel without IPv6, or no descriptor left
        raise KernelError(f"cannot open a socket for {address}: {error.strerror}") from error


def _close_to_reading(sock: socket.socket) -> None:
    """Attach a filter that drops every packet, and lock it: not even this process can remove it."""
    program = array("B", _BPF_RET_0)
    address, _ = program.buffer_info()
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, address))  # struct sock_fprog
    sock.setsockopt(socket.SOL_SOCKET, _SO_LOCK_FILTER, 1)


def _ask_for_buffer(sock: socket.socket, forced: int, asked: int, size_bytes: int) -> None:
    """Past the system's limit (net.core.[rw]mem_max) where this process may (CAP_NET_ADMIN), up to it elsewhere."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, forced, size_bytes)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, asked, size_bytes)


def _enlarge_buffer(sock: socket.socket, size_bytes: int) -> None:
    """As :func:`_ask_for_buffer`, but only if more is granted than ``sock`` has: a trial on another socket tells."""
    granted = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as trial:
        _ask_for_buffer(trial, _SO_RCVBUFFORCE, socket.SO_RCVBUF, size_bytes)
        if trial.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= granted:
            return
    _ask_for_buffer(sock, _SO_RCVBUFFORCE, socket.SO_RCVBUF, size_bytes)


def _check_passed(sock: socket.socket, family: socket.AddressFamily, address: SocketAddress, listen: Address) -> None:
    """Raise UsageError unless ``sock`` is what link.listen says."""
    do = f"write ListenDatagram={listen} in the .socket unit, or change link.listen"
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.proto != socket.IPPROTO_UDP:
        raise UsageError(f"the socket that was passed is no UDP socket; {do}")
    found = sock.getsockname()
    if (sock.family, found[0], found[1]) != (family, address[0], address[1] or found[1]):
        raise UsageError(f"the socket that was passed is bound to {bound_address(sock)}, not to {listen}; {do}")


def _bind_advice(error: OSError) -> str:
    return {
        errno.EADDRINUSE: "the port is in use by another program",
        errno.EADDRNOTAVAIL: "no network interface of this machine has that address",
        errno.EACCES: "ports below 1024 need a privilege this process does not have",
    }.get(error.errno or 0, error.strerror or str(error))
