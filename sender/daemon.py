"""The supervisor of the sending side: it composes outbox, packing, ledger, flights, scheduler and the two workers.

It alone decides; ``encode`` and ``transmit`` do what they are told. When a worker dies, the pipeline (workers, pipes,
arena, session) is built anew and what was under way is sent again. Heartbeats leave through a socket of its own.
"""

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, Self

import structlog
from prometheus_client.core import Metric

from diode.audit.chain import What
from diode.audit.log import ended, open_log
from diode.config.ownership import check_ownership
from diode.config.settings import SenderConfig
from diode.console.metrics import counter, serve
from diode.console.progress import Display
from diode.errors import (
    ContentError,
    DiodeError,
    IntakeError,
    SourceError,
    StorageError,
    UsageError,
    WorkerError,
)
from diode.process.messages import Fatal, PathChosen, PeerRefused, SandboxLacks
from diode.process.supervise import Crew, Pulse
from diode.process.systemd import Reports
from diode.process.workers import Worker
from diode.protocol.fec import ZFEC_SLOWDOWN
from diode.protocol.resend_codes import Range
from diode.protocol.wire import datagram_bytes
from diode.storage.locking import lock_folder
from diode.trust.keys import read_link_key, read_signer
from sender.ledger import Row
from sender.messages import Degraded, Failed, Sent, SessionBegun
from sender.outbox.folder import Item, OutboxFolder, check_channel, check_label, split_name
from sender.outbox.hub_cache import snapshot_label
from sender.pack import retention as keeping
from sender.pack.packer import Packer
from sender.pack.retention import find_moved, prune
from sender.recovery.rebaseline import open_ledger
from sender.recovery.resends import note_resend
from sender.transport import heartbeats as heart
from sender.transport.encode import FILLER_DATAGRAMS
from sender.transport.flights import Flights
from sender.transport.heartbeats import Heart
from sender.transport.pipeline import Pipeline
from sender.transport.schedule import Filler, Job, Scheduler, Wait
from sender.transport.tally import Tally
from sender.transport.timetable import Timetable
from sender.watching import Watcher

WARM_UP_S: Final = 0.3
WARM_UP_HEARTBEAT_S: Final = 0.05
TAIL_S: Final = 0.2
PATIENCE_S: Final = 300.0  # with workers that have something in hand and send nothing: files may lie on a slow disk
ANCHOR_EVERY_S: Final = 5.0  # what the audit log alone has, and its anchor does not know, is younger
MOST_RESTARTS: Final = 5  # within a minute: then something is wrong that a restart does not mend

log = structlog.get_logger()


