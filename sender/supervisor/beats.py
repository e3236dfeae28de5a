"""What is done once a second: a heartbeat, the rollback guard, the timetable, what commands asked for, our health."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from diode.config.sender import SenderConfig
from diode.errors import StorageError
from diode.process.systemd import Reports
from sender.events.happened import AnchorBehind, Event, LineReady
from sender.ledger import Ledger
from sender.pack import retention
from sender.pack.retention import prune
from sender.supervisor.counts import Counts
from sender.supervisor.lookups import Lookups
from sender.supervisor.pipelines import Pipelines
from sender.supervisor.supply import Supply
from sender.transport.flights import Flights
from sender.transport.heartbeats import PERIOD_S, Heart, Told
from sender.transport.schedule import Scheduler

GUARD_EVERY_S: Final = 5.0  # what the audit log alone has, and its rollback guard does not know, is younger


class Voice:
    """Sends heartbeats that tell what is known: of the ledger as the lookups have it, of the rest as it is."""

    def __init__(
        self,
        heart: Heart,
        lookups: Lookups,
        pipelines: Pipelines,
        scheduler: Scheduler,
        flights: Flights,
        counts: Counts,
    ) -> None:
        self._heart = heart
        self._lookups = lookups
        self._pipelines = pipelines
        self._scheduler = scheduler
        self._flights = flights
        self._counts = counts

    async def speak(self) -> None:
        """Send one heartbeat, up to date if the disk answers soon. Raises what looking up raised."""
        known = await self._lookups.refresh()
        told = Told(
            sent=self._pipelines.sent(),
            channels=known.channels,
            audit=known.audit,
            flights=self._scheduler.flights(),
            queued=self._flights.queued(),
            health=self._counts.health(self._flights.waiting),
        )
        await self._heart.beat(told)

    async def repeat(self, count: int, every_s: float) -> None:
        """Send several, for a peer that may lose some."""
        for _ in range(count):
            await self.speak()
            await asyncio.sleep(every_s)


class Rounds:
    """Goes round once a second. It is also the reader that tells systemd when the daemon does its work."""

    def __init__(
        self,
        config: SenderConfig,
        ledger: Ledger,
        voice: Voice,
        lookups: Lookups,
        supply: Supply,
        flights: Flights,
        pipelines: Pipelines,
        counts: Counts,
        say: Callable[[Event], None],
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._voice = voice
        self._lookups = lookups
        self._supply = supply
        self._flights = flights
        self._pipelines = pipelines
        self._counts = counts
        self._say = say
        self._prune_at = self._anchor_at = 0.0
        self._reports = Reports()

    def hear(self, event: Event) -> None:
        """Reader: tell systemd that the daemon is ready, once."""
        if isinstance(event, LineReady):
            self._reports.ready(self._status())

    def stop(self) -> None:
        """Tell systemd that the end has begun."""
        self._reports.stopping()

    async def run(self) -> None:
        """Go round until cancelled. Raises what the ledger or the audit log raised."""
        while True:
            await self._voice.speak()
            self.go_round(time.monotonic())
            await asyncio.sleep(PERIOD_S)

    def go_round(self, now: float) -> None:
        """All but the heartbeat. ``now`` is in seconds of the monotonic clock."""
        if now >= self._anchor_at:
            self._follow_audit()
            self._anchor_at = now + GUARD_EVERY_S
        if now >= self._prune_at:
            prune(self._config.outbox, self._config.state, self._ledger, time.time())
            self._prune_at = now + retention.PERIOD_S
        self._supply.keep_time(time.localtime())
        if self._lookups.known.is_asked and self._flights.find_requests():
            self._supply.pump()
        self._reports.tick(now, self._status, is_well=self._pipelines.are_well(now))

    def _follow_audit(self) -> None:
        """Not in the lookups' thread: an older state of the ledger must never be written over a newer one."""
        try:
            self._ledger.follow_audit()
        except StorageError as error:  # whoever decides something next fails with it; a line that is idle need not end
            self._say(AnchorBehind(str(error)))

    def _status(self) -> str:
        return f"sending to {self._config.link.to}; {self._counts.status(self._flights.waiting)}"
