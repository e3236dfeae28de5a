"""The supervisor of the sending side: it composes outbox, packing, ledger, scheduler and the two workers.

It alone decides; ``encode`` and ``transmit`` do what they are told. When a worker dies, the pipeline (workers, pipes,
arena, session) is built anew and what was under way is sent again. Heartbeats leave through a socket of its own.
"""

import asyncio
import os
import shutil
import signal
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import structlog
from prometheus_client.core import Metric
from watchfiles import awatch

from diode.codes import Range
from diode.config import SenderConfig
from diode.errors import DiodeError, SourceError, UsageError, WorkerError
from diode.fec import ZFEC_SLOWDOWN
from diode.keys import read_link_key, read_signer
from diode.locking import lock_folder
from diode.metrics import counter, gauge, serve
from diode.progress import Display
from diode.supervise import Crew
from diode.wire import Kind, datagram_bytes
from diode.workers import Message, Worker
from sender import heart, keeping, transmit
from sender.encode import FILLER_DATAGRAMS
from sender.heart import Heart
from sender.keeping import find_moved, prune
from sender.ledger import Ledger, Resend, Row
from sender.outbox import Item, OutboxFolder, check_channel, split_name
from sender.packer import Packer
from sender.packing import Packed, load_packed, relocate
from sender.pipeline import Pipeline
from sender.schedule import Filler, Job, Plan, Scheduler, Wait
from sender.timetable import Timetable

JOBS_UNDER_WAY: Final = 3
WARM_UP_S: Final = 0.3
WARM_UP_HEARTBEAT_S: Final = 0.05
TAIL_S: Final = 0.2
RESCAN_S: Final = 30.0
WATCH_AGAIN_S: Final = 1.0
MOST_RESTARTS: Final = 5  # within a minute: then something is wrong that a restart does not mend
OVER_SHOWN_S: Final = 60.0

log = structlog.get_logger()


@dataclass(slots=True)
class Outgoing:
    """A bundle on its way, and what is known of its progress."""

    row: Row
    plan: Plan
    resend: Resend | None = None
    bytes_sent: int = 0

    @property
    def bytes_to_send(self) -> int:
        """User data of all transmissions."""
        if self.resend is None:
            return self.row.size * self.row.passes
        slab_bytes = self.plan.full.source_bytes
        return sum(min(last * slab_bytes, self.row.size) - first * slab_bytes for first, last in self.resend.ranges)

    @property
    def label(self) -> str:
        """As people call it."""
        return f"{self.row.channel}/{self.row.name}/{self.row.version}"


