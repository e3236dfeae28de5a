"""The work of each second.

Once a second the supervisor sends a heartbeat, brings the rollback guard up to date, obeys the timetable, takes up what
commands asked for through the ledger, and tells systemd how the daemon is.
"""

import asyncio
import errno
import time
from collections.abc import Callable
from typing import Final

from diode.config.sender import SenderConfig
from diode.errors import DiodeError, StorageError
from diode.net.address import Address
from diode.process.clock import ClockWatch
from diode.process.systemd import Reports
from sender.events.happened import AnchorBehind, Event, LineReady
from sender.ledger import Ledger
from sender.pack import retention
from sender.pack.retention import prune
from sender.supervisor.counts import Counts
from sender.supervisor.destination import Destination
from sender.supervisor.lookups import Lookups
from sender.supervisor.pipelines import Pipelines
from sender.supervisor.refusals import LocalRefusals
from sender.supervisor.supply import Supply
from sender.transport.flights import Flights
from sender.transport.heartbeats import PERIOD_S, Heart, Told
from sender.transport.schedule import Scheduler

GUARD_EVERY_S: Final = (
    5.0  # entries that the audit log has, and the rollback guard does not know, are younger than this
)


class Voice:
    """Collects what a heartbeat tells, and has it sent. What the ledger knows comes from ``lookups``, a bit late."""

    def __init__(
        self,
        heart: Heart,
        lookups: Lookups,
        pipelines: Pipelines,
        scheduler: Scheduler,
        flights: Flights,
        counts: Counts,
        refusals: LocalRefusals,
        destination: Destination,
    ) -> None:
        self._heart = heart
        self._destination = destination
        self._speaks_to: Address | None = None
        self._lookups = lookups
        self._pipelines = pipelines
        self._scheduler = scheduler
        self._flights = flights
        self._counts = counts
        self._refusals = refusals

    async def open(self) -> None:
        """Get ready to speak. Raises the errors of opening a socket, and of looking up."""
        self._destination.begin()
        self._speaks_to = self._destination.at
        await self._heart.aim(self._speaks_to)
        self._lookups.open()

    async def close(self) -> None:
        """Speak no more."""
        self._heart.close()
        self._lookups.close()
        await self._destination.close()

    async def speak(self) -> None:
        """Send one heartbeat. It is up to date if the disk answers soon. Raises the errors of looking up."""
        known = await self._lookups.refresh()
        told = Told(
            sent=self._pipelines.sent(),
            channels=known.channels,
            audit=known.audit,
            flights=self._scheduler.flights(),
            queued=self._flights.queued(),
            health=self._counts.health(self._flights.waiting),
        )
        self._destination.tick(time.monotonic(), is_refused=bool(self._refusals.error))
        self._refusals.note("heartbeats", await self._follow() or await self._heart.beat(told))

    async def _follow(self) -> int:
        """Speak to where everything goes now. Returns 0, or an errno: that cannot be, and is tried again."""
        if self._speaks_to == self._destination.at:
            return 0
        to = self._destination.at
        try:
            await self._heart.aim(to)
        except (DiodeError, OSError):
            return errno.EADDRNOTAVAIL
        self._speaks_to = to
        return 0

    async def repeat(self, count: int, every_s: float) -> None:
        """Send several heartbeats, ``every_s`` seconds apart, because a peer may lose some. It ends with the last."""
        for number in range(count):
            if number:
                await asyncio.sleep(every_s)
            await self.speak()


class Rounds:
    """Does the work of each second. It is also the reader that tells systemd when the daemon is ready."""

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
        refusals: LocalRefusals,
        clock: ClockWatch,
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
        self._refusals = refusals
        self._clock = clock
        self._say = say
        self._prune_at = self._anchor_at = 0.0
        self._reports = Reports()

    def hear(self, event: Event) -> None:
        """Reader: tell systemd that the daemon is ready, once."""
        if isinstance(event, LineReady):
            self._reports.ready(self._status())

    def give_up_in_the_end(self) -> None:
        """The run is to end by itself: it does not wait for ever for a kernel that refuses to send."""
        self._refusals.is_bounded = True

    def stop(self) -> None:
        """Tell systemd that the end has begun."""
        self._reports.stopping()

    async def run(self) -> None:
        """Work once a second until cancelled. Raises the errors of the ledger and the audit log."""
        while True:
            await self._voice.speak()
            self.go_round(time.monotonic())
            await asyncio.sleep(PERIOD_S)

    def go_round(self, now: float) -> None:
        """Do the work of one second, except the heartbeat. ``now`` is in seconds of the monotonic clock."""
        if now >= self._anchor_at:
            self._follow_audit()
            self._anchor_at = now + GUARD_EVERY_S
        believed = self._clock.now()
        if now >= self._prune_at:
            prune(self._config.outbox, self._config.state, self._ledger, believed)
            self._prune_at = now + retention.PERIOD_S
        self._supply.settle()
        self._supply.keep_time(time.localtime())
        if self._lookups.known.is_asked and self._flights.find_requests():
            self._supply.pump()
        self._refusals.tick(now)
        self._reports.tick(now, self._status, is_well=self._pipelines.are_well(now))

    def _follow_audit(self) -> None:
        """Let the rollback guard follow the audit log.

        The thread of ``lookups`` must not do this: it could write an older state of the ledger over a newer one.
        """
        try:
            self._ledger.turns.try_now(self._ledger.follow_audit)
        except StorageError as error:  # the next decision will raise it; an idle line need not end
            self._say(AnchorBehind(str(error)))

    def _status(self) -> str:
        error = self._refusals.error
        what = f"the kernel refuses to send ({error})" if error else "sending"
        return f"{what} to {self._config.link.to}; {self._counts.status(self._flights.waiting)}"
