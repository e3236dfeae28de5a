"""The supervisor of the receiving side: it composes the three workers and shows what they do.

It holds the socket, so that the port never closes while a worker is replaced, but never reads it. When a worker dies
the pipeline is built anew; stored slabs are kept by the ledger. At the end it lingers until the link is quiet, because
the kernel would answer datagrams to a closed port. A socket that systemd passed stays open without us: no lingering.
"""

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from typing import Any, Final, Self

import structlog
from prometheus_client.core import Metric

from diode.audit.chain import What
from diode.audit.log import ended, open_log
from diode.config.link_key_rotation import maybe_previous
from diode.config.ownership import check_ownership
from diode.config.settings import ReceiverConfig
from diode.console.budget import PerMinute
from diode.console.metrics import counter, gauge, serve
from diode.console.progress import Display
from diode.console.seldom import Seldom
from diode.errors import DiodeError, Drop, IncompleteError, MessageError, UsageError, WorkerError
from diode.formats.timestamps import now_utc
from diode.net.udp import Address, adopt_receiver, open_receiver
from diode.process.judges import Account, let_in
from diode.process.messages import EngineChosen, Fatal, PathChosen, PeerRefused, SandboxLacks
from diode.process.supervise import Allowance, Crew, Pulse
from diode.process.systemd import Reports, listen_fds
from diode.process.workers import Worker
from diode.protocol.auth import LinkKey
from diode.protocol.fec import ZFEC_SLOWDOWN
from diode.protocol.gate import MAX_SESSIONS
from diode.protocol.heartbeat import read_heartbeat
from diode.storage.locking import lock_folder
from diode.trust.keys import maybe_read_service_key, read_link_key, read_signer
from receiver.events import Coming, Ended, Event, Lookup, Noted, NowHeld, disk_failing
from receiver.inbox.folder import Inbox
from receiver.messages import Heard, OldKey
from receiver.peer.audit_heads import PeerHeads
from receiver.peer.completion import Endings
from receiver.peer.heartbeats import Hearing
from receiver.peer.order_alarm import OrderAlarm
from receiver.peer.requests import Request, drop_request, keep_request, request_bundle
from receiver.policy.authority import Authority
from receiver.recovery.rebaseline import open_ledger, open_supervisor_ledger
from receiver.release.decisions import write_decision
from receiver.release.held import decide
from receiver.release.scanning import NoAnswerError, scan, surroundings
from receiver.spool.disk import DiskHealth
from receiver.transport.pipeline import Pipeline

QUIET_S: Final = 2.0
LONGEST_LINGER_S: Final = 10.0
SILENT_S: Final = 3.0
GONE_S: Final = 10.0  # no heartbeat for so long: with --bundles, the sender is taken to be gone
MOST_RESTARTS: Final = 5
GRACE_S: Final = 20.0  # for workers to park and store what they have
LISTEN_PATIENCE_S: Final = 10.0  # it shows life five times a second, unless it waits for assemble
ASSEMBLE_PATIENCE_S: Final = 300.0  # once a second, unless it waits for a disk; and a restart mends no disk
WAITING_S: Final = 2.0
HINTS_A_MINUTE: Final = 10  # reports of bundles that heartbeats alone speak of
BEATS_AT_ONCE: Final = 100  # heartbeats that are taken; an honest sender has one a second, and a burst at its start
BEATS_PER_S: Final = 10.0

ZFEC_ALONE: Final = f"FEC runs on zfec alone, about {ZFEC_SLOWDOWN} times slower"
STRANGERS: Final = (  # why datagrams are refused that nobody sealed who has the link key
    *(Drop.LENGTH, Drop.MAGIC, Drop.VERSION, Drop.KIND, Drop.FLAGS, Drop.RESERVED, Drop.SYMBOL_SIZE, Drop.GEOMETRY),
    *(Drop.KEY, Drop.SESSION, Drop.TAG, Drop.HEARTBEAT_RATE),
)

log = structlog.get_logger()


