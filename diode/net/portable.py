"""The portable path: asyncio-dgram sends and receives one datagram at a time, for kernels without the offloads.

asyncio is imported only when this path is used, so that the listening process does not load it on the batched path.
"""

import errno
import socket
import time
from typing import TYPE_CHECKING, Any, Final

from diode.net.address import Address
from diode.net.refusals import NO_ROOM, RETRY_S, RETRY_SLEEP_S, quiet, raise_unless_passing
from diode.net.sockets import SEND_TIMEOUT_S
from diode.net.trains import MAX_RUN_BYTES, count_datagrams, cut

if TYPE_CHECKING:
    import asyncio

QUEUE_LIMIT_DATAGRAMS: Final = 4096  # of asyncio-dgram's receive queue, which has no bound of its own


class PortableSender:
    """Sends one datagram at a time through asyncio-dgram. Owns ``sock``, and an event loop, until :meth:`close`."""

    name = "portable"

    def __init__(self, sock: socket.socket, to: Address, datagram_bytes: int) -> None:
        self.calls = 0
        self.refused = 0
        self.refusal = 0  # see BatchedSender
        self.degraded: str | None = None
        self._to = to
        _, self._socket_address = to.resolve()
        self._datagram_bytes = datagram_bytes
        self._loop, self._stream = _open_stream(sock)
        # With a high-water mark of 0, awaiting a send awaits the socket, so that no datagram is left in the transport
        # when the loop stops between two trains. asyncio-dgram has no public way to its transport.
        self._stream._transport.set_write_buffer_limits(high=0)  # noqa: SLF001

    def send(self, train: memoryview) -> int:
        """Send a train like :meth:`diode.net.batched.BatchedSender.send`."""
        return self._loop.run_until_complete(self._send_all(train))

    def close(self) -> None:
        """Close the socket and the event loop."""
        _close_stream(self._loop, self._stream)

    async def _send_all(self, train: memoryview) -> int:
        import asyncio

        taken, self.refusal = 0, 0
        deadline = time.monotonic() + RETRY_S
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S + RETRY_S):
                for datagram in cut(train, self._datagram_bytes):
                    self.refusal = await self._offer(datagram, deadline)
                    if self.refusal:
                        raise_unless_passing(self.refusal, self._to)
                        break
                    taken += len(datagram)
        except TimeoutError:
            self.refusal = errno.EAGAIN
        self.refused += count_datagrams(train[taken:], self._datagram_bytes)
        return taken

    async def _offer(self, datagram: memoryview, deadline: float) -> int:
        import asyncio

        while True:
            self.calls += 1
            try:
                await self._stream.send(datagram, self._socket_address)
                _ = self._stream.exception  # a failure is noted there, and would be raised by the *next* send
            except OSError as error:
                code = error.errno or errno.EIO
                if code not in NO_ROOM or time.monotonic() >= deadline:
                    return code
            else:
                return 0
            await asyncio.sleep(RETRY_SLEEP_S)


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
        """Receive like :meth:`diode.net.batched.BatchedReader.receive`. All datagrams of a run have one size here."""
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
            quiet(error)
            return b""
        return bytes(datagram)

    def _drop_excess(self) -> None:
        while self._queue.qsize() > self._queue_limit_datagrams:
            self._queue.get_nowait()
            self.dropped += 1


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
