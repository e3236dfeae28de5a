"""The sending daemon. It composes the outbox, packing, the ledger, the scheduler, the workers and the event readers.

::

    outbox -> watcher -> lanes -> packer -> ledger -> flights -> scheduler -> supply -> pipelines (encode, transmit)
                 '---------'--------'---------'--------'-- say --> stream --> log lines, display, counts, heartbeats

The daemon makes all decisions, and the workers ``encode`` and ``transmit`` do what it tells them. When a worker dies,
the daemon builds a new pipeline (workers, pipes, arena, session), and slabs that were under way are sent again.
Heartbeats leave through a socket of their own.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any, Final, Self

from prometheus_client.core import Metric

from diode.audit.chain import What
from diode.audit.facts import ended
from diode.audit.log import open_log
from diode.config.ownership import check_ownership
from diode.config.programs import say_missing
from diode.config.sender import SenderConfig
from diode.console.metrics import counter, event_hook_metrics, gauge, serve
from diode.console.progress import Display
from diode.console.stream import Stream
from diode.control.door import Door
from diode.errors import ContentError, HeldError, IntakeError, SourceError, UsageError
from diode.process import tending
from diode.process.clock import ClockWatch, last_written
from diode.process.restarts import MOST_RESTARTS, Restarts
from diode.protocol.resend_codes import Range
from diode.protocol.sizes import datagram_bytes
from diode.storage.database import LEDGER_FILE
from diode.storage.locking import lock_folder
from diode.trust.keys import read_link_key, read_signer
from sender.control.desk import Desk
from sender.control.pauses import Pauses
from sender.control.retrying import Retrying
from sender.control.words import WORDS
from sender.events.happened import Event
from sender.events.lines import write_line
from sender.ledger import Row
from sender.outbox.folder import OutboxFolder
from sender.outbox.mount import say_mount
from sender.pack.packer import Packer
from sender.pack.retention import find_moved
from sender.pack.wanted import Named
from sender.recovery.rebaseline import guard_of, open_ledger
from sender.recovery.resends import note_resend
from sender.staging.stage import discard
from sender.supervisor.beats import Rounds, Voice
from sender.supervisor.counts import Counts
from sender.supervisor.destination import Destination
from sender.supervisor.event_hooks import Told
from sender.supervisor.figures import Figures
from sender.supervisor.lookups import Lookups
from sender.supervisor.pipelines import Pipelines
from sender.supervisor.progress import Shown
from sender.supervisor.refusals import LocalRefusals
from sender.supervisor.shutdown import Shutdown
from sender.supervisor.supply import Supply
from sender.transport.flights import Flights
from sender.transport.heartbeats import Heart
from sender.transport.schedule import Scheduler
from sender.transport.timetable import Timetable
from sender.watching.watcher import Watcher

WARM_UP_HEARTBEATS: Final = 6
WARM_UP_EVERY_S: Final = 0.05
TAIL_HEARTBEATS: Final = 3
TAIL_S: Final = 0.2
LOOP_WAITS_S: Final = 0.1  # for another program that holds the ledger
LAST_WAIT_S: Final = 2.0  # at the end, for another program that holds the ledger
STAGED_FOLDER: Final = "staged"  # below the state folder


class Sender:
    """One sending daemon. Use as a context manager: it holds the locks of its state folder and its outbox."""

    def __init__(self, config: SenderConfig, display: Display) -> None:
        self.config = config
        self._stack = ExitStack()
        check_ownership(config)
        say_missing(config)
        signer = read_signer(config.send.key) if config.daemon_signs else None
        key = read_link_key(config.link.key)
        self._stack.callback(os.close, lock_folder(config.state))
        folder = OutboxFolder(config.outbox)
        self._stack.callback(os.close, folder.lock())
        guard = guard_of(config)
        self._ledger = open_ledger(config, guard)
        self._stack.callback(self._ledger.close)
        last_known = last_written(config.audit_folder)
        self._audit = open_log(config.audit_folder, config.service_key, "sender")
        guard.follow(self._audit)
        heart = Heart(config.link, key, self._ledger.next_epoch())
        self._told = Told(config)
        figures = Figures()
        self.tally = Counts(figures.told)
        shown = Shown(display, figures.told)
        stream = Stream[Event](write_line, shown.hear, self.tally.hear, heart.hear, self._told.hear)
        self._shutdown = Shutdown(stream.say)
        self._packer = Packer(config, self._ledger, signer, self._audit, stream.say)
        self._stack.callback(self._packer.close)
        clock = ClockWatch(stream.say, last_known)
        self._compose(folder, key.key_id, figures, heart, clock, stream)

    def _compose(
        self,
        folder: OutboxFolder,
        key_id: int,
        figures: Figures,
        heart: Heart,
        clock: ClockWatch,
        stream: Stream[Event],
    ) -> None:
        """Build the parts that move bundles, and those that work once a second."""
        config, say = self.config, stream.say
        timetable = _timetable(config)
        rate = timetable.rate_at(time.localtime(), config.link.rate) or config.link.rate
        scheduler = Scheduler(rate, datagram_bytes(config.link.symbol_bytes))
        self._flights = Flights(config, folder, self._ledger, scheduler, self._audit, say)
        supply = Supply(timetable, config.link.rate, scheduler, self._flights, self._shutdown, say)
        restarts, refusals = Restarts(MOST_RESTARTS), LocalRefusals(say, self._shutdown.fail)
        destination = Destination(config.link, say)
        given = figures, self._shutdown, say, self._announce, refusals, destination
        self._pipelines = Pipelines(config, key_id, supply, *given, restarts=restarts)
        self._watcher = Watcher(config, folder, self._ledger, self._packer, supply.take, self._flights.origins, say)
        desk = Desk(
            self._flights,
            scheduler,
            self._ledger,
            self._audit,
            Pauses(config.state),
            supply,
            lambda: {
                "to": config.link.to,
                "rate": supply.first_rate,
                "off": supply.is_off,
                "refused": refusals.error,
            },
            Retrying(config.outbox, folder, self._ledger, self._watcher.look_again),
            self._packer.at_work,
        )
        stream.add(desk.flows.hear)
        stream.add(desk.engines.hear)
        self._door = Door(config.state, "sender", WORDS, desk.answer)
        lookups = Lookups(config.state / LEDGER_FILE, self._audit, say)
        told = self._pipelines, scheduler, self._flights, self.tally
        self._voice = Voice(heart, lookups, *told, refusals, destination)
        self._rounds = Rounds(
            config=config,
            ledger=self._ledger,
            voice=self._voice,
            lookups=lookups,
            supply=supply,
            flights=self._flights,
            pipelines=self._pipelines,
            counts=self.tally,
            refusals=refusals,
            clock=clock,
            say=say,
        )
        stream.add(self._rounds.hear)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def interrupted(self) -> int | None:
        """The signal that ended the daemon, if one did."""
        return self._shutdown.interrupted

    @property
    def left(self) -> int:
        """How many things of the outbox wait for somebody, or could not be moved away."""
        return len(self._watcher.left)

    def stop(self) -> None:
        """End the daemon in order. This must be called within its event loop."""
        self._shutdown.begin()

    async def run(self, *, until_idle: bool = False) -> None:
        """Send what is queued and what appears in the outbox, until stopped; with ``until_idle``, until all is sent."""
        say_mount(self.config.outbox.path)
        self._packer.prepare()
        if until_idle:
            self._rounds.give_up_in_the_end()
        is_idle = (lambda: self._flights.is_idle) if until_idle else (lambda: False)
        async with self._telling():
            await self._session(self._watcher.run(self._shutdown.changed, self._shutdown.stopping, is_idle))

    async def send(self, wanted: Named, *, only_pack: bool = False) -> Row | None:
        """Pack what a person wants sent, and send it unless people have to sign it first, or ``only_pack``.

        Returns its ledger row; None when identical content was sent.
        """
        async with self._telling():
            return await self._send(wanted, only_pack=only_pack)

    async def _send(self, wanted: Named, *, only_pack: bool) -> Row | None:
        item, ours = wanted.item(), self.config.state / STAGED_FOLDER
        try:
            order = wanted.order(self.config, ours)
            item = order.item
            row = await self._packer.pack(order)
        except (SourceError, ContentError, IntakeError) as error:
            self._packer.reject(item.channel, item.name, error)
            raise
        finally:
            discard(ours)
        if row is not None and row.state != "unapproved" and not only_pack:
            await self._session(self._drain())
        return row

    async def resend(self, row: Row, ranges: tuple[Range, ...]) -> None:
        """Send these slabs of a bundle again, with its manifest and tables, and end."""
        note_resend(self._audit, row, ranges)
        self._ledger.resends.ask(row.id, ranges)
        async with self._telling():
            await self._session(self._drain())

    @asynccontextmanager
    async def _telling(self) -> AsyncIterator[None]:
        """Event hooks are told what happens in this block."""
        self._told.hooks.start()
        try:
            yield
        finally:
            await self._told.hooks.close(lambda: self._shutdown.is_early)

    async def _session(self, work: Coroutine[Any, Any, None]) -> None:
        """Everything that runs while ``work`` runs; signals end it in order."""
        with self._shutdown.on_signals():
            await self._run_daemon(work)
        if self._shutdown.failure:
            raise self._shutdown.failure

    async def _run_daemon(self, work: Coroutine[Any, Any, None]) -> None:
        if self.config.metrics.listen:
            self._stack.callback(serve(self.config.metrics.listen, self._metrics))
        self._audit.append(What.STARTED)
        self._ledger.follow_audit()
        await self._voice.open()
        find_moved(self.config.outbox, self.config.state, self._ledger)
        self._flights.find_queued()
        self._flights.find_resends()
        await self._door.open()
        try:
            self._ledger.wait(LOOP_WAITS_S)  # more would hold up heartbeats
            self._pipelines.open()
            await self._until_over(work)
        finally:
            try:
                await self._flights.unrecorded.finish(LAST_WAIT_S)
            finally:
                await self._close_parts()

    async def _close_parts(self) -> None:
        self._ledger.wait(LAST_WAIT_S)
        await self._door.close()
        self._pipelines.close()
        await self._voice.close()
        self._audit.append(What.STOPPED, **ended(self._shutdown.failure))
        with suppress(HeldError):
            self._ledger.follow_audit()

    async def _until_over(self, work: Coroutine[Any, Any, None]) -> None:
        """Run until ``work`` is done, or the daemon is to end. Then send a few heartbeats with the final state.

        A slab that was under way is sent again by a later run.
        """
        rounds = tending.start("rounds", self._rounds.run, lets_through=tending.ENDS_THE_DAEMON)
        working = asyncio.create_task(work)
        stop = asyncio.create_task(self._shutdown.stopping.wait())
        await asyncio.wait({working, rounds, stop}, return_when=asyncio.FIRST_COMPLETED)
        self._rounds.stop()
        self._shutdown.stopping.set()
        for task in (working, rounds):
            if not task.done():
                task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self._shutdown.failure is None:
            await self._voice.repeat(TAIL_HEARTBEATS, TAIL_S / TAIL_HEARTBEATS)

    async def _announce(self) -> None:
        await self._voice.repeat(WARM_UP_HEARTBEATS, WARM_UP_EVERY_S)
        await asyncio.sleep(WARM_UP_EVERY_S)  # for the receiver to make the session's keys

    async def _drain(self) -> None:
        """Wait until everything that is queued has been sent."""
        self._rounds.give_up_in_the_end()
        while not self._flights.is_idle and not self._shutdown.has_begun:
            self._shutdown.changed.clear()
            await self._shutdown.changed.wait()

    def _metrics(self) -> Iterable[Metric]:
        text, held = "Messages of workers refused, each of which ended its worker", self._ledger.turns.times
        yield counter("diode_sender_ledger_busy", "Times that another program held the ledger", held)
        yield from self.tally.metrics(self._flights.waiting)
        yield gauge("diode_sender_outbox_left", "Things in the outbox that are not sent for now", self.left)
        yield from event_hook_metrics("sender", self._told.hooks)
        yield counter("diode_sender_worker_refused", text, dict(self._pipelines.refused), "worker")


def _timetable(config: SenderConfig) -> Timetable:
    try:
        return Timetable.parse(config.link.timetable)
    except ValueError as error:
        raise UsageError(f"link.timetable: {error}") from None