class Receiver:
    """One receiving daemon. Use as a context manager: it holds the locks of its state and its inbox, and the port."""

    def __init__(self, config: ReceiverConfig, display: Display) -> None:
        self.config = config
        self.outcomes: dict[str, int] = {"published": 0, "quarantined": 0, "incomplete": 0}
        self.interrupted: int | None = None
        self._display = display
        self._stack = ExitStack()
        _check_settings(config)
        self._previous = maybe_previous(config.link)
        self._stack.callback(os.close, lock_folder(config.state))
        inbox = Inbox(config.inbox.path)
        inbox.prepare()
        self._stack.callback(os.close, inbox.lock())
        with closing(open_ledger(config)) as ledger:  # as `store` will
            _say_awaited(Authority(ledger, config.signers, {}))  # and, now and here, what is wrong with keys
        self._ledger = open_supervisor_ledger(config)
        self._stack.callback(self._ledger.close)
        passed = listen_fds()
        self._is_passed = bool(passed)
        address, buffer = Address.parse(config.link.listen), config.link.socket_buffer
        if len(passed) > 1:
            raise UsageError(f"{len(passed)} sockets were passed, but one is wanted: ListenDatagram={address}")
        self._socket = adopt_receiver(passed[0].fd, address, buffer) if passed else open_receiver(address, buffer)
        self._stack.callback(self._socket.close)
        self._reports = Reports()
        self._receiving: dict[str, Coming] = {}
        self._lookup = Lookup(config, self._ledger)
        self._endings = Endings(self._ledger.peer.heard())
        self._disk = DiskHealth(lambda message: self._on_event(disk_failing(message)))
        self._audit = open_log(config.audit_folder, config.service_key, "receiver")
        heads = PeerHeads(self._ledger, self._audit)
        self._fingerprints = [key.fingerprint for key in self._held_keys()]
        self._hearing = Hearing(self._ledger, self._endings, self._disk, heads, config.channels, self._fingerprints)
        self._hints = PerMinute(HINTS_A_MINUTE)
        self._seldom = Seldom()
        self._order_alarm = OrderAlarm()
        self._datagram_bytes = config.link.datagram_bytes
        self._old_key_sessions: deque[str] = deque(maxlen=MAX_SESSIONS)  # alarmed already
        self._old_key_uses = 0
        self._hearable = Allowance(BEATS_AT_ONCE, BEATS_PER_S)
        self._scans: dict[str, asyncio.Task[None]] = {}
        self._admitted: Sequence[Sequence[int]] = self._ledger.peer.sessions()  # a new pipeline need not wait for them
        self._ended: dict[str, str] = {}  # with --bundles: what counts, and how it ended last
        self._refusal_code = 0
        self._heard_at: float | None = None
        self._silent = False
        self._totals: dict[str, int] = {}
        self._restarts: deque[float] = deque(maxlen=MOST_RESTARTS)
        self._worker_restarts = 0
        self._failure: DiodeError | None = None
        self._fatal: Fatal | None = None
        self._bundles_wanted: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def exit_code(self) -> int:
        """What ``--bundles`` ends with: 0, or the code of the first refusal, or of bundles left incomplete."""
        return self._refusal_code or (IncompleteError.exit_code if "incomplete" in self._ended.values() else 0)

    async def run(self, bundles: int | None = None) -> None:
        """Receive until stopped, or until so many bundles are over. Raises what ended it too early."""
        loop = asyncio.get_running_loop()
        self._bundles_wanted = bundles
        self._done = asyncio.Event()
        self._audit.append(What.STARTED)
        self._ledger.follow_audit()  # from now on `store` alone writes the anchor
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._interrupt, number)
        if self.config.metrics.listen:
            self._stack.callback(serve(self.config.metrics.listen, self._metrics))
        self._crew = Crew(self._on_message, self._on_death, self._fail)
        self._pipeline = self._start_pipeline()
        log.info("listening", address=self.config.link.listen, inbox=str(self.config.inbox.path))
        self._say_keys()
        try:
            while not self._done.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.25):
                        await self._done.wait()
                self._tick(time.monotonic())
            if bundles is not None and self._failure is None and self.interrupted is None and not self._is_passed:
                await self._linger()
        finally:
            self._reports.stopping()
            for task in self._scans.values():
                task.cancel()
            await asyncio.gather(*self._scans.values(), return_exceptions=True)
            self._crew.close(GRACE_S)
            self._collect_totals()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
            with self._disk.surviving():
                self._audit.append(What.STOPPED, **ended(self._failure))
                self._ledger.follow_audit()
        if self._failure:
            raise self._failure

    def _say_keys(self) -> None:
        link = self.config.link
        if self._previous:
            do = "when the sender has the new key: diode keys retire-link receiver.toml, and restart"
            key = f"{self._previous.key.key_id:04x}"
            log.info("two_link_keys_valid", previous=key, since=self._previous.since, do=do)
        elif link.previous_key and not link.previous_key.exists():
            do = "put it there, or take link.previous_key out of receiver.toml"
            log.warning("previous_link_key_missing", path=str(link.previous_key), do=do)

    def _held_keys(self) -> list[LinkKey]:
        return [read_link_key(path) for path in self.config.link.keys]

    def _start_pipeline(self) -> Pipeline:
        now = time.monotonic()
        self._listen_pulse, self._assemble_pulse = Pulse(now), Pulse(now)
        orders, size = self._hearing.orders, self._datagram_bytes
        return Pipeline(self.config, self._socket.fileno(), orders, self._admitted, size, self._crew)

    async def _linger(self) -> None:
        """Keep the port open until nothing comes any more, so that the kernel never answers the sender."""
        deadline = time.monotonic() + LONGEST_LINGER_S
        counters = self._pipeline.listen_counters
        quiet_from, seen = time.monotonic(), counters["bytes"]
        while time.monotonic() < deadline and time.monotonic() - quiet_from < QUIET_S and self.interrupted is None:
            await asyncio.sleep(0.1)
            if counters["bytes"] != seen:
                quiet_from, seen = time.monotonic(), counters["bytes"]

    def _interrupt(self, number: int) -> None:
        self.interrupted = number
        self._done.set()
        log.info("stopping", signal=signal.Signals(number).name, kept="slabs, stored or parked; a later run goes on")

    def _tick(self, now: float) -> None:
        for coming in self._receiving.values():
            self._show(coming)
        silent = self._heard_at is not None and now - self._heard_at > SILENT_S
        if silent != self._silent:
            self._silent = silent
            log.log(40 if silent else 20, "link_silent" if silent else "link_alive", since_s=SILENT_S)
        if silent and self._bundles_wanted is not None and now - (self._heard_at or now) > GONE_S:
            for bundle in self._receiving:
                self._endings.over(bundle, now, receiving=True)
        counters = self._pipeline.assemble_counters
        for bundle in self._endings.due(now, counters["slabs_completed"], counters["slabs_freed"]):
            self._report_incomplete(bundle, now)
        if left_out := self._hints.left_out(now):
            log.error("bundles_perhaps_incomplete", count=left_out, do="diode-receiver missing")
        self._hearing.look(now)
        self._order_alarm.look(self.drops()[Drop.HEARTBEAT_ORDER], self._hearing.newest, now)
        self._report_health(now)

    def _report_health(self, now: float) -> None:
        """Tell systemd how we are. Ready is who has begun to write figures: ``assemble`` waits for ``store`` first."""
        listened, assembled = self._pipeline.listen_counters.writes, self._pipeline.assemble_counters.writes
        if listened and assembled:
            self._reports.ready(self._status())
        assemble_s = self._assemble_pulse.feel(assembled, now)
        listen_s = self._listen_pulse.feel(listened, now, is_excused=assemble_s > WAITING_S)  # the ring may be full
        is_moving = listen_s < LISTEN_PATIENCE_S and assemble_s < ASSEMBLE_PATIENCE_S
        self._reports.tick(now, self._status, is_well=self._crew.is_alive and is_moving)

    def _status(self) -> str:
        heard = "never" if self._heard_at is None else f"{time.monotonic() - self._heard_at:.0f} s ago"
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self.outcomes.items())
        coming = len(self._receiving)
        return f"listening on {self.config.link.listen}; last heartbeat {heard}; {coming} bundles coming; {counts}"

    # what workers say

    def _on_message(self, worker: Worker, message: object) -> None:
        """What a worker may say, its vocabulary has decided. Raises MessageError for what cannot be true."""
        match message:
            case Heard():
                self._on_heard(message)
            case OldKey():
                self._alarm_old_key(message)
            case Fatal():
                self._fatal = message
            case PeerRefused():
                self._crew.alarm(_peer(worker, message), message.kind, message.why)
            case EngineChosen() | SandboxLacks() | PathChosen():
                self._greet(worker, message)
            case _:
                with self._disk.surviving():
                    if event := self._lookup.event(message):
                        self._on_event(event)

    def _greet(self, worker: Worker, message: EngineChosen | SandboxLacks | PathChosen) -> None:
        """What a worker says of itself when it begins."""
        match message:
            case EngineChosen(engine):
                if engine == "zfec" and self.config.fec.engine == "auto":
                    log.warning("isal_absent", consequence=ZFEC_ALONE)
            case SandboxLacks(lacks):
                if lacks:
                    consequence = f"a taken-over {worker.module} could do more than it needs"
                    log.warning("sandbox_incomplete", lacks=list(lacks), consequence=consequence)
            case PathChosen(path):
                log.info("udp_path_chosen", path=path)

    def _on_heard(self, message: Heard) -> None:
        """A heartbeat. It is a hint: of more than an honest sender has, the rest is not worth the work."""
        if message.key not in self._fingerprints:
            raise MessageError("Heard", "it is under no link key that is held")
        now = time.monotonic()
        if not self._hearable.take(now):
            return
        beat = read_heartbeat(message.beat)
        if beat is None:
            raise MessageError("Heard", "no heartbeat")
        self._heard_at, self._admitted = now, message.admitted
        self._hearing.hear(beat, now, self._receiving, message.key, has_mac=bool(message.has_mac))
        with self._disk.surviving():
            self._ledger.peer.note_sessions(self._admitted)

    def _alarm_old_key(self, message: OldKey) -> None:
        """Somebody seals under the key from before the last change: said once of a session, also over new pipelines."""
        if message.session in self._old_key_sessions:
            return
        self._old_key_sessions.append(message.session)
        self._old_key_uses += 1
        if not self._seldom.may_say("old_link_key_used", time.monotonic()):
            return
        do = (
            "diode keys rotate-link sender.toml --new FILE, and restart the sender; if that was done, somebody else "
            "has the old key: diode keys retire-link receiver.toml, and restart here"
        )
        log.warning("old_link_key_used", key=message.key, session=message.session, do=do)

    def _on_event(self, event: Event) -> None:
        match event:
            case Coming():
                if event.how != "progress":
                    self._hearing.manifest_came()
                    self._endings.resumed(event.row.id, time.monotonic())
                    log.info(f"bundle_{event.how}", bundle=event.row.id, name=event.row.label, bytes=event.row.size)
                self._receiving[event.row.id] = event
            case NowHeld():
                self._on_held(event)
            case Ended():
                self._on_ended(event)
            case Noted():
                self._on_noted(event)

    def _on_noted(self, noted: Noted) -> None:
        if noted.event == "slab_mismatch" and not self._seldom.may_say(noted.event, time.monotonic()):
            return  # whoever has the link key can seal wrong symbols as fast as the line is
        log.log(40 if noted.level == "error" else 20, noted.event, **noted.fields)

    def _on_held(self, held: NowHeld) -> None:
        self._receiving.pop(held.row.id, None)
        self._over(held.row.id)
        do = f"diode-receiver accept {held.row.id} --key KEY, or reject"
        log.warning("bundle_held", **held.facts(), waits_for=held.waits_for, do=do)
        if held.is_scanned:
            self._begin_scan(held)

    def _on_ended(self, event: Ended) -> None:
        self._refusal_code = self._refusal_code or event.exit_code
        if event.outcome == "dropped":  # said by itself where there is something to say
            self._receiving.pop(event.bundle, None)
            return
        if event.row is None:  # anybody may have sent it: it says nothing of the bundle whose id it has
            self._end(event.outcome, event.bundle, {"bundle": event.bundle} | event.fields)
            return
        self._receiving.pop(event.bundle, None)
        if event.outcome == "expired":
            self._endings.ended(event.bundle)
            log.error("bundle_expired", bundle=event.bundle, name=event.row.label)
            return
        self._over(event.bundle)
        self._end(event.outcome, event.row.label, {"bundle": event.bundle} | event.fields)

    def _begin_scan(self, held: NowHeld) -> None:
        """One scan of a bundle at a time, and none at the end; a new pipeline says once more what is held."""
        bundle = held.row.id
        if bundle not in self._scans and not self._done.is_set():
            self._scans[bundle] = asyncio.get_running_loop().create_task(self._scan(held))
            self._scans[bundle].add_done_callback(lambda _: self._scans.pop(bundle, None))

    async def _scan(self, held: NowHeld) -> None:
        """Let the channel's scanner decide about a held bundle; no answer leaves it held."""
        channel = self.config.channels[held.row.channel]
        try:
            around = surroundings(self.config)
            let_in(Inbox(self.config.inbox.path).held, channel.scan_user)
            verdict, reason = await scan(channel.scan, held.facts(), channel.scan_timeout_s, around, channel.scan_user)
            row = self._ledger.bundles.get(held.row.id)
            signer = maybe_read_service_key(self.config.service_key)
            if row is not None and signer is not None:
                decision = decide(row.id, row.content, verdict, reason, now_utc())
                write_decision(self.config.state, decision, [signer])
                log.info("scanned", bundle=row.id, verdict=verdict, reason=reason)
        except (NoAnswerError, DiodeError, OSError) as error:
            do = "mend the scanner, and restart; or diode-receiver reject"
            log.warning("scan_failed", bundle=held.row.id, detail=str(error), consequence="it stays held", do=do)

    def _over(self, bundle: str) -> None:
        """Nothing more is to be reported of it, nor to be asked for."""
        self._endings.ended(bundle)
        with self._disk.surviving():
            drop_request(self.config.state, bundle)

    def _end(self, outcome: str, label: str, told: Mapping[str, Any]) -> None:
        self.outcomes[outcome] += 1
        names = ("bundle", "bytes", "files", "path", "signer", "reason", "detail", "resend_code", "at_ms")
        fields = {("id" if k == "bundle" else k): told[k] for k in names if k in told}
        self._display.finish(label, outcome, fields | self._losses())
        if self._bundles_wanted is not None:
            self._ended[told["bundle"]] = outcome
            if len(self._ended) >= self._bundles_wanted:
                self._done.set()

    def _report_incomplete(self, bundle: str, now: float) -> None:
        """The sender says that all passes are over, or is gone, and something is missing still."""
        coming = self._receiving.get(bundle)
        if coming is not None and not coming.missing:
            return  # it is being published
        with self._disk.surviving():
            if self._ledger.bundles.is_over(bundle):
                return  # a heartbeat brought up an old one
            request = request_bundle(self._ledger, bundle)
            if not request.is_signed and not self._hints.take(now):
                return  # whoever holds the link key can name bundles without end
            self._say_incomplete(bundle, coming, self._ask(bundle, request))

    def _say_incomplete(self, bundle: str, coming: Coming | None, asked: dict[str, str]) -> None:
        note = flood_note(self._losses(), self.drops())
        if coming is None:
            detail = f"no manifest arrived, or none that could be begun{note}"
            self._end("incomplete", bundle, {"bundle": bundle, "detail": detail} | asked)
            return
        row = coming.row
        detail = f"{coming.missing} of {row.slabs} slabs are missing{note}"
        told = {"bundle": bundle, "bytes": row.size, "files": row.files, "detail": detail}
        self._end("incomplete", row.label, told | asked)

    def _ask(self, bundle: str, request: Request) -> dict[str, str]:
        """Keep the code that a person carries to the sender: there is no other way back."""
        kept = ""
        with self._disk.surviving(lambda: log.error("code_not_kept", do="diode-receiver missing, when the disk works")):
            kept = str(keep_request(self.config.state, bundle, request))
        do = request.command if request.is_short else f"diode-sender resend --missing {bundle}.txt"
        log.error("resend_needed", what=request.what, do=do, kept=kept, qr="diode-receiver missing")
        return {"reason": "incomplete", "resend_code": request.code if request.is_short else kept}

    def _on_death(self, worker: Worker) -> None:
        """Build the pipeline anew. What is stored is kept; slabs that were being assembled are lost."""
        if self._failure or self._done.is_set():
            return
        code = self._crew.close(GRACE_S)[worker.module]  # the others end in order: what they have is parked
        self._collect_totals()
        if self._fatal:
            self._fail(_failure(self._fatal))
            return
        self._worker_restarts += 1
        log.error("worker_died", worker=worker.module, code=code, consequence="slabs being assembled are lost")
        now = time.monotonic()
        if len(self._restarts) == MOST_RESTARTS and now - self._restarts[0] < 60:
            self._fail(WorkerError(f"{worker.module} died {MOST_RESTARTS + 1} times within a minute; all is kept"))
            return
        self._restarts.append(now)
        self._endings.restarted(now)
        self._datagram_bytes = self._pipeline.datagram_bytes or self._datagram_bytes
        self._pipeline = self._start_pipeline()

    def _fail(self, error: DiodeError) -> None:
        self._failure = error
        self._done.set()

    # figures

    def _collect_totals(self) -> None:
        for counters in (self._pipeline.listen_counters, self._pipeline.assemble_counters):
            for name, value in counters.snapshot().items():
                self._totals[name] = value + (0 if name in _LEVELS else self._totals.get(name, 0))

    def figures(self) -> dict[str, int]:
        """Counters since the start, over all restarts of the workers."""
        figures = dict(self._totals)
        if self._crew.workers:
            for counters in (self._pipeline.listen_counters, self._pipeline.assemble_counters):
                for name, value in counters.snapshot().items():
                    figures[name] = value + (0 if name in _LEVELS else figures.get(name, 0))
        return figures

    def _losses(self) -> dict[str, int]:
        figures = self.figures()
        lost = max(0, figures.get("expected", 0) - figures.get("received", 0))
        return {
            "datagrams": figures.get("received", 0),
            "lost_before_fec": lost,
            "blocks_repaired": figures.get("blocks_repaired", 0),
            "blocks_lost": figures.get("blocks_lost", 0),
            "socket_drops": figures.get("socket_drops", 0),
            "refused": sum(figures.get(f"drop_{reason}", 0) for reason in STRANGERS),
        }

    def drops(self) -> dict[str, int]:
        """Dropped datagrams by reason."""
        figures = self.figures()
        return {str(reason): figures.get(f"drop_{reason}", 0) for reason in Drop}

    def summary(self) -> dict[str, Any]:
        """Figures for the last line."""
        drops = {reason: count for reason, count in self.drops().items() if count}
        return {**self.outcomes, **self._losses(), "drops": drops, "restarts": self._worker_restarts} | {
            "socket_granted": self.figures().get("socket_granted", 0)
        }

    def _show(self, coming: Coming) -> None:
        losses = self._losses()
        total = losses["datagrams"] + losses["lost_before_fec"]
        share = 100 * losses["lost_before_fec"] / total if total else 0.0
        detail = f"loss {share:.2f} %, after FEC {losses['blocks_lost']} blocks"
        self._display.update(coming.row.label, coming.stored_bytes, coming.row.size, detail, losses)

    def _metrics(self) -> Iterable[Metric]:
        figures, losses = self.figures(), self._losses()
        yield counter("diode_receiver_bytes", "Bytes received", figures.get("bytes", 0))
        yield counter("diode_receiver_datagrams", "Distinct authentic data datagrams", losses["datagrams"])
        yield gauge("diode_receiver_lost_datagrams", "Datagrams sent and not received", losses["lost_before_fec"])
        yield counter("diode_receiver_drops", "Dropped datagrams by reason", self.drops(), "reason")
        yield counter("diode_receiver_blocks_repaired", "Blocks restored by FEC", losses["blocks_repaired"])
        yield counter("diode_receiver_blocks_lost", "Blocks given up", losses["blocks_lost"])
        yield counter("diode_receiver_slabs_parked", "Slabs parked incomplete", figures.get("slabs_parked", 0))
        yield counter(
            "diode_receiver_slabs_given_up",
            "Slabs of bundles not yet known, given up",
            figures.get("slabs_given_up", 0),
        )
        yield counter("diode_receiver_bundles", "Bundles by outcome", dict(self.outcomes), "outcome")
        yield counter("diode_receiver_socket_drops", "Datagrams dropped at a full socket", losses["socket_drops"])
        yield gauge("diode_receiver_socket_buffer_bytes", "Socket buffer granted", figures.get("socket_granted", 0))
        yield counter("diode_receiver_ring_full", "Times the ring had no free region", figures.get("ring_full", 0))
        yield gauge("diode_receiver_arena_used_bytes", "Memory of unfinished slabs", figures.get("arena_used", 0))
        text = "Sessions that have spoken under the link key from before the last change"
        yield counter("diode_receiver_old_link_key_sessions", text, self._old_key_uses)
        yield counter("diode_receiver_worker_restarts", "Pipelines built anew", self._worker_restarts)
        text = "Messages of workers refused, each of which ended its worker"
        yield counter("diode_receiver_worker_refused", text, dict(self._crew.refused), "worker")
        yield gauge(
            "diode_receiver_missing_bundles", "Bundles numbered of which nothing arrived", len(self._hearing.gaps)
        )
        text = "What the sender counts, by its own word, which is not signed"
        yield gauge("diode_receiver_sender_health", text, dict(self._hearing.health), "name")
        age = -1 if self._heard_at is None else int(time.monotonic() - self._heard_at)
        yield gauge("diode_receiver_heartbeat_age_seconds", "Seconds since the last heartbeat; -1: none yet", age)


