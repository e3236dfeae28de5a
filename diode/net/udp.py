"""The only room with UDP sockets in it: trains go out, runs of datagrams come in, and nothing ever goes back.

::

    train -> BatchedSender (UDP_SEGMENT)                  BatchedReader (UDP_GRO)        -> run
             PortableSender (asyncio-dgram) ~~ one way ~> PortableReader (asyncio-dgram)

Two paths do the same: *batched* hands the kernel a whole train in one call and takes a whole run in one; *portable* is
asyncio-dgram, one datagram at a time, for kernels without the offloads. An offload that the kernel refuses costs speed,
never a datagram.

Invariants. A sender socket is never connected (a connected one turns ICMP into errors: a way back) and is closed to
reading by a locked filter. A receiver socket is only read. No numpy in here: the process that listens has none.
"""

import errno
import math
import socket
import struct
import sys
import time
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self

from diode.errors import KernelError, UsageError

if TYPE_CHECKING:
    import asyncio

MAX_TRAIN_BYTES: Final = 65507  # an IPv4 packet (65535) less its headers
MAX_TRAIN_DATAGRAMS: Final = 64  # UDP_MAX_SEGMENTS of kernels before 6.9; later ones take 128
MAX_RUN_BYTES: Final = 65535  # no run that a read returns is longer

SEND_BUFFER_BYTES: Final = 4 << 20
SEND_TIMEOUT_S: Final = 0.1  # a driver that stalls must not keep a sender from its stop signal
RETRY_S: Final = 0.05  # how long one train is offered again to a kernel without room
RETRY_SLEEP_S: Final = 0.0005
NAP_S: Final = 0.0003  # 1 MB at 25 Gbit/s, of a buffer of tens
QUEUE_LIMIT_DATAGRAMS: Final = 4096  # of asyncio-dgram's receive queue, which has no bound of its own

# Linux numbers that the socket module of Python 3.11 does not name (include/uapi: asm-generic/socket.h, linux/udp.h,
# linux/in.h, linux/in6.h).
_SO_ATTACH_FILTER: Final = 26
_SO_SNDBUFFORCE: Final = 32
_SO_RCVBUFFORCE: Final = 33
_SO_LOCK_FILTER: Final = 44
_SO_MEMINFO: Final = 55
_UDP_SEGMENT: Final = 103
_UDP_GRO: Final = 104
_IP_MTU_DISCOVER: Final = 10
_IPV6_MTU_DISCOVER: Final = 23
_PMTUDISC_PROBE: Final = 3  # set Don't Fragment, and believe no ICMP about the path

_MEMINFO: Final = struct.Struct("9I")
_TIMEVAL: Final = struct.Struct("ll")
_BPF_RET_0: Final = struct.pack("HBBI", 0x06, 0, 0, 0)  # struct sock_filter: keep 0 bytes of every packet
_GRO_SPACE: Final = socket.CMSG_SPACE(4)

_NO_ROOM: Final = frozenset({errno.ENOBUFS, errno.EAGAIN})
_NO_OFFLOAD: Final = frozenset({errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP})
# What a pulled cable, a firewall rule or an interface being reconfigured looks like: it passes, so the sender goes on.
_PASSING: Final = _NO_ROOM | {
    errno.EPERM,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.EHOSTUNREACH,
    errno.EHOSTDOWN,
    errno.ECONNREFUSED,
    errno.EADDRNOTAVAIL,
    errno.ENODEV,
}

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
Path = Literal["auto", "batched", "portable"]


