"""Makes the sender's heartbeats and sends them, through a socket of its own that is never connected and never read.

The caller sends one each second.
"""

import errno
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, cast

import asyncio_dgram
from asyncio_dgram.aio import DatagramServer

from diode.audit.chain import LogCheckpoint
from diode.bundle.ref import BundleRef, hex_of
from diode.config.sender import SenderLink
from diode.net.address import Address
from diode.net.sockets import open_sender
from diode.protocol.auth import Session
from diode.protocol.heartbeat import MAX_BUNDLES, MAX_CHANNELS, MAX_HEALTH, Heartbeat, HeartbeatSealer, InFlight
from diode.protocol.link_key import LinkKey
from sender.events.happened import BundleResent, BundleSent, BundleWithdrawn, Event, ResendBroken
from sender.ledger import Row
from sender.transport.schedule import Underway

PERIOD_S: Final = 1.0
OVER_SHOWN_S: Final = 60.0  # how long heartbeats still name a bundle that has ended


@dataclass(frozen=True, slots=True)
class Told:
    """What a heartbeat tells, apart from its epoch, number and time.

    ``sent``: data datagrams so far, by session; ``channels``: the last sequence number of each; ``audit``: the newest
    entry of the audit log; ``flights``: bundles being sent; ``queued``: bundles that wait; ``health``: counters.
    """

    sent: Mapping[str, int]
    channels: Mapping[str, int]
    audit: LogCheckpoint | None
    flights: Sequence[Underway]
    queued: Iterable[Row]
    health: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Over:
    """A bundle that has ended. Heartbeats name it until the time ``until`` (of their clock)."""

    until: float
    shown: InFlight


class Heart:
    """Seals heartbeats and sends them. Aim it within a running event loop, and close it there.

    ``epoch`` is larger than that of any run before. Sealing is done on the event loop and not in a thread: a counter
    must never be used twice, and a heartbeat has to leave while the disk does not answer. It takes a fraction of a
    millisecond.
    """

    def __init__(self, link: SenderLink, key: LinkKey, epoch: int, clock: Callable[[], float] = time.monotonic) -> None:
        session = Session(key, int.from_bytes(os.urandom(8), "big"), link.auth)
        self._own_session = f"{session.session:016x}"
        self._sealer = HeartbeatSealer(key, session, link.symbol_bytes)
        self._epoch = epoch
        self._clock = clock
        self._number = 0
        self._over: deque[_Over] = deque(maxlen=MAX_BUNDLES)
        self._stream: DatagramServer | None = None

    async def aim(self, to: Address) -> None:
        """Open the socket, or another one, from which heartbeats go to ``to``: an address in digits."""
        self.close()
        self._socket = open_sender(to)
        _, self._address = to.resolve()
        self._stream = cast(DatagramServer, await asyncio_dgram.from_socket(self._socket))

    def close(self) -> None:
        """Close the socket."""
        if self._stream is not None:
            self._stream.close()
            self._socket.close()
            self._stream = None

    def hear(self, event: Event) -> None:
        """Reader: when a bundle has ended, let heartbeats say for OVER_SHOWN_S that no more of it comes by itself."""
        match event:
            case BundleSent() | BundleResent() | ResendBroken():
                self._remember(event.bundle, event.passes, "over")
            case BundleWithdrawn():
                self._remember(event.bundle, event.passes, "withdrawn")

    async def beat(self, told: Told) -> int:
        """Send one heartbeat in both kinds, 4 and 3. A receiver that knows kind 4 believes no other.

        Returns the errno with which the kernel refused it, or 0. The next heartbeat may pass.
        """
        if self._stream is None:
            return errno.ENETDOWN  # it could not be opened anew for another address
        heartbeat = self.next(told)
        try:
            for seal in (self._sealer.seal_mac, self._sealer.seal):
                await self._stream.send(seal(heartbeat), self._address)
                _ = self._stream.exception  # a failure is noted there, and would be raised by the next send
        except OSError as error:
            return error.errno or errno.EIO
        except asyncio_dgram.TransportClosed:
            return errno.ENETDOWN
        return 0

    def next(self, told: Told) -> Heartbeat:
        """Make the next heartbeat, not sealed yet."""
        self._number += 1
        return Heartbeat(
            epoch=self._epoch,
            number=self._number,
            clock=int(time.time()),
            sessions={self._own_session: 0, **told.sent},
            channels=self._in_turn(told.channels),
            bundles=self._shown(told.flights, told.queued),
            audit=told.audit,
            health=dict(islice(told.health.items(), MAX_HEALTH)),
        )

    def _remember(self, bundle: BundleRef, passes: int, state: Literal["over", "withdrawn"]) -> None:
        shown = in_flight(bundle.hex_id, max(0, passes - 1), passes, state)
        self._over.append(_Over(self._clock() + OVER_SHOWN_S, shown))

    def _in_turn(self, channels: Mapping[str, int]) -> dict[str, int]:
        """The last numbers of some channels. Not all may fit, so each heartbeat begins with another channel."""
        items = list(channels.items())
        turn = self._number % max(1, len(items))
        return dict([*items[turn:], *items[:turn]][:MAX_CHANNELS])

    def _shown(self, flights: Iterable[Underway], queued: Iterable[Row]) -> list[InFlight]:
        """The bundles to be named, at most MAX_BUNDLES, in turn. Of those that wait, only the next ones are named."""
        now = self._clock()
        while self._over and self._over[0].until < now:
            self._over.popleft()
        known = [
            in_flight(hex_of(each.plan.bundle), min(each.sending_pass, 255), each.plan.passes, each.state)
            for each in flights
        ]
        known += [in_flight(row.id, 0, row.passes, "waiting") for row in islice(queued, MAX_BUNDLES)]
        known += [over.shown for over in reversed(self._over)]
        turn = self._number * MAX_BUNDLES % len(known) if len(known) > MAX_BUNDLES else 0
        return [*known[turn : turn + MAX_BUNDLES], *known[:turn]][:MAX_BUNDLES]


def in_flight(
    hex_id: str, sending_pass: int, passes: int, state: Literal["sending", "waiting", "over", "withdrawn"]
) -> InFlight:
    """A bundle as heartbeats name it. Its field ``pass`` is set through a dict, since ``pass`` is a Python keyword."""
    return InFlight(id=hex_id, **{"pass": sending_pass}, passes=passes, state=state)
