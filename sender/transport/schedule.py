"""Decides what to send next, among the bundles in flight. It does no I/O; time is an argument, in seconds of one clock.

Each bundle follows a script. A pass sends the manifest and the tables, waits for the manifest's lead, and sends the
slabs in order. In a first pass, each slab is proven then: the workers compare those that left without a comparison.
At last a pass repeats the manifest and the tables. A small slab at the end of a stream is sent row by row. Its rows,
and the copies of a small manifest, are kept apart in time and in datagrams, so that one burst does not take too many
of them. Such a gap is filled by the next bundle, or by padding. A bundle of lower priority does not fill a short gap:
one slab of it may take longer than all of the urgent bundle.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from diode.protocol.fitting import Spread
from diode.protocol.sizes import MAX_ROWS, Kind, ObjectType
from sender.transport.plan import PROOF, WHOLE, Job, Padding, Plan, Wait
from sender.transport.rows import Rows
from sender.transport.script import Gap, script

MANIFEST_PERIOD_S: Final = 2.0
MAX_IN_FLIGHT: Final = 32
PADDING_S: Final = 0.005  # one piece of padding bridges this much of a gap
PADDINGS_AHEAD: Final = 2  # pieces, or as much in shorter ones, that the workers have: what comes now waits for them
UNLIMITED_PADDING: Final = 256  # datagrams of a piece at most, where the line has no rate
PAUSED_LOOK_S: Final = 1.0  # how long nothing is sent while all that is in flight is paused
MOST_SPREAD_BYTES: Final = 128 << 20  # of slabs under way, as a receiver counts them; one row alone is never kept
HELD_S: Final = 0.1  # a gap of at most this much keeps bundles of lower priority waiting

State = Literal["sending", "waiting", "over", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Underway:
    """How far the sending of a bundle in flight has come. Passes count from 0."""

    plan: Plan
    sending_pass: int
    state: State


@dataclass(slots=True)
class _Room:
    """What may be sent now beside slabs that are sent row by row.

    Among source rows of a priority at least ``narrow`` go pieces of one burst at most, or else a small bundle would
    wait for whole slabs of a large one. When such a slab had to wait, ``is_awaited``, no other slab begins its rows.
    """

    narrow: int
    kept: list[tuple[int, int]]  # priority of each slab under way of several rows, and a receiver's memory for it
    is_awaited: bool = False

    def takes(self, plan: Plan, datagrams: int) -> bool:
        """Whether a slab may be sent in one go."""
        fits = plan.priority > self.narrow or datagrams <= plan.full.burst_datagrams
        self.is_awaited |= not fits
        return fits

    def begins(self, plan: Plan, spread: Spread, size: int) -> bool:
        """Whether the first row of a slab may leave, which takes ``size`` bytes of a receiver's memory.

        Slabs of lower priority are not counted: they may have to wait for long, and must hold nobody up meanwhile.
        """
        if spread.k == 1:
            return True
        kept = sum(kept for priority, kept in self.kept if priority >= plan.priority)
        return not self.is_awaited and kept + size <= MOST_SPREAD_BYTES


@dataclass(slots=True)
class _Flight:
    """A bundle in flight: where it is in its script, and how many jobs of it the workers have."""

    plan: Plan
    script: Iterator[Job | Gap]
    ahead: Job | Gap | None = None  # the next step, taken early: so the last step is known to be the last
    sending_pass: int = 0
    outstanding: int = 0
    sent_at: float = 0.0
    place: int = 0  # on the line, of what follows its last job
    gap: Gap | None = None
    rows: tuple[Job, Rows] | None = None  # of the slab that is being sent row by row
    pending: list[Job] = field(default_factory=list)
    manifest_at: float = 0.0
    spent: int = 0  # datagrams issued; it begins with the least that another bundle of its channel has
    state: State = "sending"

    @property
    def has_begun_rows(self) -> bool:
        """Whether rows of a slab have left, and more are to follow."""
        return self.rows is not None and self.rows[1].next > 0

    def begin_rows(self, job: Job) -> tuple[Job, Rows]:
        """Send a slab row by row from here on, from its first row."""
        spread = self.plan.spread(job)
        assert spread is not None
        self.rows = job, Rows(spread)
        return self.rows

    def issue(self, job: Job) -> Job:
        """Note that the workers get a job."""
        self.outstanding += 1
        return job

    def manifest_is_due(self, now: float) -> bool:
        """Whether the manifest has not been sent for so long that whoever began to listen late should get it."""
        return bool(self.manifest_at) and now - self.manifest_at >= MANIFEST_PERIOD_S


class Scheduler:
    """Bundles in flight and what to send next of them."""

    def __init__(self, rate_bytes_per_s: float, datagram_bytes: int) -> None:
        self._datagram_bytes = datagram_bytes
        self.set_rate(rate_bytes_per_s)
        self._issued = 0  # datagrams that were handed out: what is handed out later leaves later
        self._flights: dict[int, _Flight] = {}
        self._due: dict[str, float] = {}  # when the next slab of a channel may leave, if the channel has a rate
        self._spent: dict[str, float] = {}  # datagrams issued for each channel, divided by its weight
        self._padding_out = 0  # datagrams of padding that the workers have
        self._proving: int | None = None  # the bundle of which a slab is being proven
        self._rested = False
        self._is_paused: Callable[[str], bool] = lambda _: False

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in flight."""
        return not self._flights

    def has_room(self, priority: int) -> bool:
        """Whether another bundle of this priority may be added. Bundles of lower priority are not counted."""
        return sum(flight.plan.priority >= priority for flight in self._flights.values()) < MAX_IN_FLIGHT

    def add(self, plan: Plan) -> None:
        """Begin to send a bundle. A channel that was idle does not get the share back that it did not use."""
        busy = {flight.plan.channel for flight in self._flights.values()}
        if plan.channel not in busy:
            least = min((self._spent[channel] for channel in busy), default=0.0)
            self._spent[plan.channel] = max(self._spent.get(plan.channel, 0.0), least)
        flight = _Flight(plan, iter(()))
        same = [other.spent for other in self._flights.values() if other.plan.channel == plan.channel]
        flight.spent = min(same, default=0)
        flight.script = script(plan)
        flight.ahead = next(flight.script, None)
        self._flights[plan.bundle] = flight

    def pause(self, is_paused: Callable[[str], bool]) -> None:
        """Send nothing of the channels of which this is true. Slabs that the workers have are sent to their end."""
        self._is_paused = is_paused

    def cancel(self, bundle: int) -> None:
        """Send no more of a bundle."""
        self._flights.pop(bundle, None)
        self._no_longer_proving(bundle)

    def flights(self) -> list[Underway]:
        """The bundles in flight."""
        return [Underway(flight.plan, flight.sending_pass, self._told(flight)) for flight in self._flights.values()]

    def next(self, now: float) -> Job | Padding | Wait | None:
        """What to send next; None when nothing is in flight."""
        if not self._flights:
            return None
        waits = [Gap(PAUSED_LOOK_S, rest=True)]
        room = self._room()
        held = 0  # priority below which nothing is sent now
        for flight in sorted(self._flights.values(), key=self._urgency):
            if flight.plan.priority < held:
                break
            if self._is_paused(flight.plan.channel):
                continue
            early = self._early(flight, now)
            job = Gap(early, rest=True) if early > 0 else self._next_job(flight, now, room)
            if isinstance(job, Job):
                self._rested = False
                self._book(flight, job, now)
                return job
            waits.append(job)
            held = flight.plan.priority if job.holds else held
        return self._fill(min(waits, key=lambda gap: (gap.seconds, gap.datagrams)))

    def set_rate(self, rate_bytes_per_s: float) -> None:
        """Set the rate that the line carries from now on, padding included."""
        self._padding = max(1, int(rate_bytes_per_s * PADDING_S / self._datagram_bytes)) if rate_bytes_per_s else 0

    def _early(self, flight: _Flight, now: float) -> float:
        """Seconds until the rate of its channel lets a bundle go on. It limits slabs: what has begun goes on."""
        return 0.0 if flight.has_begun_rows else self._due.get(flight.plan.channel, 0.0) - now

    def _told(self, flight: _Flight) -> State:
        """As heartbeats have it. What is over, and still here, has its last jobs with the workers."""
        if self._is_paused(flight.plan.channel):
            return "waiting"
        return "sending" if flight.state == "over" else flight.state

    def _book(self, flight: _Flight, job: Job, now: float) -> None:
        plan = flight.plan
        datagrams = plan.datagrams(job)
        self._issued += datagrams
        flight.place = self._issued
        flight.spent += datagrams
        self._spent[plan.channel] += datagrams / plan.weight
        if plan.rate:
            due = max(self._due.get(plan.channel, 0.0), now)
            self._due[plan.channel] = due + datagrams * self._datagram_bytes / plan.rate

    def _room(self) -> _Room:
        """What slabs that are sent row by row leave to others. A paused one holds nobody up."""
        spread = [flight for flight in self._flights.values() if flight.has_begun_rows]
        going = [flight for flight in spread if not self._is_paused(flight.plan.channel)]
        narrow = max((one.plan.priority for one in going if one.rows and one.rows[1].is_among_sources), default=-1)
        several = [one for one in going if one.rows and one.rows[1].spread.k > 1]
        return _Room(narrow, [(one.plan.priority, _kept_bytes(one.plan, one.rows[0])) for one in several if one.rows])

    def _urgency(self, flight: _Flight) -> tuple[int, bool, float, int]:
        """A sort key: the highest priority, what has begun, the channel with least of its share, then its least.

        So shares decide which slab begins. Its rows follow as soon as they may, or two bursts could hit one slab.
        """
        plan = flight.plan
        return -plan.priority, not flight.has_begun_rows, self._spent[plan.channel], flight.spent

    def _fill(self, gap: Gap) -> Padding | Wait:
        """Fill a short gap with padding. A long gap is waited for, and so is one behind jobs that are under way.

        Where only datagrams are missing, what follows need not wait until padding has left: their order is enough.
        """
        most = 1 if gap.seconds > 0 else PADDINGS_AHEAD * (self._padding or UNLIMITED_PADDING)
        if self._padding_out >= most or gap.rest or gap.seconds > 1.0:
            return Wait(max(PADDING_S, min(gap.seconds, 1.0)))
        if gap.datagrams <= 0 and not self._padding and not self._rested:
            self._rested = True  # when the line has no limit, padding would flood it just to pass time
            return Wait(max(PADDING_S / 5, min(PADDING_S, gap.seconds)))
        self._rested = False
        datagrams = self._padding or max(64, min(gap.datagrams, UNLIMITED_PADDING))
        if gap.seconds <= 0:
            datagrams = min(datagrams, gap.datagrams)  # a row leaves at its place
        self._padding_out += datagrams
        self._issued += datagrams
        return Padding(datagrams)

    def sent(self, job: Job | Padding, now: float) -> bool:
        """Note that a job has left the socket. Returns True when it was the last of its bundle."""
        if isinstance(job, Padding):
            self._padding_out = max(0, self._padding_out - job.datagrams)  # the first of a pipeline is not of here
            return False
        if job.row == PROOF:
            self._no_longer_proving(job.bundle)
        flight = self._flights.get(job.bundle)
        if flight is None:
            return False
        flight.outstanding -= 1
        flight.sent_at = now
        if flight.rows is not None and job.row not in (WHOLE, PROOF):
            flight.rows[1].left(job.row, now)
        if job.kind == Kind.OBJECT and job.flags == ObjectType.MANIFEST:
            flight.manifest_at = now
        if flight.outstanding == 0 and flight.state == "over" and not flight.pending and flight.rows is None:
            del self._flights[job.bundle]
            return True
        return False

    def lost(self, job: Job | Padding) -> None:
        """``job`` never left: issue it again. What is sent row by row begins anew, its distances were not kept."""
        for each in self._flights.values():
            each.place = self._issued
            if each.rows is not None:
                each.begin_rows(each.rows[0])
        self._proving = None  # the jobs of a pipeline are lost together
        if isinstance(job, Padding):
            self._padding_out = max(0, self._padding_out - job.datagrams)
        elif (flight := self._flights.get(job.bundle)) is not None:
            flight.outstanding -= 1
            if job.row in (WHOLE, PROOF):
                flight.pending += (job, replace(job, row=PROOF)) if _is_streamed(job) else (job,)
            else:
                flight.begin_rows(replace(job, row=WHOLE))

    def _next_job(self, flight: _Flight, now: float, room: _Room) -> Job | Gap:
        if flight.rows is not None:
            return self._next_row(flight, *flight.rows, now, room)
        if flight.pending:
            return self._maybe_whole(flight, flight.pending[0], room, lambda: flight.pending.pop(0))
        while flight.state != "over":
            if flight.gap is not None:
                if wait := self._gap_left(flight, flight.gap, now):
                    return wait
                flight.gap = None
            if flight.manifest_is_due(now):
                return self._issue_manifest(flight, now)
            step = flight.ahead
            if isinstance(step, Job):
                return self._next_slab(flight, step, now, room)
            assert step is not None
            flight.ahead = next(flight.script, None)
            flight.gap = step
            flight.state = "waiting" if step.seconds > 1.0 else "sending"
        return Gap(2.0)

    def _gap_left(self, flight: _Flight, gap: Gap, now: float) -> Gap | None:
        """What is left of a gap in a script; None when it is over."""
        holds = gap.seconds <= HELD_S
        if flight.outstanding:
            return Gap(2.0, holds=holds)  # sent() ends this wait earlier
        left = gap.seconds - (now - flight.sent_at)
        short = gap.datagrams - (self._issued - flight.place)
        return Gap(max(left, 0.0), max(short, 0), holds=holds) if left > 0 or short > 0 else None

    def _next_slab(self, flight: _Flight, job: Job, now: float, room: _Room) -> Job | Gap:
        """The next slab of the script, in one go, or its first row."""

        def take() -> None:
            flight.ahead = next(flight.script, None)
            flight.state = "over" if flight.ahead is None else "sending"
            flight.sending_pass = job.sending_pass

        if job.row == PROOF or flight.plan.spread(job) is None:
            return self._maybe_whole(flight, job, room, take)
        take()
        return self._next_row(flight, *flight.begin_rows(job), now, room)

    def _maybe_whole(self, flight: _Flight, job: Job, room: _Room, take: Callable[[], object]) -> Job | Gap:
        """A slab in one go, unless others are among their source rows. ``take`` takes it from where it waits."""
        if job.row == PROOF:
            if self._proving is not None:
                return Gap(2.0)  # one at a time: between two of them others send slabs
            self._proving = flight.plan.bundle
        elif not room.takes(flight.plan, flight.plan.datagrams(job)):
            return Gap(2.0)
        take()
        return flight.issue(job)

    def _next_row(self, flight: _Flight, job: Job, rows: Rows, now: float, room: _Room) -> Job | Gap:
        """The next row of a slab that is sent row by row, when it may leave."""
        if not rows.next and not room.begins(flight.plan, rows.spread, _kept_bytes(flight.plan, job)):
            return Gap(2.0)
        seconds, datagrams = rows.wait(self._issued, now)
        if seconds > 0 or datagrams > 0:
            return Gap(seconds, datagrams, holds=True)
        if flight.manifest_is_due(now):
            return self._issue_manifest(flight, now)
        row = rows.issued(self._issued)
        if rows.is_over:
            flight.rows = None
        return flight.issue(replace(job, row=row))

    def _no_longer_proving(self, bundle: int) -> None:
        if self._proving == bundle:
            self._proving = None

    def _issue_manifest(self, flight: _Flight, now: float) -> Job:
        flight.manifest_at = now
        job = Job(flight.plan.bundle, Kind.OBJECT, ObjectType.MANIFEST, 0, flight.sending_pass)
        return flight.issue(job)


def _is_streamed(job: Job) -> bool:
    """Whether a slab may be sent before it is compared. When it is sent once more, it is to be proven once more."""
    return job.kind == Kind.DATA and job.sending_pass == 0 and job.row == WHOLE


def _kept_bytes(plan: Plan, job: Job) -> int:
    """What a receiver sets aside for a slab of which it has some rows."""
    shape = plan.slab(job).shape
    return MAX_ROWS * shape.row_bytes