class Address(NamedTuple):
    """Where datagrams go to or are awaited. ``host`` is an IPv4 or IPv6 address, or a name."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """``HOST:PORT`` or ``[IPV6]:PORT``; ValueError says what is wrong with anything else."""
        host, colon, port = text.strip().rpartition(":")
        if not colon or not host:
            raise ValueError(f"{text!r} is not HOST:PORT")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"{text!r}: put an IPv6 address in brackets, as in [::1]:9000")
        if not host or "[" in host or "]" in host:
            raise ValueError(f"{text!r} is not HOST:PORT")
        if not (port.isascii() and port.isdigit() and int(port) <= 0xFFFF):
            raise ValueError(f"{text!r}: the port must be a number from 0 to 65535")
        return cls(host, int(port))

    @property
    def family(self) -> socket.AddressFamily:
        """``AF_INET`` or ``AF_INET6``; a name is looked up."""
        return self.resolve()[0]

    def resolve(self) -> tuple[socket.AddressFamily, SocketAddress]:
        """Family and numeric socket address; asks the resolver for names only. UsageError when it knows none."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            raise UsageError(f"cannot find the host of {self}: {error}") from error
        family, _, _, _, address = found[0]
        return family, address  # type: ignore[return-value]  # typeshed allows for builds of Python without IPv6

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class SocketMemory(NamedTuple):
    """A socket's receive side as the kernel counts it (``sock_diag(7)``, SK_MEMINFO_*)."""

    queued_bytes: int  # waiting to be read, in buffers' true sizes, which are larger than the datagrams
    granted_bytes: int  # the limit of that: twice what was asked for, if the kernel agreed to it
    drops: int  # packets lost since the socket was opened, as a 32-bit counter; a coalesced run may count as one


def train_datagrams(datagram_bytes: int) -> int:
    """How many datagrams of this size one train may hold; at least one."""
    return max(1, min(MAX_TRAIN_DATAGRAMS, MAX_TRAIN_BYTES // datagram_bytes))


def open_sender(to: Address) -> socket.socket:
    """A socket to send to ``to`` with ``sendto``: not connected, never fragmenting, and closed to reading for good."""
    family, _ = to.resolve()
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        _close_to_reading(sock)
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
        _ask_for_buffer(sock, _SO_SNDBUFFORCE, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(SEND_TIMEOUT_S))
    except OSError as error:
        sock.close()
        raise KernelError(f"cannot set up a socket to send to {to}: {error.strerror}") from error
    return sock


def open_receiver(listen: Address, buffer_bytes: int) -> socket.socket:
    """A socket bound to ``listen``, to be read only; :func:`socket_memory` tells what ``buffer_bytes`` were granted."""
    family, address = listen.resolve()
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        _ask_for_buffer(sock, _SO_RCVBUFFORCE, socket.SO_RCVBUF, buffer_bytes)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise UsageError(f"cannot listen on {listen}: {_bind_advice(error)}") from error
    return sock


def adopt_receiver(fd: int, listen: Address, buffer_bytes: int) -> socket.socket:
    """The socket that systemd bound to ``listen``, as :func:`open_receiver` would have opened it.

    UsageError when it is another one. Its buffer is never made smaller: systemd may set it past the system's limit.
    """
    try:
        sock = socket.socket(fileno=fd)
    except OSError as error:
        raise UsageError(f"descriptor {fd} was passed as the socket, and is none: {error.strerror}") from error
    try:
        family, address = listen.resolve()
        _check_passed(sock, family, address, listen)
        _enlarge_buffer(sock, buffer_bytes)
        if _knows(sock, _UDP_GRO):  # an earlier process may have left it on; the reader switches it on again
            sock.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, 0)
    except OSError as error:
        sock.close()
        raise UsageError(f"the socket that was passed cannot be set up: {error.strerror}") from error
    except UsageError:
        sock.close()
        raise
    return sock


def bound_address(sock: socket.socket) -> Address:
    """Where ``sock`` is bound: the port that the kernel chose, when port 0 was asked for."""
    host, port = sock.getsockname()[:2]
    return Address(host, port)


def socket_memory(sock: socket.socket) -> SocketMemory:
    """How full the receive buffer is, how large it is, and what it lost, in one call."""
    # u32 each: RMEM_ALLOC, RCVBUF, WMEM_ALLOC, SNDBUF, FWD_ALLOC, WMEM_QUEUED, OPTMEM, BACKLOG, DROPS
    fields = _MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))
    return SocketMemory(queued_bytes=fields[0], granted_bytes=fields[1], drops=fields[8])


