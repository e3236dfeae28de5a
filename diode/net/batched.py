"""The batched path: the kernel takes a whole train in one call (UDP_SEGMENT), or gives a whole run in one (UDP_GRO).

When the kernel refuses an offload, sending gets slower, but no datagram is lost.
"""

import errno
import socket
import sys
import time
from typing import Final

from diode.net.address import Address
from diode.net.refusals import NO_OFFLOAD, NO_ROOM, RETRY_S, RETRY_SLEEP_S, named, quiet, raise_unless_passing
from diode.net.sockets import UDP_GRO, UDP_SEGMENT, timeval
from diode.net.trains import count_datagrams, cut

NAP_S: Final = 0.0003  # 1 MB at 25 Gbit/s, of a buffer of tens
_GRO_SPACE: Final = socket.CMSG_SPACE(4)


class BatchedSender:
    """Sends one train with each call (UDP_SEGMENT). Owns ``sock`` until :meth:`close`."""

    name = "batched"

    def __init__(self, sock: socket.socket, to: Address, datagram_bytes: int) -> None:
        self.calls = 0  # system calls that were to send
        self.refused = 0  # datagrams that the kernel did not take
        self.refusal = 0  # the errno of the last send; 0: the kernel took all of the train
        self.degraded: str | None = None  # why the offload is off, once it is
        self._sock = sock
        self._to = to
        _, self._socket_address = to.resolve()
        self.resize(datagram_bytes)

    def resize(self, datagram_bytes: int) -> None:
        """From now on trains consist of datagrams of this length."""
        self._datagram_bytes = datagram_bytes
        if self.degraded is None:
            try:
                self._sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, datagram_bytes)
            except OSError as error:
                self._degrade(error.errno or 0)

    def send(self, train: memoryview) -> int:
        """Send at most :func:`train_datagrams` datagrams; the last one may be shorter.

        Returns how many bytes the kernel took, from the start of ``train``, which is the caller's again afterwards.

        What the kernel cannot take at the moment is counted in ``refused``, and ``refusal`` is the errno. Raises
        KernelError for what it will never take.
        """
        deadline = time.monotonic() + RETRY_S
        if self.degraded is not None:
            return self._send_singly(train, deadline)
        code = self._offer(train, deadline)
        if code in NO_OFFLOAD:
            return self._send_otherwise(train, code, deadline)
        return self._count(code, train, 0 if code else len(train))

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def _offer(self, piece: memoryview, deadline: float) -> int:
        """Offer ``piece`` to the kernel. Returns 0, or the errno with which the kernel refused it."""
        while True:
            self.calls += 1
            try:
                self._sock.sendto(piece, self._socket_address)
            except OSError as error:
                code = error.errno or errno.EIO
                if code not in NO_ROOM or time.monotonic() >= deadline:
                    return code
            else:
                return 0
            time.sleep(RETRY_SLEEP_S)

    def _send_otherwise(self, train: memoryview, code: int, deadline: float) -> int:
        """Send a train that the kernel refused as such. A route may have refused it; then its datagrams are, too."""
        self._degrade(code)
        taken = self._send_singly(train, deadline)
        if not taken:
            self.degraded = None
            self.resize(self._datagram_bytes)
        return taken

    def _send_singly(self, train: memoryview, deadline: float) -> int:
        taken = 0
        for datagram in cut(train, self._datagram_bytes):
            code = self._offer(datagram, deadline)
            if code:
                return self._count(code, train, taken)
            taken += len(datagram)
        return self._count(0, train, taken)

    def _degrade(self, code: int) -> None:
        self.degraded = f"the kernel refused UDP segmentation offload: {named(code)}"
        try:
            self._sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)
        except OSError as error:
            if error.errno != errno.ENOPROTOOPT:  # such a kernel has nothing to switch off
                raise

    def _count(self, code: int, train: memoryview, taken: int) -> int:
        """Note what became of a train, of which the kernel took ``taken`` bytes. Returns ``taken``."""
        self.refusal = code
        if code:
            raise_unless_passing(code, self._to)
            self.refused += count_datagrams(train[taken:], self._datagram_bytes)
        return taken


class BatchedReader:
    """Receives one run of equal-sized datagrams with each call (UDP_GRO). Owns ``sock`` until :meth:`close`."""

    name = "batched"

    def __init__(self, sock: socket.socket, timeout_s: float) -> None:
        self.calls = 0  # system calls that were to receive
        self.dropped = 0  # always 0 here: what the kernel drops, socket_memory counts
        self.degraded: str | None = None
        self._sock = sock
        sock.settimeout(None)
        # The kernel's own timeout: Python's would put a poll() before every read.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval(timeout_s))
        try:
            sock.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        except OSError as error:
            self.degraded = f"the kernel refused UDP receive offload: {error.strerror}"

    def receive(self, into: memoryview) -> int:
        """Write one run of datagrams (the last may be shorter) to the start of ``into``; returns its bytes.

        Returns 0 when none came for ``timeout_s``, or when the datagram was empty. ``into`` has at least MAX_RUN_BYTES,
        and stays the caller's. After it has emptied the socket, the reader sleeps for a moment before it waits: waking
        up for every train would cost both ends more than the reading does.
        """
        self.calls += 1
        try:
            return self._sock.recv_into(into, 0, socket.MSG_DONTWAIT)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                return quiet(error)
        time.sleep(NAP_S)
        try:
            return self._sock.recv_into(into)
        except OSError as error:
            return quiet(error)

    def receive_sized(self, into: memoryview, *, wait: bool = True) -> tuple[int, int]:
        """Like :meth:`receive`, and returns the size of the run's datagrams too, so that no header need be read.

        ``wait=False`` returns at once when nothing is queued.
        """
        self.calls += 1
        try:
            length, messages, _, _ = self._sock.recvmsg_into([into], _GRO_SPACE, 0 if wait else socket.MSG_DONTWAIT)
        except OSError as error:
            return quiet(error), 0
        for level, kind, data in messages:
            if (level, kind) == (socket.IPPROTO_UDP, UDP_GRO):
                return length, int.from_bytes(data[:4], sys.byteorder)
        return length, length

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()
