"""Keeps the bundles that wait to be sent and those that are being sent.

Queued bundles and resend requests become plans for the scheduler, as long as it has room. When a bundle was sent or
cannot be sent, :mod:`sender.transport.endings` records its end.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.bundle.ref import BundleRef, number_of
from diode.config.sender import SenderConfig, SenderLink
from diode.errors import DiodeError, HeldError, UsageError
from diode.formats.timestamps import now_utc
from diode.protocol.sizes import Kind
from diode.storage.turns import LET_GO, InOrder
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
from sender.transport.plan import Job, Plan
from sender.transport.schedule import Scheduler


@dataclass(slots=True)
class Outgoing:
    """A bundle that is being sent, and its progress. ``resend`` is set when only some slabs are sent again."""

    row: Row
    plan: Plan
    resend: Resend | None = None
    bytes_sent: int = 0

    @property
    def bytes_to_send(self) -> int:
        """Bytes of user data in all passes, or in the slabs of a resend."""
        if self.resend is None:
            return self.row.size * self.row.passes
        slab_bytes = self.plan.full.source_bytes
        return sum(min(last * slab_bytes, self.row.size) - first * slab_bytes for first, last in self.resend.ranges)

    @property
    def sending_pass(self) -> int:
        """The number of the pass that is being sent, from 1."""
        return self.bytes_sent // max(1, self.row.size + 1) + 1


class Flights:
    """The bundles that wait and those that are being sent. The scheduler decides about slabs, this about bundles."""

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
        self._kept_back: dict[str, Row] = {}  # by a person, whether they waited or were being sent
        self.unrecorded: InOrder[Row | None] = InOrder(ledger.turns)  # ends of bundles
        self._config = config
        self._ledger = ledger
        self._scheduler = scheduler
        self._audit = audit
        self._say = say
        self._endings = Endings(config.state, folder, ledger, audit, say)

    @property
    def is_idle(self) -> bool:
        """Whether no bundle waits and none is being sent."""
        return not any((*self._queued.values(), self._resends, self.unrecorded.keys)) and self._scheduler.is_idle

    @property
    def waiting(self) -> int:
        """How many bundles are queued or being sent."""
        return sum(map(len, self._queued.values())) + len(self.outgoing) + len(self.unrecorded)

    def queued(self) -> Iterator[Row]:
        """Bundles that wait."""
        for rows in self._queued.values():
            yield from rows

    def in_order(self) -> Iterator[tuple[Row, int]]:
        """Bundles that wait, in the order in which they are begun, with their priority."""
        for priority in sorted(self._queued, reverse=True):
            for row in self._queued[priority]:
                yield row, priority

    def origins(self) -> set[str]:
        """Paths of the items in the outbox that are queued, are being sent, or wait for signatures."""
        rows = [*(outgoing.row for outgoing in self.outgoing.values()), *self.queued(), *self._kept_back.values()]
        known = {row.origin for row in rows}
        known |= {row.origin for row in self.unrecorded.keys if row is not None}
        return known | {row.origin for row in self._ledger.unapproved()}

    def queue(self, row: Row) -> None:
        """Let a packed bundle wait for its turn."""
        self._queued[self._priority(row)].append(row)

    def find_queued(self) -> None:
        """Take up the bundles that the ledger has queued: by an earlier run, or before the workers were started."""
        self._take_approved()
        kept_back = self._ledger.kept_back.all()
        for row in self._ledger.queued():
            if row.id in kept_back:
                self._kept_back[row.id] = row
            else:
                self.queue(row)

    def find_requests(self) -> bool:
        """Take up what commands left in the ledger: bundles that enough people have signed, and resend requests.

        Returns whether any of these wait. While the ledger is held, it says too little of what is done already.
        """
        self.unrecorded.settle()
        if self.unrecorded:
            return False
        approved = self._take_approved()
        for row in approved:
            self.queue(row)
        self.find_resends()
        return bool(approved) or bool(self._resends)

    def _take_approved(self) -> list[Row]:
        """Record bundles as queued that enough people have signed meanwhile. Returns them."""
        taken = []
        for row in self._ledger.approved():
            if not self._ledger.turns.try_now(partial(self._take_one, row)):
                break
            taken.append(row._replace(state=State.QUEUED))
        return taken

    def _take_one(self, row: Row) -> None:
        self._audit.append(What.QUEUED, **named(row), detail="signed by enough people")
        self._ledger.set_state(row.id, State.QUEUED)

    def find_resends(self) -> None:
        """Take up resend requests. They come through the ledger, because the command runs in another process."""
        known = {resend.number for resend in self._resends}
        known |= {out.resend.number for out in self.outgoing.values() if out.resend}
        self._resends.extend(resend for resend in self._ledger.resends.waiting() if resend.number not in known)

    def launch(self) -> None:
        """Give bundles to the scheduler, as long as it has room and all ends so far are recorded."""
        self.unrecorded.settle()
        if self.unrecorded:
            return
        for _ in range(len(self._resends)):
            self._launch_resend(self._resends.popleft())
        for priority in sorted(self._queued, reverse=True):
            rows = self._queued[priority]
            while rows and self._scheduler.has_room(priority):
                self._launch_queued(rows.popleft())

    def sent(self, job: Job, *, is_over: bool) -> None:
        """Note that ``job`` has left the socket. ``is_over``: it was the last of its bundle."""
        outgoing = self.outgoing.get(job.bundle)
        if outgoing is None:
            return
        if not outgoing.plan.is_last_of_slab(job):  # also a slab that was only proven
            return
        if job.kind == Kind.DATA:
            outgoing.bytes_sent += outgoing.plan.slab(job).length
            if outgoing.resend is None:
                note = partial(self._ledger.progress.slab_sent, outgoing.row.id, job.sending_pass, job.slab)
                self._ledger.turns.try_now(note)  # otherwise a later slab says it
        row, done, total = outgoing.row, outgoing.bytes_sent, outgoing.bytes_to_send
        self._say(SlabSent(BundleRef.of_row(row), done, total, outgoing.sending_pass, row.passes))
        if is_over:
            self._end(outgoing)

    def failed(self, job: Job, detail: str) -> None:
        """``job`` could not be encoded: give its bundle up, or the resend request that it belongs to."""
        outgoing = self.outgoing.pop(job.bundle, None)
        if outgoing is None:
            return
        self._scheduler.cancel(job.bundle)
        if outgoing.resend is None:
            self.unrecorded.do(outgoing.row, partial(self._endings.cancel, outgoing.row, detail))
        else:
            self._say(ResendBroken(BundleRef.of_row(outgoing.row), outgoing.row.passes))
            self.unrecorded.do(None, partial(self._endings.give_up, outgoing.resend, detail))

    def cancel(self, row: Row, detail: str) -> None:
        """Give up a bundle that waits or is being sent, because a person says so. Raises UsageError, StorageError."""
        _refuse_held(self._ledger)
        outgoing = self.outgoing.get(number_of(row.id))
        if outgoing is not None and outgoing.resend is not None:
            raise UsageError(
                f"{row.id} was sent, and slabs of it are sent again; what is on its way cannot be called back"
            )
        if self._kept_back.pop(row.id, None) is None:
            self._stop(row)
        self.unrecorded.do(row, partial(self._endings.cancel, row, detail))
        self.unrecorded.do(row, partial(self._ledger.kept_back.remove, row.id))

    def keep_back(self, row: Row, who: str) -> None:
        """Send no more of a bundle until it is let go, because ``who`` says so. Raises UsageError, StorageError."""
        _refuse_held(self._ledger)
        outgoing = self.outgoing.get(number_of(row.id))
        if row.id in self._kept_back:
            raise UsageError(f"{row.id} is kept back already")
        if outgoing is not None and outgoing.resend is not None:
            raise UsageError(
                f"{row.id} was sent, and slabs of it are sent again; 'diode-sender pause' stops its channel"
            )
        if outgoing is None and row not in self._queued[self._priority(row)]:
            raise UsageError(f"{row.id} is neither queued nor being sent: it is {row.state}")
        self._audit.append(What.KEPT_BACK, **named(row), who=who)
        self._ledger.kept_back.add(row.id, now_utc())
        self._stop(row)
        self._kept_back[row.id] = row

    def let_go(self, row: Row, who: str) -> None:
        """Queue a bundle again that was kept back. It goes on where it was. Raises UsageError, StorageError."""
        _refuse_held(self._ledger)
        if row.id not in self._kept_back:
            raise UsageError(f"{row.id} is not kept back: it is {row.state}")
        self._audit.append(What.LET_GO, **named(row), who=who)
        self._ledger.kept_back.remove(row.id)
        del self._kept_back[row.id]
        if row.state == State.QUEUED:  # else it was confirmed meanwhile: it went by physical media
            self.queue(row)

    def _stop(self, row: Row) -> None:
        """Take a bundle out of the queue, or off the line. Raises UsageError when it is in neither."""
        outgoing, waits = self.outgoing.get(number_of(row.id)), self._queued[self._priority(row)]
        if outgoing is not None:
            del self.outgoing[outgoing.plan.bundle]
            self._scheduler.cancel(outgoing.plan.bundle)
        elif row in waits:
            waits.remove(row)
        else:
            raise UsageError(f"{row.id} is neither queued nor being sent: it is {row.state}")

    def _launch_queued(self, row: Row) -> None:
        try:
            packed = load_packed(self._config.state, number_of(row.id))
        except (OSError, DiodeError, ValueError) as error:
            self.unrecorded.do(row, partial(self._endings.cancel, row, f"packed bundle is damaged: {error}"))
            return
        if not _fits(self._config.link, packed):
            why = "packed for another MTU or profile; drop it into the outbox again"
            self.unrecorded.do(row, partial(self._endings.cancel, row, why))
            self.unrecorded.do(row, partial(self._ledger.forget, row.id))
            return
        self._begin(self._resumed(row, _plan(self._config, packed, row)))

    def _resumed(self, row: Row, plan: Plan) -> Outgoing:
        """A queued bundle, to be sent on from where an earlier run ended."""
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
            self.unrecorded.do(
                None, partial(self._endings.give_up, resend, f"its packed bundle is not kept any more: {error}")
            )
            return
        if row is None or not _fits(self._config.link, packed):
            why = "it was packed for another MTU or profile than the link has now"
            self.unrecorded.do(None, partial(self._endings.give_up, resend, why))
            return
        plan = replace(_plan(self._config, packed, row), passes=1, first_pass=row.passes_over, ranges=resend.ranges)
        self._begin(Outgoing(row, plan, resend))

    def _begin(self, outgoing: Outgoing) -> None:
        self.outgoing[outgoing.plan.bundle] = outgoing
        self._scheduler.add(outgoing.plan)

    def _priority(self, row: Row) -> int:
        return self._config.channel(row.channel).priority

    def _end(self, outgoing: Outgoing) -> None:
        """Record the end: all slabs of a bundle, or of a resend request, have left the socket."""
        del self.outgoing[outgoing.plan.bundle]
        if outgoing.resend is None:
            self.unrecorded.do(outgoing.row, partial(self._endings.sent, outgoing.row))
        else:
            resent = partial(self._endings.resent, outgoing.row, outgoing.resend, outgoing.bytes_to_send)
            self.unrecorded.do(None, resent)


def _fits(link: SenderLink, packed: Packed) -> bool:
    """Whether it was packed for the MTU and the profile that the link has now."""
    shape = packed.manifest.shape
    return (shape.symbol_bytes, shape.profile) == (link.symbol_bytes, link.profile)


def _plan(config: SenderConfig, packed: Packed, row: Row) -> Plan:
    """What the scheduler is told of a packed bundle."""
    manifest, channel = packed.manifest, config.channel(row.channel)
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
        lead_s=config.send.manifest_lead_ms / 1000,
        channel=row.channel,
        priority=channel.priority,
        weight=channel.weight,
        rate=channel.rate,
    )


def _refuse_held(ledger: Ledger) -> None:
    """A command can be typed again, so it does not wait. Raises HeldError, a StorageError."""
    if not ledger.turns.is_free():
        raise HeldError(f"another program holds the ledger; nothing was changed; {LET_GO}, then try again")