class BatchedSender:
    """Hands the kernel one train a call (UDP_SEGMENT). Owns ``sock`` until :meth:`close`."""

    name = "batched"

    def __init__(self, sock: socket.socket, to: Address, datagram_bytes: int) -> None:
        self.calls = 0  # system calls that were to send
        self.refused = 0  # datagrams that the kernel did not take
        self.degraded: str | None = None  # why the offload is off, once it is
        self._sock = sock
        self._to = to
        _, self._socket_address = to.resolve()
        self.resize(datagram_bytes)

    def resize(self, datagram_bytes: int) -> None:
        """From now on trains are of datagrams this long."""
        self._datagram_bytes = datagram_bytes
        if self.degraded is None:
            try:
                self._sock.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, datagram_bytes)
            except OSError as error:
                self._degrade(error.errno or 0)

    def send(self, train: memoryview) -> None:
        """Send at most :func:`train_datagrams` datagrams; the last one may be shorter. ``train`` is free afterwards.

        What the kernel cannot take at the moment is counted in ``refused``. KernelError: it will never take it.
        """
        deadline = time.monotonic() + RETRY_S
        if self.degraded is None:
            code = self._offer(train, deadline)
            if code not in _NO_OFFLOAD:
                if code:
                    self._count_refused(code, _count(train, self._datagram_bytes))
                return
            self._degrade(code)  # and nothing of the train was sent, so all of it is sent below
        for datagram in _cut(train, self._datagram_bytes):
            code = self._offer(datagram, deadline)
            if code:
                self._count_refused(code, 1)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def _offer(self, piece: memoryview, deadline: float) -> int:
        """0, or the errno that the kernel refused ``piece`` with."""
        while True:
            self.calls += 1
            try:
                self._sock.sendto(piece, self._socket_address)
            except OSError as error:
                code = error.errno or errno.EIO
                if code not in _NO_ROOM or time.monotonic() >= deadline:
                    return code
            else:
                return 0
            time.sleep(RETRY_SLEEP_S)

    def _degrade(self, code: int) -> None:
        self.degraded = f"the kernel refused UDP segmentation offload: {errno.errorcode.get(code, str(code))}"
        try:
            self._sock.setsockopt(socket.IPPROTO_UDP, _UDP_SEGMENT, 0)
        except OSError as error:
            if error.errno != errno.ENOPROTOOPT:  # such a kernel has nothing to switch off
                raise

    def _count_refused(self, code: int, datagrams: int) -> None:
        _raise_unless_passing(code, self._to, self._datagram_bytes)
        self.refused += datagrams


class PortableSender:
    """Sends one datagram at a time through asyncio-dgram. Owns ``sock``, and an event loop, until :meth:`close`."""

    name = "portable"

    def __init__(self, sock: socket.socket, to: Address, datagram_bytes: int) -> None:
        self.calls = 0
        self.refused = 0
        self.degraded: str | None = None
        self._to = to
        _, self._socket_address = to.resolve()
        self._datagram_bytes = datagram_bytes
        self._loop, self._stream = _open_stream(sock)
        # With a high-water mark of 0, awaiting a send awaits the socket, so that no datagram is left in the transport
        # when the loop stops between two trains. asyncio-dgram has no public way to its transport.
        self._stream._transport.set_write_buffer_limits(high=0)  # noqa: SLF001

    def send(self, train: memoryview) -> None:
        """As :meth:`BatchedSender.send`."""
        self._loop.run_until_complete(self._send_all(train))

    def close(self) -> None:
        """Close the socket and the event loop."""
        _close_stream(self._loop, self._stream)

    async def _send_all(self, train: memoryview) -> None:
        import asyncio

        left = _count(train, self._datagram_bytes)
        deadline = time.monotonic() + RETRY_S
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S + RETRY_S):
                for datagram in _cut(train, self._datagram_bytes):
                    code = await self._offer(datagram, deadline)
                    if code:
                        _raise_unless_passing(code, self._to, self._datagram_bytes)
                        self.refused += 1
                    left -= 1
        except TimeoutError:
            self.refused += left

    async def _offer(self, datagram: memoryview, deadline: float) -> int:
        import asyncio

        while True:
            self.calls += 1
            try:
                await self._stream.send(datagram, self._socket_address)
                _ = self._stream.exception  # a failure is noted there, and would be raised by the *next* send
            except OSError as error:
                code = error.errno or errno.EIO
                if code not in _NO_ROOM or time.monotonic() >= deadline:
                    return code
            else:
                return 0
            await asyncio.sleep(RETRY_SLEEP_S)