class Sender:
    """One sending daemon. Use as a context manager: it holds the lock of its state folder."""

    def __init__(self, config: SenderConfig, display: Display) -> None:
        self.config = config
        self.failed = 0
        self.sent = 0
        self.skipped = 0
        self.resent = 0
        self._display = display
        self._stack = ExitStack()
        signer = read_signer(config.send.key)
        read_link_key(config.link.key)
        self._lock = lock_folder(config.state)
        self._stack.callback(os.close, self._lock)
        self._ledger = Ledger(config.state / "ledger.db")
        self._stack.callback(self._ledger.close)
        self._outbox = OutboxFolder(config.outbox)
        self._heart = Heart(config.link, read_link_key(config.link.key), self._ledger)
        self._packer = Packer(config, self._ledger, signer, display)
        try:
            self._timetable = Timetable.parse(config.link.timetable)
        except ValueError as error:
            raise UsageError(f"link.timetable: {error}") from None
        self._rate = self._timetable.rate_at(time.localtime(), config.link.rate)  # None: off
        self._scheduler = Scheduler(self._rate or config.link.rate, datagram_bytes(config.link.symbol_bytes))
        self._outgoing: dict[int, Outgoing] = {}
        self._queue: deque[Row] = deque()
        self._resends: deque[Resend] = deque()
        self._job_number = 0
        self._restarts: deque[float] = deque(maxlen=MOST_RESTARTS)
        self._totals: dict[str, int] = dict.fromkeys(transmit.COUNTERS, 0)
        self._worker_restarts = 0
        self._failure: DiodeError | None = None
        self.interrupted: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    async def run(self, *, until_idle: bool = False) -> None:
        """Send what is queued and what appears in the outbox, until stopped (or, with ``until_idle``, all is sent)."""
        await self._session(self._watch_outbox(until_idle))

    async def send(
        self,
        paths: Sequence[Path],
        channel: str,
        name: str | None,
        version: str | None,
        passes: int,
        pass_delay_s: float,
    ) -> Row | None:
        """Pack, sign and send ``paths`` as one bundle. Returns its ledger row; None when identical content was sent."""
        check_channel(channel)
        entry_name, entry_version = split_name(paths[0].absolute().name)
        item = Item(paths[0], channel, name or entry_name, version or (None if name else entry_version))
        split_name(item.name)
        row = await self._packer.pack(item, [path.absolute() for path in paths], passes, pass_delay_s, "")
        if row is None:
            self.skipped += 1
        else:
            await self._session(self._drain())
        return row

    async def resend(self, row: Row, ranges: tuple[Range, ...]) -> None:
        """Send these slabs of a bundle that was sent before, with its manifest and tables, and end."""
        self._ledger.ask_resend(row.id, ranges)
        await self._session(self._drain())

    # the life of the daemon

    async def _session(self, work: "Any") -> None:
        """Everything that runs while ``work`` runs."""
        loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._interrupt, number)
        if self.config.metrics.listen:
            self._stack.callback(serve(self.config.metrics.listen, self._metrics))
        self._crew = Crew(self._on_message, self._on_death, self._fail)
        await self._heart.open()
        self._pump_handle: asyncio.TimerHandle | None = None
        find_moved(self.config.outbox, self.config.state, self._ledger)
        self._queue.extend(row for row in self._ledger.queued() if row not in self._queue)
        self._find_resends()
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
        if self._failure:
            raise self._failure

    async def _wind_down(self, beats: "asyncio.Task[None]", worker: "asyncio.Task[None]") -> None:
        """Say where things stand, and end. A slab that was under way is sent again by a later run."""
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
        log.info("stopping", signal=signal.Signals(number).name)
        self.interrupted = number
        self._stopping.set()
        self._changed.set()

    def _fail(self, error: DiodeError) -> None:
        self._failure = self._failure or error
        self._stopping.set()
        self._changed.set()

    # outbox to queue

    async def _watch_outbox(self, until_idle: bool) -> None:
        hint = asyncio.Event()
        watcher = asyncio.create_task(self._hint(hint))
        try:
            while not self._stopping.is_set():
                unsettled = await self._scan()
                if until_idle and not unsettled and not self._queue and self._scheduler.is_idle:
                    return
                await _first(hint.wait(), self._changed.wait(), timeout_s=0.25 if unsettled else RESCAN_S)
                hint.clear()
                self._changed.clear()
        finally:
            watcher.cancel()

    async def _hint(self, hint: asyncio.Event) -> None:
        """Wake the scan when something changes; a missed event costs at most RESCAN_S."""
        while not self._stopping.is_set():
            try:
                async for _ in awatch(self.config.outbox.path, stop_event=self._stopping, step=100, debounce=200):
                    hint.set()
            except (OSError, RuntimeError, UnicodeError) as error:  # a name that is not UTF-8, a folder that went away
                log.warning("watch_restarted", detail=repr(error))
            hint.set()
            await asyncio.sleep(WATCH_AGAIN_S)

    async def _scan(self) -> bool:
        """Take what is quiet; True when something is not yet."""
        for stray in self._outbox.strays():
            log.warning("item_ignored", item=_printable(stray), do="put it into a folder named as its channel")
        busy = {outgoing.row.origin for outgoing in self._outgoing.values()} | {row.origin for row in self._queue}
        unsettled = False
        for entry in await asyncio.to_thread(lambda: list(self._outbox.entries())):
            if self._stopping.is_set():
                break
            if str(entry) in busy:
                continue
            if not await asyncio.to_thread(self._outbox.is_quiet, entry):
                unsettled = True
                continue
            await self._take(entry)
        return unsettled

    async def _take(self, entry: Path) -> None:
        try:
            item = self._outbox.item(entry)
            send = self.config.send
            row = await self._packer.pack(item, [entry], send.passes, send.pass_delay_s, str(entry))
            if row is None:
                self.skipped += 1
                self._archive(self._ledger.from_origin(str(entry)), entry)
            else:
                self._queue.append(row)
                self._pump()
        except FileNotFoundError:
            return  # taken away again
        except DiodeError as error:
            self._set_aside(entry, error)
        except OSError as error:
            self._set_aside(entry, SourceError(f"{error.strerror}: {error.filename}"))

    def _set_aside(self, entry: Path, error: DiodeError) -> None:
        self.failed += 1
        log.error("item_set_aside", item=_printable(entry), reason=error.reason, detail=str(error))
        try:
            self._outbox.set_aside(entry, error)
        except OSError as stuck:
            log.warning("item_stuck", item=_printable(entry), detail=f"{stuck.strerror}: {stuck.filename}")

    async def _drain(self) -> None:
        """Until all that is queued has been sent."""
        while (self._queue or self._resends or not self._scheduler.is_idle) and not self._stopping.is_set():
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
            with suppress(BrokenPipeError):  # it died: the pipeline built anew starts at the new rate
                self._pipeline.encode.mailbox.send({"rate": rate})
            self._pump()

    # queue to workers

    def _start_pipeline(self) -> None:
        self._pipeline = Pipeline(self.config, self._rate or self.config.link.rate, self._crew)

    def _pump(self) -> None:
        """Keep the workers supplied."""
        if self._pump_handle:
            self._pump_handle.cancel()
            self._pump_handle = None
        if not self._pipeline.ready or self._stopping.is_set() or self._rate is None:
            return
        self._launch()
        while len(self._pipeline.jobs) < JOBS_UNDER_WAY:
            step = self._scheduler.next(time.monotonic())
            if step is None:
                return
            if isinstance(step, Wait):
                self._pump_handle = asyncio.get_running_loop().call_later(step.seconds, self._pump)
                return
            self._assign(step)

    def _find_resends(self) -> None:
        """Requests come through the ledger: the command that asks is another process."""
        known = {resend.number for resend in self._resends}
        known |= {out.resend.number for out in self._outgoing.values() if out.resend}
        self._resends.extend(resend for resend in self._ledger.resends() if resend.number not in known)

    def _launch(self) -> None:
        for _ in range(len(self._resends)):
            self._launch_resend(self._resends.popleft())
        self._launch_queued()

    def _launch_resend(self, resend: Resend) -> None:
        number = int(resend.bundle, 16)
        row = self._ledger.get(resend.bundle)
        if row is not None and (number in self._outgoing or not self._has_room(row)):
            self._resends.append(resend)  # after what is on its way
            return
        try:
            packed = load_packed(self.config.state, number)
        except (OSError, DiodeError, ValueError) as error:
            self._give_up_resend(resend, f"its packed bundle is not kept any more: {error}")
            return
        if row is None or not self._fits_link(packed):
            self._give_up_resend(resend, "it was packed for another MTU or profile than the link has now")
            return
        plan = replace(self._plan(packed, row), passes=1, first_pass=row.passes_over, ranges=resend.ranges)
        self._outgoing[number] = Outgoing(row, plan, resend)
        self._scheduler.add(plan)

    def _has_room(self, row: Row) -> bool:
        return self._scheduler.has_room(self.config.channel(row.channel).priority)

    def _fits_link(self, packed: Packed) -> bool:
        shape, link = packed.manifest.shape, self.config.link
        return (shape.symbol_bytes, shape.profile) == (link.symbol_bytes, link.profile)

    def _give_up_resend(self, resend: Resend, detail: str) -> None:
        self.failed += 1
        self._ledger.resend_over(resend.number, "failed", detail)
        log.error("resend_failed", bundle=resend.bundle, detail=detail, do="drop it into the outbox as a new version")

    def _launch_queued(self) -> None:
        for row in sorted(self._queue, key=lambda row: -self.config.channel(row.channel).priority):
            if not self._has_room(row):
                continue
            self._queue.remove(row)
            try:
                packed = load_packed(self.config.state, int(row.id, 16))
            except (OSError, DiodeError, ValueError) as error:
                self._withdraw(row, SourceError(f"packed bundle is damaged: {error}"))
                continue
            if not self._fits_link(packed):
                self._withdraw(row, SourceError("packed for another MTU or profile; drop it into the outbox again"))
                self._ledger.forget(row.id)
                continue
            plan = self._plan(packed, row)
            self._outgoing[packed.id] = Outgoing(row, plan)
            self._scheduler.add(plan)

    def _plan(self, packed: Packed, row: Row) -> Plan:
        manifest, channel = packed.manifest, self.config.channel(row.channel)
        return Plan(
            bundle=packed.id,
            full=manifest.shape.geometry,
            stream_bytes=manifest.stream_bytes,
            manifest_bytes=packed.travelling_bytes,
            files_bytes=manifest.files.size,
            slabs_bytes=manifest.slabs.size,
            files=manifest.files.entries,
            passes=row.passes,
            pass_delay_s=row.pass_delay_s,
            lead_s=self.config.send.manifest_lead_ms / 1000,
            channel=row.channel,
            priority=channel.priority,
            weight=channel.weight,
            rate=channel.rate,
        )

    def _assign(self, step: Job | Filler) -> None:
        self._job_number += 1
        self._pipeline.jobs[self._job_number] = step
        if isinstance(step, Filler):
            message: Message = {"job": self._job_number, "filler": step.datagrams}
        else:
            plan = self._outgoing[step.bundle].plan
            message = {
                "job": self._job_number,
                "bundle": f"{step.bundle:016x}",
                "kind": step.kind,
                "flags": step.flags,
                "slab": step.slab,
                "pass": step.sending_pass,
                "plan": _plan_message(plan, self.config.link.profile),
            }
        with suppress(BrokenPipeError):  # it died: on_death comes next
            self._pipeline.encode.mailbox.send(message)

    def _on_message(self, worker: Worker, message: Message) -> None:
        if "sent" in message:
            self._on_sent(message["sent"], message["datagrams"])
        elif "failed" in message:
            self._on_failed(message["failed"], message["detail"])
        elif "session" in message:
            self._pipeline.session = message["session"]
            self._say_engine(message["engine"])
            asyncio.get_running_loop().create_task(self._warm_up(self._pipeline))
        elif "degraded" in message:
            log.warning("offload_refused", detail=message["degraded"], consequence="slower, nothing is lost")
        elif "error" in message:
            self._fail(DiodeError(message["error"]))
        elif "path" in message:
            log.info("udp_path_chosen", path=message["path"])

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
            self._assign(Filler(FILLER_DATAGRAMS))
            self._pump()

    def _on_sent(self, number: int, datagrams: int) -> None:
        job = self._pipeline.jobs.pop(number, None)
        if job is None:
            return
        over = self._scheduler.sent(job, datagrams, time.monotonic())
        if isinstance(job, Job) and (outgoing := self._outgoing.get(job.bundle)):
            if job.kind == Kind.DATA:
                outgoing.bytes_sent += outgoing.plan.slab(job).length
            self._show(outgoing)
            if over:
                self._on_over(outgoing)
        self._changed.set()
        self._pump()

    def _on_over(self, outgoing: Outgoing) -> None:
        row = outgoing.row
        self._ledger.pass_over(row.id, outgoing.plan.passes)
        del self._outgoing[outgoing.plan.bundle]
        self._heart.remember_over(row, "over")
        fields = {"id": row.id, "bytes": row.size, "files": row.files, "passes": row.passes}
        if outgoing.resend is not None:
            self._ledger.resend_over(outgoing.resend.number, "sent")
            self.resent += 1
            self._display.finish(outgoing.label, "resent", fields | {"bytes": outgoing.bytes_to_send, "passes": 1})
            return
        self._ledger.set_state(row.id, "sent")
        self.sent += 1
        if row.origin:
            self._archive(row, Path(row.origin))
        self._display.finish(outgoing.label, "sent", fields)

    def _archive(self, row: Row | None, item: Path) -> None:
        """Move an item that was sent away. The packed bundle it became is kept, and finds it at its new place."""
        try:
            place = self._outbox.archive(item)
            if row is not None and (folder := self.config.state / "bundles" / row.id).is_dir():
                relocate(folder, item, place)
                self._ledger.moved(row.id, str(place))
        except OSError as error:
            log.warning("sent_item_stuck", item=_printable(item), detail=f"{error.strerror}: {error.filename}")

    def _on_failed(self, number: int, detail: str) -> None:
        job = self._pipeline.jobs.pop(number, None)
        if isinstance(job, Job) and (outgoing := self._outgoing.pop(job.bundle, None)):
            self._scheduler.withdraw(job.bundle)
            if outgoing.resend is None:
                self._withdraw(outgoing.row, SourceError(detail))
            else:
                self._heart.remember_over(outgoing.row, "over")
                self._give_up_resend(outgoing.resend, detail)
        self._changed.set()
        self._pump()

    def _withdraw(self, row: Row, error: SourceError) -> None:
        """Give a bundle up: its source is not what was hashed any more."""
        self._ledger.set_state(row.id, "withdrawn", str(error))
        self._heart.remember_over(row, "withdrawn")
        shutil.rmtree(self.config.state / "bundles" / row.id, ignore_errors=True)
        log.error("bundle_withdrawn", bundle=row.id, channel=row.channel, name=row.name, detail=str(error))
        if row.origin and os.path.lexists(row.origin):
            self._set_aside(Path(row.origin), error)
        else:
            self.failed += 1

    def _on_death(self, worker: Worker) -> None:
        """Build the pipeline anew; what was under way is sent again."""
        if self._failure:
            return
        now = time.monotonic()
        lost, self._pipeline.jobs = self._pipeline.jobs, {}
        for job in lost.values():
            self._scheduler.lost(job)
        for name, value in self._pipeline.counters.snapshot().items():
            self._totals[name] += value
        code = self._crew.close()[worker.module]
        self._worker_restarts += 1
        log.error("worker_died", worker=worker.module, code=code, jobs_resent=len(lost))
        if len(self._restarts) == MOST_RESTARTS and now - self._restarts[0] < 60:
            self._fail(WorkerError(f"{worker.module} died {MOST_RESTARTS + 1} times within a minute; all is kept"))
            return
        self._restarts.append(now)
        if not self._stopping.is_set():
            self._start_pipeline()
        self._changed.set()

    # heartbeat, display, metrics

    async def _beat(self) -> None:
        prune_at = 0.0
        while True:
            await self._send_heartbeat()
            if time.monotonic() >= prune_at:
                prune(self.config.outbox, self.config.state, self._ledger, time.time())
                prune_at = time.monotonic() + keeping.PERIOD_S
            self._keep_time()
            self._find_resends()
            if self._resends:
                self._pump()
            await asyncio.sleep(heart.PERIOD_S)

    async def _send_heartbeat(self) -> None:
        pipeline = self._pipeline
        sent = {pipeline.session: pipeline.counters["data_datagrams"]} if pipeline.session else {}
        await self._heart.beat(sent, self._scheduler.flights(), self._queue)

    def _show(self, outgoing: Outgoing) -> None:
        total = outgoing.bytes_to_send
        figures = self.figures()
        self._display.update(
            outgoing.label,
            outgoing.bytes_sent,
            total,
            f"pass {outgoing.bytes_sent // max(1, outgoing.row.size + 1) + 1}/{outgoing.row.passes}",
            figures,
        )

    def figures(self) -> dict[str, int]:
        """Counters since the start, over all restarts of the workers."""
        now = self._pipeline.counters.snapshot() if hasattr(self, "_pipeline") else {}
        return {name: value + now.get(name, 0) for name, value in self._totals.items()}

    def _metrics(self) -> Iterable[Metric]:
        figures = self.figures()
        yield counter("diode_sender_datagrams", "Datagrams handed to the kernel", figures["datagrams"])
        yield counter("diode_sender_bytes", "Bytes of UDP payload handed to the kernel", figures["bytes"])
        yield counter("diode_sender_filler_datagrams", "Of them, filler", figures["filler_datagrams"])
        yield counter("diode_sender_refused_datagrams", "Datagrams the kernel refused", figures["refused"])
        outcomes = {"sent": self.sent, "resent": self.resent, "failed": self.failed, "skipped": self.skipped}
        yield counter("diode_sender_bundles", "Bundles by outcome", outcomes, "outcome")
        yield counter("diode_sender_worker_restarts", "Pipelines built anew", self._worker_restarts)
        yield gauge(
            "diode_sender_bundles_waiting", "Bundles queued or in flight", len(self._queue) + len(self._outgoing)
        )


async def _first(*waits: Any, timeout_s: float) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _printable(path: Path) -> str:
    return os.fsencode(path).decode(errors="backslashreplace")


def _plan_message(plan: Plan, profile: str) -> Message:
    sizes = ("stream_bytes", "manifest_bytes", "files_bytes", "slabs_bytes", "files")
    return {"symbol_bytes": plan.full.symbol_bytes, "profile": profile} | {name: getattr(plan, name) for name in sizes}
