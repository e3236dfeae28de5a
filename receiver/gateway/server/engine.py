"""Accepts clients on listening sockets, and ends in order: nothing that was accepted is refused or cut before its time.

A socket that is listened on belongs to more than this process. Whoever connects while nobody accepts waits in it.
"""

import asyncio
import logging
import resource
import socket
import ssl
import time
from collections.abc import Sequence
from email.utils import formatdate
from typing import Final

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from diode.process import tending
from receiver.gateway.server.connection import Connection, Crowd

MOST: Final = 4096  # connections; each may hold a file open beside its socket
KEPT_FREE: Final = 1024  # descriptors for cards, logs and listening
BACKLOG: Final = 2048
KEEP_ALIVE_S: Final = 60
HANDSHAKE_S: Final = 15.0
HEAD_BYTES: Final = 32 << 10
LOOK_EVERY_S: Final = 0.05


class Engine:
    """Serves ``app``. ``tls``: None for plain http. ``proxies``: addresses that many clients may come by."""

    def __init__(
        self,
        app: ASGIApp,
        tls: ssl.SSLContext | None = None,
        *,
        proxies: frozenset[str] = frozenset(),
        most: int = MOST,
    ) -> None:
        self._config = Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # it believes whoever is on this host; ours are listed, see peer_of
            timeout_keep_alive=KEEP_ALIVE_S,
            h11_max_incomplete_event_size=HEAD_BYTES,
        )
        self._config.load()
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what is no HTTP is answered, and not logged
        most = _fitting(most)
        self._crowd = Crowd(most, most_of_one=max(1, most // 2), proxies=proxies)
        self._state = ServerState()
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._listening: list[int] = []
        self._clock: asyncio.Task[None] | None = None

    @property
    def connections(self) -> list[Connection]:
        """Those that are open."""
        return [one for one in self._state.connections if isinstance(one, Connection)]

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept clients from now on."""
        loop = asyncio.get_running_loop()
        self._clock = tending.start("clock", self._tell_time)
        for one in sockets:
            one.setblocking(False)
            handshake_s = HANDSHAKE_S if self._tls else None
            server = await loop.create_server(
                lambda: Connection(self._config, self._state, self._crowd),
                sock=one,
                ssl=self._tls,
                backlog=BACKLOG,
                ssl_handshake_timeout=handshake_s,
            )
            self._servers.append(server)
            self._listening.append(one.fileno())

    async def drain(self, within_s: float, idle_s: float) -> int:
        """Accept nothing more, and let what is under way end, within bounds. Returns how many clients were cut.

        For ``idle_s`` clients that keep a connection open may ask once more, and are told that it was the last time.
        """
        await self._stop_accepting()
        self._crowd.is_draining = True
        begun = time.monotonic()
        while (gone := time.monotonic() - begun) < within_s and self._state.connections:
            if gone >= idle_s:
                for connection in self.connections:
                    if connection.is_idle:
                        connection.transport.close()
            await asyncio.sleep(LOOK_EVERY_S)
        cut = [one for one in self.connections if not one.is_idle or one.transport.get_write_buffer_size()]
        for connection in self.connections:
            connection.transport.abort()
        await asyncio.sleep(0)
        if self._clock:
            self._clock.cancel()
        return len(cut)

    async def _stop_accepting(self) -> None:
        """First no more are accepted; those that were have a moment to become connections before servers close."""
        loop = asyncio.get_running_loop()
        for fd in self._listening:
            loop.remove_reader(fd)
        await asyncio.sleep(LOOK_EVERY_S)
        for server in self._servers:
            server.close()

    async def _tell_time(self) -> None:
        while True:
            self._state.default_headers = [(b"date", formatdate(time.time(), usegmt=True).encode())]
            await asyncio.sleep(1)


def _fitting(most: int) -> int:
    """``most``, or as many as this process may open descriptors for; raises its own limit as far as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * most + KEPT_FREE
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return max(64, min(most, (max(soft, limit) - KEPT_FREE) // 2))