def choose_sender(path: Path, sock: socket.socket, to: Address, datagram_bytes: int) -> BatchedSender | PortableSender:
    """The sender of this ``path``; ``auto`` is batched where the kernel knows UDP_SEGMENT."""
    if path == "batched" or (path == "auto" and _knows(sock, _UDP_SEGMENT)):
        return BatchedSender(sock, to, datagram_bytes)
    return PortableSender(sock, to, datagram_bytes)


class BatchedReader:
    """Takes one run of equal-sized datagrams a call (UDP_GRO). Owns ``sock`` until :meth:`close`."""

    name = "batched"

    def __init__(self, sock: socket.socket, timeout_s: float) -> None:
        self.calls = 0  # system calls that were to receive
        self.dropped = 0  # always 0 here: what the kernel drops, socket_memory counts
        self.degraded: str | None = None
        self._sock = sock
        sock.settimeout(None)
        # The kernel's own timeout: Python's would put a poll() before every read.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(timeout_s))
        try:
            sock.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, 1)
        except OSError as error:
            self.degraded = f"the kernel refused UDP receive offload: {error.strerror}"

    def receive(self, into: memoryview) -> int:
        """Write one run of datagrams (the last may be shorter) to the start of ``into``; returns its bytes.

        0 when none came for ``timeout_s``, or an empty one. ``into`` has at least MAX_RUN_BYTES; it stays the caller's.
        A reader that has emptied its socket naps before it waits: woken for every train, it would cost both ends more
        than the reading does.
        """
        self.calls += 1
        try:
            return self._sock.recv_into(into, 0, socket.MSG_DONTWAIT)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                return _quiet(error)
        time.sleep(NAP_S)
        try:
            return self._sock.recv_into(into)
        except OSError as error:
            return _quiet(error)

    def receive_sized(self, into: memoryview, *, wait: bool = True) -> tuple[int, int]:
        """As :meth:`receive`, with the size of the run's datagrams, so that nothing need be known of their content.

        ``wait=False`` returns at once when nothing is queued.
        """
        self.calls += 1
        try:
            length, messages, _, _ = self._sock.recvmsg_into([into], _GRO_SPACE, 0 if wait else socket.MSG_DONTWAIT)
        except OSError as error:
            return _quiet(error), 0
        for level, kind, data in messages:
            if (level, kind) == (socket.IPPROTO_UDP, _UDP_GRO):
                return length, int.from_bytes(data[:4], sys.byteorder)
        return length, length

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


class PortableReader:
    """Takes datagrams one at a time through asyncio-dgram. Owns ``sock``, and an event loop, until :meth:`close`."""

    name = "portable"

    def __init__(
        self, sock: socket.socket, timeout_s: float, *, queue_limit_datagrams: int = QUEUE_LIMIT_DATAGRAMS
    ) -> None:
        self.calls = 0
        self.dropped = 0  # datagrams thrown away because asyncio-dgram's queue was over its limit
        self.degraded: str | None = None
        self._timeout_s = timeout_s
        self._queue_limit_datagrams = queue_limit_datagrams
        self._kept = b""
        self._loop, self._stream = _open_stream(sock)
        self._queue = self._stream._recvq  # noqa: SLF001  # not public, but the only way to see how long it is

    def receive(self, into: memoryview) -> int:
        """As :meth:`BatchedReader.receive`; all datagrams of a run are of one size here."""
        return self._loop.run_until_complete(self._gather(into))

    def close(self) -> None:
        """Close the socket and the event loop."""
        _close_stream(self._loop, self._stream)

    async def _gather(self, into: memoryview) -> int:
        self._drop_excess()
        datagram, self._kept = self._kept or await self._wait(), b""
        size, filled = len(datagram), 0
        while datagram:
            if len(datagram) != size or filled + size > MAX_RUN_BYTES:
                self._kept = datagram
                break
            into[filled : filled + size] = datagram
            filled += size
            datagram = await self._take_queued()
        return filled

    async def _wait(self) -> bytes:
        """The next datagram; empty when none comes in time."""
        import asyncio

        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._take()
        except TimeoutError:
            return b""

    async def _take_queued(self) -> bytes:
        """The next datagram that has already arrived; empty when there is none.

        The loop looks at the socket once a turn, after the tasks that are ready: two turns tell that it is empty.
        """
        import asyncio

        for _ in range(2):
            if self._queue.qsize():
                break
            await asyncio.sleep(0)
        return await self._take() if self._queue.qsize() else b""

    async def _take(self) -> bytes:
        self.calls += 1
        try:
            datagram, _ = await self._stream.recv()
        except OSError as error:
            _quiet(error)
            return b""
        return bytes(datagram)

    def _drop_excess(self) -> None:
        while self._queue.qsize() > self._queue_limit_datagrams:
            self._queue.get_nowait()
            self.dropped += 1


