"""The receiving daemon. It composes the workers, the door for their messages, and the readers of events.

The daemon holds the socket but never reads it, so that the port stays open while a worker is replaced. When a worker
dies, a new pipeline is built; the ledger knows which slabs are stored. At its end the daemon waits until the link is
quiet, because the kernel would answer datagrams to a closed port. It does not wait if systemd passed the socket, which
then stays open.

While the workers run, the daemon waits for a disk only in short questions to the ledger, and for the files of resend
codes. What heartbeats say is recorded in a thread of its own.
"""

import asyncio
import time
from collections.abc import Iterable
from functools import partial
from typing import Any, Final, Self

from prometheus_client.core import Metric

from diode.audit.chain import What
from diode.audit.facts import ended
from diode.config.receiver import ReceiverConfig
from diode.console.metrics import counter, event_hook_metrics, serve
from diode.console.progress import Display
from diode.console.stream import Stream
from diode.control.door import Door as ControlDoor
from diode.errors import Drop
from diode.process.clock import ClockWatch
from diode.process.shutdown import Shutdown
from diode.process.systemd import Reports
from receiver.control.desk import Desk
from receiver.control.picture import Picture
from receiver.control.retrying import Retrying
from receiver.control.words import WORDS
from receiver.events.happened import Event, Listening, Ticked, TrustAwaited, disk_failing
from receiver.events.lines import Lines
from receiver.events.lookup import Lookup
from receiver.peer.completion import Endings
from receiver.peer.dismissing import Dismissing
from receiver.spool.disk import DiskHealth
from receiver.supervisor.counts import Counts, SystemdStatus, metrics, summary
from receiver.supervisor.door import Door
from receiver.supervisor.drills import DrillWatch
from receiver.supervisor.ear import Ear
from receiver.supervisor.event_hooks import Told
from receiver.supervisor.figures import Figures
from receiver.supervisor.health_hooks import HealthHooks
from receiver.supervisor.host_counts import maybe_read_host
from receiver.supervisor.lag import LagWatch
from receiver.supervisor.link import Link
from receiver.supervisor.link_watch import LinkWatch
from receiver.supervisor.on_the_way import OnTheWay
from receiver.supervisor.pipelines import Pipelines
from receiver.supervisor.progress import Progress
from receiver.supervisor.scans import Scans
from receiver.supervisor.station import Station, keys_event
from receiver.supervisor.wanted import Wanted

TICK_S: Final = 0.25
QUIET_S: Final = 2.0
LONGEST_LINGER_S: Final = 10.0


class Receiver:
    """One receiving daemon. Use as a context manager: it holds the locks of its state and its inbox, and the port."""

    def __init__(self, config: ReceiverConfig, display: Display) -> None:
        self.config = config
        self._figures = Figures()
        self._counts = Counts()
        self._stream: Stream[Event] = Stream(Lines().read, self._counts.read, Progress(display, self._figures).read)
        self._shutdown = Shutdown(self._stream.say)
        self._wanted = Wanted(self._shutdown.begin)
        self._stream.add(self._wanted.read)
        self._told = Told(config)
        self._stream.add(self._told.read)
        self._station = Station(config)
        if self._station.awaited is not None:
            self._stream.say(TrustAwaited(*self._station.awaited))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._station.close()

    @property
    def interrupted(self) -> int | None:
        """The signal that ended the daemon, if one did."""
        return self._shutdown.interrupted

    @property
    def exit_code(self) -> int:
        """What ``--bundles`` ends with: 0, or the code of the first refusal, or of bundles left incomplete."""
        return self._wanted.exit_code

    def summary(self) -> dict[str, Any]:
        """Figures for the last line."""
        return summary(self._counts, self._figures)

    async def run(self, bundles: int | None = None) -> None:
        """Receive until stopped, or until so many bundles are over. Raises what ended it too early."""
        self._wanted.bundles = bundles
        self._station.audit.append(What.STARTED)
        self._station.ledger.follow_audit()  # from now on `store` alone writes the rollback guard
        reports = Reports()
        self._stream.add(SystemdStatus(self._counts, self.config.link.listen, reports).read)
        with self._shutdown.on_signals():
            running = Running(self._station, self._stream, self._shutdown, self._figures)
            if self.config.metrics.listen:
                self._station.at_end(serve(self.config.metrics.listen, partial(self._metrics, running)))
            running.start()
            self._told.hooks.start()
            try:
                await running.control.open()
                while not self._shutdown.has_begun:
                    await self._shutdown.wait(TICK_S)
                    running.tick(time.monotonic(), is_bounded=bundles is not None)
                if bundles is not None and not self._shutdown.is_early and not self._station.is_passed:
                    await self._linger(running)
            finally:
                reports.stopping()
                await self._told.hooks.close(lambda: self._shutdown.is_early)
                await running.close()
                self._note_end(running.disk)
        if self._shutdown.failure:
            raise self._shutdown.failure

    async def _linger(self, running: "Running") -> None:
        """Keep the port open until nothing comes any more, so that the kernel never answers the sender."""
        deadline = time.monotonic() + LONGEST_LINGER_S
        quiet_from, seen = time.monotonic(), running.received_bytes
        while time.monotonic() < deadline and time.monotonic() - quiet_from < QUIET_S and self.interrupted is None:
            await asyncio.sleep(0.1)
            if running.received_bytes != seen:
                quiet_from, seen = time.monotonic(), running.received_bytes

    def _note_end(self, disk: DiskHealth) -> None:
        with disk.surviving():
            self._station.audit.append(What.STOPPED, **ended(self._shutdown.failure))
            self._station.ledger.follow_audit()

    def _metrics(self, running: "Running") -> Iterable[Metric]:
        held = self._station.ledger.turns.times
        yield counter("diode_receiver_ledger_busy", "Times that another program held the ledger", held)
        yield from metrics(self._counts, self._figures, time.monotonic())
        for watch in running.watches:
            yield from watch.metrics()
        yield from running.link_watch.metrics()
        yield from event_hook_metrics("receiver", self._told.hooks)


