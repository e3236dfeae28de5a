"""Bundles that wait to be sent, and those on their way.

Queued ones and resends become plans for the scheduler, as far as it has room. What is over, or cannot be sent, is
booked in the ledger and moved out of the outbox.
"""

import shutil
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.config.settings import SenderConfig
from diode.console.progress import Display
from diode.errors import DiodeError, SourceError
from diode.protocol.wire import Kind
from sender.ledger import Ledger, Resend, Row, State, named
from sender.outbox.folder import OutboxFolder
from sender.pack.packed import Packed, load_packed
from sender.pack.retention import archive
from sender.transport.heartbeats import Heart
from sender.transport.schedule import Job, Plan, Scheduler
from sender.transport.tally import Tally

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
    def sending_pass(self) -> int:
        """Which transmission this is, from 1."""
        return self.bytes_sent // max(1, self.row.size + 1) + 1

    @property
    def label(self) -> str:
        """As people call it."""
        return f"{self.row.channel}/{self.row.name}/{self.row.version}"


class Flights:
    """What waits and what is under way. The scheduler decides on slabs; this decides on bundles."""

    def __init__(
        self,
        config: SenderConfig,
        folder: OutboxFolder,
        ledger: Ledger,
        scheduler: Scheduler,
        heart: Heart,
        tally: Tally,
        display: Display,
        audit: AuditLog,
    ) -> None:
        self.outgoing: dict[int, Outgoing] = {}
        self._queued: defaultdict[int, deque[Row]] = defaultdict(deque)  # by priority
        self._resends: deque[Resend] = deque()
        self._config = config
        self._folder = folder
        self._ledger = ledger
        self._scheduler = scheduler
        self._heart = heart
        self._tally = tally
        self._display = display
        self._audit = audit

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not any(self._queued.values()) and not self._resends and self._scheduler.is_idle

    @property
    def waiting(self) -> int:
        """How many bundles are queued or under way."""
        return sum(map(len, self._queued.values())) + len(self.outgoing)

    def queued(self) -> Iterator[Row]:
        """Bundles that wait."""
        for rows in self._queued.values():
            yield from rows

    def origins(self) -> set[str]:
        """Items of the outbox that are queued or under way."""
        known = {outgoing.row.origin for outgoing in self.outgoing.values()} | {row.origin for row in self.queued()}
        return known | {row.origin for row in self._ledger.unapproved()}

    def queue(self, row: Row) -> None:
        """Let a packed bundle wait for its turn."""
        self._queued[self._priority(row)].append(row)

    def find_queued(self) -> None:
        """Take up what the ledger has queued: an earlier run's, and what was packed before there were workers."""
        self._take_approved()
        for row in self._ledger.queued():
            self.queue(row)

    def find_approved(self) -> bool:
        """Whether bundles have been signed by enough people since; they are queued."""
        approved = self._take_approved()
        for row in approved:
            self.queue(row)
        return bool(approved)

    def _take_approved(self) -> list[Row]:
        """What was signed by enough people since is queued from now on, in the ledger."""
        approved = self._ledger.approved()
        for row in approved:
            self._audit.append(What.QUEUED, **named(row), detail="signed by enough people")
            self._ledger.set_state(row.id, State.QUEUED)
        return [row._replace(state=State.QUEUED) for row in approved]

    def find_resends(self) -> bool:
        """Whether there are requests. They come through the ledger: the command that asks is another process."""
        known = {resend.number for resend in self._resends}
        known |= {out.resend.number for out in self.outgoing.values() if out.resend}
        self._resends.extend(resend for resend in self._ledger.resends.waiting() if resend.number not in known)
        return bool(self._resends)

    def launch(self) -> None:
        """Hand to the scheduler what there is room for."""
        for _ in range(len(self._resends)):
            self._launch_resend(self._resends.popleft())
        for priority in sorted(self._queued, reverse=True):
            rows = self._queued[priority]
            while rows and self._scheduler.has_room(priority):
                self._launch_queued(rows.popleft())

    def sent(self, job: Job, *, is_over: bool) -> None:
        """Book that ``job`` left the socket, as the last of its bundle or not."""
        outgoing = self.outgoing.get(job.bundle)
        if outgoing is None:
            return
        if job.kind == Kind.DATA:
            outgoing.bytes_sent += outgoing.plan.slab(job).length
            if outgoing.resend is None:
                self._ledger.progress.slab_sent(outgoing.row.id, job.sending_pass, job.slab)
        self._show(outgoing)
        if is_over:
            self._end(outgoing)

    def failed(self, job: Job, detail: str) -> None:
        """``job`` could not be encoded: give its bundle, or the request for it, up."""
        outgoing = self.outgoing.pop(job.bundle, None)
        if outgoing is None:
            return
        self._scheduler.withdraw(job.bundle)
        if outgoing.resend is None:
            self._withdraw(outgoing.row, detail)
        else:
            self._heart.remember_over(outgoing.row, "over")
            self._give_up_resend(outgoing.resend, detail)

    def _launch_queued(self, row: Row) -> None:
        try:
            packed = load_packed(self._config.state, int(row.id, 16))
        except (OSError, DiodeError, ValueError) as error:
            self._withdraw(row, f"packed bundle is damaged: {error}")
            return
        if not self._fits_link(packed):
            self._withdraw(row, "packed for another MTU or profile; drop it into the outbox again")
            self._ledger.forget(row.id)
            return
        first_pass, first_slab = self._ledger.progress.of(row.id)  # of an earlier run
        first_pass = min(first_pass, row.passes - 1)
        plan = replace(
            self._plan(packed, row), first_pass=first_pass, passes=row.passes - first_pass, first_slab=first_slab
        )
        done = first_pass * row.size + min(first_slab * plan.full.source_bytes, row.size)
        if done:
            log.info("bundle_goes_on", bundle=row.id, at_pass=first_pass + 1, at_slab=first_slab)
        self._begin(Outgoing(row, plan, bytes_sent=done))

    def _launch_resend(self, resend: Resend) -> None:
        number = int(resend.bundle, 16)
        row = self._ledger.get(resend.bundle)
        if row is not None and (number in self.outgoing or not self._scheduler.has_room(self._priority(row))):
            self._resends.append(resend)  # after what is on its way
            return
        try:
            packed = load_packed(self._config.state, number)
        except (OSError, DiodeError, ValueError) as error:
            self._give_up_resend(resend, f"its packed bundle is not kept any more: {error}")
            return
        if row is None or not self._fits_link(packed):
            self._give_up_resend(resend, "it was packed for another MTU or profile than the link has now")
            return
        plan = replace(self._plan(packed, row), passes=1, first_pass=row.passes_over, ranges=resend.ranges)
        self._begin(Outgoing(row, plan, resend))

    def _begin(self, outgoing: Outgoing) -> None:
        self.outgoing[outgoing.plan.bundle] = outgoing
        self._scheduler.add(outgoing.plan)

    def _priority(self, row: Row) -> int:
        return self._config.channel(row.channel).priority

    def _fits_link(self, packed: Packed) -> bool:
        shape, link = packed.manifest.shape, self._config.link
        return (shape.symbol_bytes, shape.profile) == (link.symbol_bytes, link.profile)

    def _plan(self, packed: Packed, row: Row) -> Plan:
        manifest, channel = packed.manifest, self._config.channel(row.channel)
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
            lead_s=self._config.send.manifest_lead_ms / 1000,
            channel=row.channel,
            priority=channel.priority,
            weight=channel.weight,
            rate=channel.rate,
        )

    def _show(self, outgoing: Outgoing) -> None:
        detail = f"pass {outgoing.sending_pass}/{outgoing.row.passes}"
        done, total = outgoing.bytes_sent, outgoing.bytes_to_send
        self._display.update(outgoing.label, done, total, detail, self._tally.figures())

    def _end(self, outgoing: Outgoing) -> None:
        row = outgoing.row
        del self.outgoing[outgoing.plan.bundle]
        self._heart.remember_over(row, "over")
        fields = {"id": row.id, "bytes": row.size, "files": row.files, "passes": row.passes}
        if outgoing.resend is not None:
            self._audit.append(What.RESENT, **named(row))
            self._ledger.pass_over(row.id, 1)
            self._ledger.resends.end(outgoing.resend.number, "sent")
            self._tally.resent += 1
            self._display.finish(outgoing.label, "resent", fields | {"bytes": outgoing.bytes_to_send, "passes": 1})
            return
        self._audit.append(What.SENT, **named(row), detail=f"{row.passes} passes")
        self._ledger.sent(row.id, row.passes)
        self._tally.sent += 1
        if row.origin:
            archive(self._folder, self._config.state, self._ledger, row, Path(row.origin))
        self._display.finish(outgoing.label, "sent", fields)

    def _give_up_resend(self, resend: Resend, detail: str) -> None:
        self._tally.failed += 1
        self._audit.append(What.RESEND_FAILED, bundle=resend.bundle, detail=detail)
        self._ledger.resends.end(resend.number, "failed", detail)
        log.error("resend_failed", bundle=resend.bundle, detail=detail, do="drop it into the outbox as a new version")

    def _withdraw(self, row: Row, detail: str) -> None:
        """Give a bundle up: its source is not what was hashed any more."""
        self._tally.failed += 1
        self._audit.append(What.WITHDRAWN, **named(row), detail=detail)
        self._ledger.set_state(row.id, State.WITHDRAWN, detail)
        self._heart.remember_over(row, "withdrawn")
        shutil.rmtree(self._config.state / "bundles" / row.id, ignore_errors=True)
        log.error("bundle_withdrawn", bundle=row.id, channel=row.channel, name=row.name, detail=detail)
        if row.origin and self._folder.has(Path(row.origin)):
            self._folder.set_aside(Path(row.origin), SourceError(detail))