def choose_reader(path: Path, sock: socket.socket, timeout_s: float) -> BatchedReader | PortableReader:
    """The reader of this ``path``; ``auto`` is batched where the kernel knows UDP_GRO."""
    if path == "batched" or (path == "auto" and _knows(sock, _UDP_GRO)):
        return BatchedReader(sock, timeout_s)
    return PortableReader(sock, timeout_s)


def knows_offload(*, receives: bool) -> bool:
    """Whether this kernel takes trains of datagrams, or gives runs of them, in one call."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return _knows(sock, _UDP_GRO if receives else _UDP_SEGMENT)


def _close_to_reading(sock: socket.socket) -> None:
    """Attach a filter that keeps nothing of any packet, and lock it: not even this process can take it off."""
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
    """UsageError unless ``sock`` is what link.listen says."""
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


def _timeval(seconds: float) -> bytes:
    """``struct timeval``; never zero, which would mean for ever."""
    microseconds = max(1, math.ceil(seconds * 1_000_000))
    return _TIMEVAL.pack(*divmod(microseconds, 1_000_000))


def _knows(sock: socket.socket, option: int) -> bool:
    try:
        sock.getsockopt(socket.IPPROTO_UDP, option)
    except OSError:
        return False
    return True


def _count(train: memoryview, datagram_bytes: int) -> int:
    return -(-len(train) // datagram_bytes)


def _cut(train: memoryview, datagram_bytes: int) -> Iterator[memoryview]:
    return (train[start : start + datagram_bytes] for start in range(0, len(train), datagram_bytes))


def _raise_unless_passing(code: int, to: Address, datagram_bytes: int) -> None:
    if code in _PASSING:
        return
    if code == errno.EMSGSIZE:
        raise KernelError(
            f"the network interface towards {to} has too small an MTU for datagrams of {datagram_bytes} bytes; "
            f"lower link.mtu in the configuration, or raise the interface's MTU"
        )
    name = errno.errorcode.get(code, str(code))
    raise KernelError(f"the kernel refused to send to {to}: {name}")


def _quiet(error: OSError) -> int:
    """0 for an error of a read that means nothing came (a timeout, a signal, a stray ICMP); raises for others."""
    if error.errno == errno.EINTR or error.errno in _PASSING:
        return 0
    raise KernelError(f"the kernel refused to receive: {error.strerror}") from error


def _open_stream(sock: socket.socket) -> tuple["asyncio.AbstractEventLoop", Any]:
    """An event loop of our own and asyncio-dgram's stream over ``sock``; imported here to keep `listen` small."""
    import asyncio

    import asyncio_dgram

    loop = asyncio.new_event_loop()
    return loop, loop.run_until_complete(asyncio_dgram.from_socket(sock))


def _close_stream(loop: "asyncio.AbstractEventLoop", stream: Any) -> None:
    if loop.is_closed():
        return
    import asyncio

    stream.close()
    loop.run_until_complete(asyncio.sleep(0))  # lets the transport close the socket
    loop.close()
