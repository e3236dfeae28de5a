"""The sender's heartbeat: once a second, through a socket of its own, which is never connected and never read."""

import os
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Final, Literal, cast

import asyncio_dgram
from asyncio_dgram.aio import DatagramServer

from diode.audit.log import AuditLog
from diode.config.sender import SenderLink
from diode.net.address import Address
from diode.net.sockets import open_sender
from diode.protocol.auth import LinkKey, Session
from diode.protocol.heartbeat import MAX_BUNDLES, MAX_CHANNELS, MAX_HEALTH, Heartbeat, HeartbeatSealer, InFlight
from sender.ledger import Ledger, Row
from sender.transport.schedule import Plan, State

PERIOD_S: Final = 1.0
OVER_SHOWN_S: Final = 60.0  # how long a bundle that is over is still spoken of


class Heart:
    """Says what is live, what was sent and what is on its way. Open it inside a running loop, close it there."""

    def __init__(self, link: SenderLink, key: LinkKey, ledger: Ledger, audit: AuditLog) -> None:
        session = Session(key, int.from_bytes(os.urandom(8), "big"), link.auth)
        self._to = Address.parse(link.to)
        self._ledger = ledger
        self._audit = audit
        self._own_session = f"{session.session:016x}"
        self._sealer = HeartbeatSealer(key, session, link.symbol_bytes)
        self._epoch = ledger.next_epoch()
        self._number = 0
        self._over: deque[tuple[float, tuple[str, int, int, State]]] = deque(maxlen=MAX_BUNDLES)
        self._stream: DatagramServer | None = None

    async def open(self) -> None:
        """Open the socket."""
        self._socket = open_sender(self._to)
        _, self._address = self._to.resolve()
        self._stream = cast(DatagramServer, await asyncio_dgram.from_socket(self._socket))

    def close(self) -> None:
        """Close the socket."""
        if self._stream is not None:
            self._stream.close()
            self._socket.close()
            self._stream = None

    def remember_over(self, row: Row, state: Literal["over", "withdrawn"]) -> None:
        """From now on, and for a while, say that no more of this bundle comes by itself."""
        over = row.id, max(0, row.passes - 1), row.passes, state
        self._over.append((time.monotonic() + OVER_SHOWN_S, over))

    async def beat(
        self,
        sent: Mapping[str, int],
        flights: list[tuple[Plan, int, State]],
        queued: Iterable[Row],
        health: Mapping[str, int],
    ) -> None:
        """Send one heartbeat, of both kinds: receivers that know kind 4 believe no other.

        ``sent``: data datagrams so far by session; ``flights``: what the scheduler has; ``health``: our counters.
        """
        assert self._stream is not None
        self._number += 1
        heartbeat = Heartbeat(
            epoch=self._epoch,
            number=self._number,
            clock=int(time.time()),
            sessions={self._own_session: 0, **sent},
            channels=self._channels(),
            bundles=self._shown(flights, queued),
            audit=self._audit.head(),
            health=dict(islice(health.items(), MAX_HEALTH)),
        )
        with suppress(OSError, asyncio_dgram.TransportClosed):  # a pulled cable: the next one may pass
            for seal in (self._sealer.seal_mac, self._sealer.seal):
                await self._stream.send(seal(heartbeat), self._address)

    def _channels(self) -> dict[str, int]:
        """Last numbers by channel, another one first each time: not all of them may fit."""
        items = list(self._ledger.sequences().items())
        turn = self._number % max(1, len(items))
        return dict([*items[turn:], *items[:turn]][:MAX_CHANNELS])

    def _shown(self, flights: list[tuple[Plan, int, State]], queued: Iterable[Row]) -> list[InFlight]:
        """At most MAX_BUNDLES, in turn; of those that wait, only who is next."""
        now = time.monotonic()
        while self._over and self._over[0][0] < now:
            self._over.popleft()
        known: list[tuple[str, int, int, State]] = [
            (f"{plan.bundle:016x}", min(number, 255), plan.passes, state) for plan, number, state in flights
        ]
        known += [(row.id, 0, row.passes, "waiting") for row in islice(queued, MAX_BUNDLES)]
        known += [over for _, over in reversed(self._over)]
        turn = self._number * MAX_BUNDLES % len(known) if len(known) > MAX_BUNDLES else 0
        shown = [*known[turn : turn + MAX_BUNDLES], *known[:turn]][:MAX_BUNDLES]
        return [InFlight(id=i, **{"pass": number}, passes=passes, state=state) for i, number, passes, state in shown]
