"""Bundles that wait to be sent, and those on their way.

Queued ones and resends become plans for the scheduler, as far as it has room. What is over, or cannot be sent, ends
(:mod:`sender.transport.endings`).
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.bundle.ref import BundleRef, number_of
from diode.config.sender import SenderConfig
from diode.errors import DiodeError
from diode.protocol.wire import Kind
from sender.events.happened import (
    BundleResumed,
    Event,
    ResendBroken,
    SlabSent,
)
from sender.ledger import Ledger, Resend, Row, State, named
from sender.outbox.folder import OutboxFolder
from sender.pack.packed import Packed, load_packed
from sender.transport.endings import Endings
from sender.transport.schedule import Job, Plan, Scheduler


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


class Flights:
    """What waits and what is under way. The scheduler decides on slabs; this decides on bundles."""

    def __init__(
        self,
        config: SenderConfig,
        folder: OutboxFolder,
        ledger: Ledger,
        scheduler: Scheduler,
        audit: AuditLog,
        say: Callable[[Event], None],
    ) -> None:
        self.outgoing: dict[int, Outgoing] = {}
        self._queued: defaultdict[int, deque[Row]] = defaultdict(deque)  # by priority
        self._resends: deque[Resend] = deque()
        self._config = config
        self._ledger = ledger
        self._scheduler = scheduler
        self._audit = audit
        self._say = say
        self._endings = Endings(config.state, folder, ledger, audit, say)

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

    def find_requests(self) -> bool:
        """Take up what commands left in the ledger: bundles that enough people signed, requests. Whether any waits."""
        approved = self._take_approved()
        for row in approved:
            self.queue(row)
        self.find_resends()
        return bool(approved) or bool(self._resends)

    def _take_approved(self) -> list[Row]:
        """What was signed by enough people since is queued from now on, in the ledger."""
        approved = self._ledger.approved()
        for row in approved:
            self._audit.append(What.QUEUED, **named(row), detail="signed by enough people")
            self._ledger.set_state(row.id, State.QUEUED)
        return [row._replace(state=State.QUEUED) for row in approved]

    def find_resends(self) -> None:
        """Take up requests. They come through the ledger: the command that asks is another process."""
        known = {resend.number for resend in self._resends}
        known |= {out.resend.number for out in self.outgoing.values() if out.resend}
        self._resends.extend(resend for resend in self._ledger.resends.waiting() if resend.number not in known)

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
        self._scheduler.cancel(job.bundle)
        if outgoing.resend is None:
            self._endings.cancel(outgoing.row, detail)
        else:
            self._say(ResendBroken(BundleRef.of_row(outgoing.row), outgoing.row.passes))
            self._endings.give_up(outgoing.resend, detail)

    def _launch_queued(self, row: Row) -> None:
        try:
            packed = load_packed(self._config.state, number_of(row.id))
        except (OSError, DiodeError, ValueError) as error:
            self._endings.cancel(row, f"packed bundle is damaged: {error}")
            return
        if not self._fits_link(packed):
            self._endings.cancel(row, "packed for another MTU or profile; drop it into the outbox again")
            self._ledger.forget(row.id)
            return
        self._begin(self._resumed(row, self._plan(packed, row)))

    def _resumed(self, row: Row, plan: Plan) -> Outgoing:
        """A queued bundle, from where an earlier run ended."""
        first_pass, first_slab = self._ledger.progress.of(row.id)
        first_pass = min(first_pass, row.passes - 1)
        plan = replace(plan, first_pass=first_pass, passes=row.passes - first_pass, first_slab=first_slab)
        done = first_pass * row.size + min(first_slab * plan.full.source_bytes, row.size)
        if done:
            self._say(BundleResumed(BundleRef.of_row(row), first_pass, first_slab))
        return Outgoing(row, plan, bytes_sent=done)

    def _launch_resend(self, resend: Resend) -> None:
        number = number_of(resend.bundle)
        row = self._ledger.get(resend.bundle)
        if row is not None and (number in self.outgoing or not self._scheduler.has_room(self._priority(row))):
            self._resends.append(resend)  # after what is on its way
            return
        try:
            packed = load_packed(self._config.state, number)
        except (OSError, DiodeError, ValueError) as error:
            self._endings.give_up(resend, f"its packed bundle is not kept any more: {error}")
            return
        if row is None or not self._fits_link(packed):
            self._endings.give_up(resend, "it was packed for another MTU or profile than the link has now")
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
        row, done, total = outgoing.row, outgoing.bytes_sent, outgoing.bytes_to_send
        self._say(SlabSent(BundleRef.of_row(row), done, total, outgoing.sending_pass, row.passes))

    def _end(self, outgoing: Outgoing) -> None:
        """All slabs of a bundle, or of a request, have left the socket."""
        del self.outgoing[outgoing.plan.bundle]
        if outgoing.resend is None:
            self._endings.sent(outgoing.row)
        else:
            self._endings.resent(outgoing.row, outgoing.resend, outgoing.bytes_to_send)