class Sender:
    """One sending daemon. Use as a context manager: it holds the locks of its state folder and its outbox."""

    def __init__(self, config: SenderConfig, display: Display) -> None:
        self.config = config
        self.tally = Tally()
        self.interrupted: int | None = None
        self._display = display
        self._stack = ExitStack()
        check_ownership(config)
        signer = read_signer(config.send.key) if config.daemon_signs else None
        key = read_link_key(config.link.key)
        self._key_id = key.key_id
        self._stack.callback(os.close, lock_folder(config.state))
        folder = OutboxFolder(config.outbox)
        self._stack.callback(os.close, folder.lock())
        self._ledger = open_ledger(config)
        self._stack.callback(self._ledger.close)
        self._audit = open_log(config.audit_folder, config.service_key, "sender")
        self._heart = Heart(config.link, key, self._ledger, self._audit)
        self._packer = Packer(config, self._ledger, signer, display, self._audit)
        self._stack.callback(self._packer.close)
        try:
            self._timetable = Timetable.parse(config.link.timetable)
        except ValueError as error:
            raise UsageError(f"link.timetable: {error}") from None
        self._rate = self._timetable.rate_at(time.localtime(), config.link.rate)  # None: off
        self._scheduler = Scheduler(self._rate or config.link.rate, datagram_bytes(config.link.symbol_bytes))
        self._flights = Flights(
            config, folder, self._ledger, self._scheduler, self._heart, self.tally, display, self._audit
        )
        self._watcher = Watcher(
            config, folder, self._ledger, self._packer, self.tally, self._take, self._flights.origins
        )
        self._changed, self._stopping = asyncio.Event(), asyncio.Event()
        self._pump_handle: asyncio.TimerHandle | None = None
        self._restarts: deque[float] = deque(maxlen=MOST_RESTARTS)
        self._failure: DiodeError | None = None
        self._reports = Reports()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    async def run(self, *, until_idle: bool = False) -> None:
        """Send what is queued and what appears in the outbox, until stopped (or, with ``until_idle``, all is sent)."""
        self._packer.prepare()
        is_idle = (lambda: self._flights.is_idle) if until_idle else (lambda: False)
        await self._session(self._watcher.run(self._changed, self._stopping, is_idle))

    async def send(
        self,
        paths: Sequence[Path],
        channel: str,
        name: str | None,
        version: str | None,
        passes: int,
        pass_delay_s: float,
        *,
        only_pack: bool = False,
    ) -> Row | None:
        """Pack ``paths`` as one bundle, and send it unless people have to sign it first, or ``only_pack``.

        Returns its ledger row; None when identical content was sent.
        """
        check_channel(channel)
        entry_name, entry_version = snapshot_label(paths[0]) or split_name(paths[0].absolute().name)
        item = Item(paths[0], channel, name or entry_name, version or (None if name else entry_version))
        check_label(item.name, item.version)
        try:
            row = await self._packer.pack(item, [path.absolute() for path in paths], passes, pass_delay_s, "")
        except (SourceError, ContentError, IntakeError) as error:
            self._packer.reject(item.channel, item.name, error)
            raise
        if row is None:
            self.tally.skipped += 1
        elif row.state == "unapproved":
            self.tally.unapproved += 1
        elif not only_pack:
            await self._session(self._drain())
        return row

    async def resend(self, row: Row, ranges: tuple[Range, ...]) -> None:
        """Send these slabs of a bundle that was sent before, with its manifest and tables, and end."""
        note_resend(self._audit, row, ranges)
        self._ledger.resends.ask(row.id, ranges)
        await self._session(self._drain())

    # the life of the daemon

    async def _session(self, work: Coroutine[Any, Any, None]) -> None:
        """Everything that runs while ``work`` runs."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._interrupt, number)
        if self.config.metrics.listen:
            self._stack.callback(serve(self.config.metrics.listen, self._metrics))
        self._crew = Crew(self._on_message, self._on_death, self._fail)
        self._audit.append(What.STARTED)
        self._ledger.follow_audit()
        await self._heart.open()
        find_moved(self.config.outbox, self.config.state, self._ledger)
        self._flights.find_queued()
        self._flights.find_resends()
        try:
            self._start_pipeline()
            beats = asyncio.create_task(self._beat())
            worker = asyncio.create_task(work)
            stop = asyncio.create_task(self._stopping.wait())
            await asyncio.wait({worker, beats, stop}, return_when=asyncio.FIRST_COMPLETED)
            await self._wind_down(beats, worker)
        finally:
            self._crew.close()
            self._heart.close()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
            self._audit.append(What.STOPPED, **ended(self._failure))
            self._ledger.follow_audit()
        if self._failure:
            raise self._failure

    async def _wind_down(self, beats: "asyncio.Task[None]", worker: "asyncio.Task[None]") -> None:
        """Say where things stand, and end. A slab that was under way is sent again by a later run."""
        self._reports.stopping()
        self._stopping.set()
        for task in (worker, beats):
            if not task.done():
                task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self._failure is None:
            await self._say_over()

    async def _say_over(self) -> None:
        for _ in range(3):
            await self._send_heartbeat()
            await asyncio.sleep(TAIL_S / 3)

    def _interrupt(self, number: int) -> None:
        self.interrupted = number
        self._stopping.set()
        self._changed.set()
        log.info("stopping", signal=signal.Signals(number).name)

    def _fail(self, error: DiodeError) -> None:
        self._failure = self._failure or error
        self._stopping.set()
        self._changed.set()

    async def _drain(self) -> None:
        """Until all that is queued has been sent."""
        while not self._flights.is_idle and not self._stopping.is_set():
            self._changed.clear()
            await self._changed.wait()

    def _keep_time(self) -> None:
        """Change the line's rate when the timetable says so; what is under way is sent to its end."""
        rate = self._timetable.rate_at(time.localtime(), self.config.link.rate)
        if rate == self._rate or not self._pipeline.ready:
            return
        log.info("rate_changed", rate="off" if rate is None else rate)
        self._rate = rate
        if rate is not None:
            self._scheduler.set_rate(rate)
            self._pipeline.set_rate(rate)
            self._pump()

    # queue to workers

    def _start_pipeline(self) -> None:
        self._pipeline = Pipeline(self.config, self._rate or self.config.link.rate, self._crew)
        self._pulse = Pulse(time.monotonic())
        self.tally.counters = self._pipeline.counters

    def _take(self, row: Row) -> None:
        """Queue what the outbox had, unless people have to sign it first."""
        if row.state == "unapproved":
            self.tally.unapproved += 1
            return
        self._flights.queue(row)
        self._pump()

    def _pump(self) -> None:
        """Keep the workers supplied."""
        if self._pump_handle:
            self._pump_handle.cancel()
            self._pump_handle = None
        if not self._pipeline.ready or self._stopping.is_set() or self._rate is None:
            return
        self._flights.launch()
        while self._pipeline.has_room:
            step = self._scheduler.next(time.monotonic())
            if step is None:
                return
            if isinstance(step, Wait):
                self._pump_handle = asyncio.get_running_loop().call_later(step.seconds, self._pump)
                return
            if isinstance(step, Filler):
                self._pipeline.fill(step)
            else:
                self._pipeline.assign(step, self._flights.outgoing[step.bundle].plan)

    def _on_message(self, worker: Worker, message: object) -> None:
        """What a worker may say, its vocabulary has decided. Raises MessageError for what cannot be true."""
        match message:
            case Sent(job):
                self._on_sent(job)
            case Failed(job, detail):
                self._on_failed(job, detail)
            case SessionBegun():
                self._on_session(message)
            case Degraded(detail):
                log.warning("offload_refused", detail=detail, consequence="slower, nothing is lost")
            case Fatal():
                self._fail(_failure(message))
            case PeerRefused():
                self._crew.alarm(_PEERS[worker.module], message.kind, message.why)
            case SandboxLacks(lacks):
                if lacks:
                    consequence = f"a taken-over {worker.module} could do more than it needs"
                    log.warning("sandbox_incomplete", lacks=list(lacks), consequence=consequence)
            case PathChosen(path):
                log.info("udp_path_chosen", path=path)

    def _on_session(self, message: SessionBegun) -> None:
        if message.key_id != self._key_id:  # heartbeats would announce it under another key
            self._fail(WorkerError("the link key was changed since the start; start again, all is kept"))
            return
        self._pipeline.session = message.session
        self._say_engine(message.engine)
        asyncio.get_running_loop().create_task(self._warm_up(self._pipeline))

    def _say_engine(self, engine: str) -> None:
        if engine == "zfec" and self.config.fec.engine == "auto":
            log.warning("isal_absent", consequence=f"FEC runs on zfec alone, about {ZFEC_SLOWDOWN} times slower")

    async def _warm_up(self, pipeline: Pipeline) -> None:
        """Announce the new session before its first datagram; peers lose most at the start."""
        for _ in range(int(WARM_UP_S / WARM_UP_HEARTBEAT_S)):
            await self._send_heartbeat()
            await asyncio.sleep(WARM_UP_HEARTBEAT_S)
        pipeline.ready = True
        if pipeline is self._pipeline:
            self._reports.ready(self._status())
            if self._rate is None:
                log.info("rate_changed", rate="off", until="the next entry of link.timetable")
                return
            pipeline.fill(Filler(FILLER_DATAGRAMS))
            self._pump()

    def _on_sent(self, number: int) -> None:
        """What it was, and how many datagrams it had, is known here."""
        taken = self._pipeline.take_back(number)
        if taken is None:
            return
        job, datagrams = taken
        is_over = self._scheduler.sent(job, datagrams, time.monotonic())
        if isinstance(job, Job):
            self._flights.sent(job, is_over=is_over)
        self._changed.set()
        self._pump()

    def _on_failed(self, number: int, detail: str) -> None:
        taken = self._pipeline.take_back(number)
        if taken is not None and isinstance(taken[0], Job):
            self._flights.failed(taken[0], detail)
        self._changed.set()
        self._pump()

    def _on_death(self, worker: Worker) -> None:
        """Build the pipeline anew; what was under way is sent again."""
        if self._failure:
            return
        now = time.monotonic()
        lost = self._pipeline.take_all_back()
        for job in lost:
            self._scheduler.lost(job)
        self.tally.workers_ended()
        code = self._crew.close()[worker.module]
        log.error("worker_died", worker=worker.module, code=code, jobs_resent=len(lost))
        if len(self._restarts) == MOST_RESTARTS and now - self._restarts[0] < 60:
            self._fail(WorkerError(f"{worker.module} died {MOST_RESTARTS + 1} times within a minute; all is kept"))
            return
        self._restarts.append(now)
        if not self._stopping.is_set():
            self._start_pipeline()
        self._changed.set()

    # heartbeat, metrics

    async def _beat(self) -> None:
        prune_at = anchor_at = 0.0
        while True:
            await self._send_heartbeat()
            if time.monotonic() >= anchor_at:
                self._follow_audit()
                anchor_at = time.monotonic() + ANCHOR_EVERY_S
            if time.monotonic() >= prune_at:
                prune(self.config.outbox, self.config.state, self._ledger, time.time())
                prune_at = time.monotonic() + keeping.PERIOD_S
            self._keep_time()
            if self._flights.find_approved() | self._flights.find_resends():
                self._pump()
            self._report_health(time.monotonic())
            await asyncio.sleep(heart.PERIOD_S)

    def _follow_audit(self) -> None:
        try:
            self._ledger.follow_audit()
        except StorageError as error:  # whoever decides something next fails with it; a line that is idle need not end
            log.warning(
                "anchor_behind", detail=str(error), consequence="the audit log's newest entries could be cut off"
            )

    def _report_health(self, now: float) -> None:
        """Tell systemd how we are: heartbeats leave, the workers live, and what they have in hand moves."""
        pipeline = self._pipeline
        still_s = self._pulse.feel(pipeline.counters.writes, now, is_excused=pipeline.is_idle)
        self._reports.tick(now, self._status, is_well=self._crew.is_alive and still_s < PATIENCE_S)

    def _status(self) -> str:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self.tally.outcomes().items())
        return f"sending to {self.config.link.to}; {self._flights.waiting} bundles wait; {counts}"

    async def _send_heartbeat(self) -> None:
        pipeline = self._pipeline
        sent = {pipeline.session: pipeline.counters["data_datagrams"]} if pipeline.session else {}
        health = self.tally.health(self._flights.waiting)
        await self._heart.beat(sent, self._scheduler.flights(), self._flights.queued(), health)

    def _metrics(self) -> Iterable[Metric]:
        text = "Messages of workers refused, each of which ended its worker"
        yield from self.tally.metrics(self._flights.waiting)
        yield counter("diode_sender_worker_refused", text, dict(self._crew.refused), "worker")


_PEERS: Final = {
    "sender.transport.encode": "sender.transport.transmit",
    "sender.transport.transmit": "sender.transport.encode",
}


def _failure(fatal: Fatal) -> DiodeError:
    error = DiodeError(fatal.detail)
    error.exit_code = fatal.exit_code
    return error