_PEERS: Final = {  # whose messages a worker refuses
    "receiver.store.worker": ("receiver.transport.assemble", "receiver.policy.examine"),
    "receiver.policy.examine": ("receiver.store.worker",),
    "receiver.transport.assemble": ("receiver.transport.listen",),
    "receiver.transport.listen": ("receiver.transport.assemble",),
}
_LEVELS: Final = ("socket_granted", "socket_queued", "arena_used", "last_data_ms", "socket_drops")


def _peer(worker: Worker, message: PeerRefused) -> str:
    """The module whose message ``worker`` refused."""
    peers = _PEERS[worker.module]
    if message.peer not in ("", *peers):
        raise MessageError("PeerRefused", "it does not hear that one")
    return message.peer or peers[0]


def flood_note(losses: Mapping[str, int], drops: Mapping[str, int]) -> str:
    """What to think of first where something is missing, when many datagrams were strangers'; else nothing.

    They crowd others out at a full socket; there nobody knows whose datagrams are dropped.
    """
    if losses["refused"] * 10 < losses["datagrams"] or not losses["refused"]:
        return ""
    most = sorted(((drops.get(reason, 0), reason) for reason in STRANGERS), reverse=True)[:3]
    why = ", ".join(f"{reason} {count}" for count, reason in most if count)
    full = f", and {losses['socket_drops']} of whomever found the socket full" if losses["socket_drops"] else ""
    return f"; {losses['refused']} datagrams were refused since the start ({why}){full}: a flood, or a wrong link key"


def _check_settings(config: ReceiverConfig) -> None:
    """Say now, and here, what is wrong with keys, users, and who may change them. Raises UsageError and its kind."""
    check_ownership(config)
    read_link_key(config.link.key)
    if any(channel.scan for channel in config.channels.values()):
        read_signer(config.service_key)  # by which the scanner's word is told from a stranger's
    for user in filter(None, (channel.scan_user for channel in config.channels.values())):
        Account.of(user)


def _say_awaited(authority: Authority) -> None:
    if authority.awaited is not None:
        version, digest = authority.awaited
        do = "diode-receiver trust install FILE, with that document, and restart"
        consequence = "nothing is published"
        log.error("trust_document_awaited", version=version, digest=digest, consequence=consequence, do=do)


def _failure(fatal: Fatal) -> DiodeError:
    error = DiodeError(fatal.detail)
    error.exit_code = fatal.exit_code
    return error