class Running:
    """The parts that run as long as the event loop: the ear for heartbeats, the door for messages, and the workers.

    ``disk`` raises the alarm for disk errors on the event loop. The thread that records has another one.
    """

    def __init__(self, station: Station, stream: Stream[Event], shutdown: Shutdown, figures: Figures) -> None:
        config, ledger, say = station.config, station.ledger, stream.say
        self.disk = DiskHealth(lambda message: say(disk_failing(message)))
        self._station = station
        self._say = say
        self.link_watch = LinkWatch(figures, partial(maybe_read_host, *station.bound), say)
        picture = Picture(config.link.listen, self.link_watch.picture, lambda: lag.rows)
        stream.add(picture.read)  # first: the clock may be found wrong below
        endings = Endings(ledger.peer.heard())
        own = station.second_ledger(), station.second_audit()
        self._ear = Ear(*own, config.channels, station.fingerprints, endings, say, shutdown.fail)
        self._link = Link(self._ear.hearing, station.fingerprints, ledger.peer.sessions(), say)
        self._on_the_way = OnTheWay(ledger, endings, config.state, figures, self.disk, say, time.monotonic)
        scans = Scans(config, ledger, lambda: shutdown.has_begun, say)
        hooks = HealthHooks(config, ledger, lambda: shutdown.has_begun, say)
        self._clock = ClockWatch(say, station.last_written)
        lag = LagWatch(config, ledger, self.disk, say, self._clock.likely_utc)
        self.watches = DrillWatch(config, ledger, self.disk, self._clock.likely_utc), lag
        self._pipelines = Pipelines(config, station.socket.fileno(), self._link, figures, shutdown, say)
        given = self._link, Lookup(config, ledger), self._on_the_way, self._pipelines, self.disk, say, shutdown.fail
        has_choice, needs_core = config.fec.engine == "auto", config.core == "require"
        self._door = Door(*given, has_choice=has_choice, needs_core=needs_core)
        dismissing = Dismissing(ledger, station.audit, config.state, say)
        desk = Desk(station.audit, picture, Retrying(config, ledger, scans), dismissing)
        self.control = ControlDoor(config.state, "receiver", WORDS, desk.answer)
        self._closed_first = self.control, scans, hooks
        for reader in (self._link, self._on_the_way, scans, hooks, *self.watches, self.link_watch):
            stream.add(reader.read)

    @property
    def received_bytes(self) -> int:
        """What came by the socket so far."""
        return self._pipelines.received_bytes

    def start(self) -> None:
        """Start the workers, and say what they are started with."""
        self._pipelines.start(self._door.take)
        config = self._station.config
        self._say(Listening(config.link.listen, str(config.inbox.path)))
        if event := keys_event(config.link, self._station.previous):
            self._say(event)

    def tick(self, now: float, *, is_bounded: bool) -> None:
        """Do what is due by time alone. ``is_bounded``: the run ends by itself after a number of bundles."""
        is_held = not self._station.ledger.turns.is_free()  # `store` waits then, and so may the others
        health = self._pipelines.health(now, is_excused=is_held)
        self._clock.look()
        self._say(Ticked(now))
        self.link_watch.tick(now, has_begun=health.has_begun)
        if not health.has_begun:
            self._link.deaf(now)
        if is_bounded and self._link.is_gone(now):
            self._on_the_way.sender_gone(now)
        self._on_the_way.report(now, *self._pipelines.slabs)
        self._link.look(now, self.link_watch.refused(Drop.HEARTBEAT_ORDER), self._ear.left_out)
        self._say(health)

    async def close(self) -> None:
        """End scans, workers and what is still to be recorded, in bounded time."""
        for part in self._closed_first:
            await part.close()
        self._pipelines.close()
        await self._ear.close()
