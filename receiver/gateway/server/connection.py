"""One client's connection: uvicorn's protocol over h11, with reason phrases of ours, files by sendfile, and limits.

A client that sends nothing, or reads nothing, is let go after a time. What is counted is only how many there are.
"""

import asyncio
import os
import socket
import struct
from collections import Counter
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, Final, cast

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from diode.log import log
from receiver.gateway.server.access import plain_address
from receiver.gateway.server.sending import ZERO_COPY, GoneError

HEAD_S: Final = 30.0  # in which a request's head must be there, from its first byte, or from the connection's begin
STALL_S: Final = 120.0  # in which a client must take something; the kernel says so in steps of about 1 MiB
_NOW: Final = struct.pack("ii", 1, 0)  # on, and for 0 s
SPAN_BYTES: Final = 8 << 20  # of one call to the kernel


class Crowd:
    """All connections. At most ``most`` of them, ``most_of_one`` from one address that is no proxy's."""

    def __init__(self, most: int, most_of_one: int, proxies: frozenset[str] = frozenset()) -> None:
        self.most, self._most_of_one, self._proxies = most, most_of_one, proxies
        self._of: Counter[str] = Counter()
        self.is_draining = False
        self.refused = 0

    def enter(self, peer: str) -> bool:
        """Count a connection. False: there are too many."""
        self._of[peer] += 1
        is_one_too_many = self._of[peer] > self._most_of_one and peer not in self._proxies
        return not (is_one_too_many or self._of.total() > self.most)

    def leave(self, peer: str) -> None:
        """A connection has ended."""
        self._of[peer] -= 1
        if not self._of[peer]:
            del self._of[peer]

    def tell_refused(self) -> None:
        """Log that connections are refused, at the first one and at each thousandth."""
        self.refused += 1
        if self.refused % 1000 == 1:
            log.warning("too_many_connections", refused=self.refused, most=self.most)


class Connection(H11Protocol):
    """Speaks HTTP/1.1 with one client."""

    def __init__(self, config: Config, state: ServerState, crowd: Crowd) -> None:
        super().__init__(config, state, {})
        self.crowd = crowd
        self._peer = ""
        self._head_timer: asyncio.TimerHandle | None = None
        self._inner = cast("ASGIApp", self.app)
        self.app = cast("Any", self._run)

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it when there are too many."""
        super().connection_made(transport)
        if self.scheme == "http":
            transport.set_write_buffer_limits(high=0)  # a drained transport is an empty one, as sendfile needs it
        self._peer = plain_address(self.client[0]) if self.client else ""
        if not self.crowd.enter(self._peer):
            self.crowd.tell_refused()
            transport.abort()
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.crowd.leave(self._peer)
        self._unwatch_head()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Go on with a request."""
        super().data_received(data)
        if self.is_idle and not self.timeout_keep_alive_task:
            self._watch_head()
        elif not self.is_idle:
            self._unwatch_head()

    def on_response_complete(self) -> None:
        """Wait for the next request. Where the connection is to end, a client that does not read must not keep it."""
        super().on_response_complete()
        self._end_if_closing()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection."""
        super().timeout_keep_alive_handler()
        self._end_if_closing()

    def _end_if_closing(self) -> None:
        if self.transport.is_closing():
            self.loop.call_later(STALL_S, reset, self.transport)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; where an answer is under way, only the connection's end is left to say so."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.abort()

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"] = {} if self.scheme == "https" else {ZERO_COPY: {}}
        await self._inner(scope, receive, _Sender(self, self.cycle).send)

    def _watch_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self._head_is_late)

    def _unwatch_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.is_idle:
            self.transport.abort()


class _Sender:
    """Sends one answer through uvicorn's cycle, in place of its ``send``."""

    def __init__(self, connection: Connection, cycle: RequestResponseCycle) -> None:
        self._connection, self._cycle = connection, cycle

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """One message of the application. Raises GoneError when nobody takes it any more."""
        if self._cycle.disconnected:
            raise GoneError
        match message["type"]:
            case "http.response.start":
                self._start(message)
            case "http.response.zerocopysend":
                await self._send_file(message["file"], message["offset"], message["count"])
            case _:
                await self._patiently(self._cycle.send(cast("Any", message)))

    def _start(self, message: MutableMapping[str, Any]) -> None:
        cycle = self._cycle
        cycle.response_started, cycle.waiting_for_100_continue = True, False
        headers = cycle.default_headers + list(message["headers"])
        # a body that nobody read would be taken for the next request
        is_last = cycle.more_body or self._connection.crowd.is_draining or CLOSE_HEADER in cycle.scope["headers"]
        if is_last and CLOSE_HEADER not in headers:
            headers.append(CLOSE_HEADER)
        status, reason = message["status"], message.get("reason") or STATUS_PHRASES[message["status"]]
        event = h11.Response(status_code=status, headers=headers, reason=reason)
        cycle.transport.write(cycle.conn.send(event))

    async def _send_file(self, fd: int, offset: int, count: int) -> None:
        """Send a part of a file. h11 counts its bytes, and the kernel moves them: no byte passes through here."""
        cycle = self._cycle
        await self._patiently(cycle.flow.drain())
        if not cycle.transport.get_extra_info("socket") or cycle.disconnected:
            raise GoneError
        if count:
            cycle.conn.send_with_data_passthrough(h11.Data(data=cast("bytes", _Bytes(count))))
            out = os.dup(cycle.transport.get_extra_info("socket").fileno())
            try:
                await self._move(out, fd, offset, count)
            finally:
                os.close(out)
        await cycle.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _move(self, out: int, fd: int, offset: int, count: int) -> None:
        at, end = offset, offset + count
        while at < end:
            if self._cycle.disconnected:
                raise GoneError(at - offset)
            wanted = min(SPAN_BYTES, end - at)
            try:
                moved = os.sendfile(out, fd, at, wanted)
            except BlockingIOError:
                await self._until_writable(out, at - offset)
                continue
            except OSError:  # the client went away; its transport says so, too
                self._let_go()
                raise GoneError(at - offset) from None
            if not moved:
                self._let_go()
                raise OSError(f"a file ended {end - at} bytes early")
            at += moved
            if moved == wanted:
                await asyncio.sleep(0)  # others have their turn
            else:
                await self._until_writable(out, at - offset)

    async def _until_writable(self, out: int, sent: int) -> None:
        """Wait until the client took some. ``out`` is a second descriptor of the socket: the first is asyncio's."""
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_writer(out, _settle, ready)
        try:
            await self._patiently(ready, sent)
        finally:
            loop.remove_writer(out)

    async def _patiently(self, waiting: Any, sent: int = 0) -> None:
        try:
            async with asyncio.timeout(STALL_S):
                await waiting
        except TimeoutError:
            self._let_go()
            raise GoneError(sent) from None

    def _let_go(self) -> None:
        self._cycle.disconnected = True
        reset(self._cycle.transport)


def reset(transport: asyncio.Transport) -> None:
    """End a connection now. What the client did not take is thrown away: the kernel would keep it for minutes."""
    sock = transport.get_extra_info("socket")
    with suppress(OSError):
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NOW)
    transport.abort()


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


class _Bytes:
    """Stands for bytes that the kernel sends, where only their number is asked for."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count
