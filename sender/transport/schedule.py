"""Decides what to send next, among the bundles in flight. It does no I/O; time is an argument, in seconds of one clock.

Each bundle follows a script. A pass sends the manifest and the tables, waits for the manifest's lead, and sends the
slabs in order. Then it repeats what is so small that one burst of losses could take all of it, and the manifest and the
tables. Copies of something small are kept apart in time and in datagrams, so that one burst does not take all of them.
Such a gap is filled by the next bundle, or by padding. A bundle of lower priority does not fill a short gap: one slab
of it may take longer than all of the urgent bundle.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from diode.protocol.geometry import Geometry, Slab, needs_repeats, object_geometry, repair_offset, slab_at, slab_count
from diode.protocol.resend_codes import Range
from diode.protocol.sizes import Kind, ObjectType

COPY_GAP_S: Final = 0.05
MANIFEST_PERIOD_S: Final = 2.0
LEAD_PER_FILE_S: Final = 30e-6
MAX_IN_FLIGHT: Final = 32
PADDING_S: Final = 0.005  # one piece of padding bridges this much of a gap
PAUSED_LOOK_S: Final = 1.0  # how long nothing is sent while all that is in flight is paused
HELD_S: Final = 0.1  # a gap of at most this much keeps bundles of lower priority waiting

State = Literal["sending", "waiting", "over", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the scheduler must know of a bundle."""

    bundle: int
    full: Geometry
    stream_bytes: int
    manifest_bytes: int
    files_bytes: int
    slabs_bytes: int
    files: int
    passes: int = 1
    pass_delay_s: float = 30.0
    lead_s: float = 0.02
    first_pass: int = 0  # passes count from here, so that each pass sends other repair symbols
    first_slab: int = 0  # of the first pass; an earlier run has sent the slabs before it
    ranges: tuple[Range, ...] | None = None  # a resend: these slabs alone; None: all
    channel: str = ""
    priority: int = 0  # a bundle of a higher one goes first, slab by slab
    rate: float = 0.0  # bytes a second of its channel at most; 0: the line's
    weight: int = 1  # its channel's share among channels of the same priority

    def part_bytes(self, kind: Kind, flags: int) -> int:
        """Length of the stream, or of an object."""
        if kind == Kind.DATA:
            return self.stream_bytes
        sizes = {ObjectType.MANIFEST: self.manifest_bytes, ObjectType.FILES: self.files_bytes}
        return sizes.get(ObjectType(flags), self.slabs_bytes)

    def part_geometry(self, kind: Kind) -> Geometry:
        """Shape of the full slabs of the stream or of an object."""
        return self.full if kind == Kind.DATA else object_geometry(self.full.symbol_bytes)

    def slab(self, job: "Job") -> Slab:
        """The slab that ``job`` sends."""
        is_object = job.kind == Kind.OBJECT
        return slab_at(
            self.part_geometry(job.kind), self.part_bytes(job.kind, job.flags), job.slab, is_object=is_object
        )


@dataclass(frozen=True, slots=True)
class Job:
    """Send one slab of one part of a bundle."""

    bundle: int
    kind: Kind
    flags: int
    slab: int
    sending_pass: int = 0

    def repair_offset(self, slab: Slab) -> int:
        """The first repair row to be sent. Later passes send other rows; control objects always send all their rows."""
        return repair_offset(slab.shape, self.sending_pass) if self.kind == Kind.DATA else 0


@dataclass(frozen=True, slots=True)
class Padding:
    """Send this many datagrams of padding."""

    datagrams: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Send nothing for this many seconds, unless a bundle is added or a job is reported as sent."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Underway:
    """How far the sending of a bundle in flight has come. Passes count from 0."""

    plan: Plan
    sending_pass: int
    state: State


@dataclass(frozen=True, slots=True)
class _Gap:
    """A pause in a script. It ends when this much time and this many datagrams have passed since the step before."""

    seconds: float
    datagrams: int = 0
    rest: bool = False  # nothing is sent meanwhile, not even padding
    holds: bool = False  # nothing of lower priority is sent meanwhile


@dataclass(slots=True)
class _Flight:
    """A bundle in flight: where it is in its script, and how many jobs of it the workers have."""

    plan: Plan
    script: Iterator[Job | _Gap]
    ahead: Job | _Gap | None = None  # the next step, taken early: so the last step is known to be the last
    sending_pass: int = 0
    outstanding: int = 0
    sent_at: float = 0.0
    sent_line: int = 0
    gap: _Gap | None = None
    pending: list[Job] = field(default_factory=list)
    manifest_at: float = 0.0
    spent: int = 0  # datagrams issued; it begins with the least that another bundle of its channel has
    state: State = "sending"


class Scheduler:
    """Bundles in flight and what to send next of them."""

    def __init__(self, rate_bytes_per_s: float, datagram_bytes: int) -> None:
        self._datagram_bytes = datagram_bytes
        self.set_rate(rate_bytes_per_s)
        self._line = 0
        self._flights: dict[int, _Flight] = {}
        self._due: dict[str, float] = {}  # when the next slab of a channel may leave, if the channel has a rate
        self._spent: dict[str, float] = {}  # datagrams issued for each channel, divided by its weight
        self._padding_out = False
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
        flight.script = _script(flight)
        flight.ahead = next(flight.script, None)
        self._flights[plan.bundle] = flight

    def pause(self, is_paused: Callable[[str], bool]) -> None:
        """Send nothing of the channels of which this is true. Slabs that the workers have are sent to their end."""
        self._is_paused = is_paused

    def cancel(self, bundle: int) -> None:
        """Send no more of a bundle."""
        self._flights.pop(bundle, None)

    def flights(self) -> list[Underway]:
        """The bundles in flight."""
        return [Underway(flight.plan, flight.sending_pass, self._told(flight)) for flight in self._flights.values()]

    def next(self, now: float) -> Job | Padding | Wait | None:
        """What to send next; None when nothing is in flight."""
        if not self._flights:
            return None
        waits = [_Gap(PAUSED_LOOK_S, rest=True)]
        held = 0  # priority below which nothing is sent now
        for flight in sorted(self._flights.values(), key=self._urgency):
            if flight.plan.priority < held:
                break
            if self._is_paused(flight.plan.channel):
                continue
            early = self._due.get(flight.plan.channel, 0.0) - now
            job = _Gap(early, rest=True) if early > 0 else self._next_job(flight, now)
            if isinstance(job, Job):
                self._rested = False
                self._book(flight, job, now)
                return job
            waits.append(job)
            held = flight.plan.priority if job.holds else held
        return self._fill(min(waits, key=lambda gap: gap.seconds))

    def set_rate(self, rate_bytes_per_s: float) -> None:
        """Set the rate that the line carries from now on, padding included."""
        self._padding = max(1, int(rate_bytes_per_s * PADDING_S / self._datagram_bytes)) if rate_bytes_per_s else 0

    def _told(self, flight: _Flight) -> State:
        """As heartbeats have it. What is over, and still here, has its last jobs with the workers."""
        if self._is_paused(flight.plan.channel):
            return "waiting"
        return "sending" if flight.state == "over" else flight.state

    def _book(self, flight: _Flight, job: Job, now: float) -> None:
        plan = flight.plan
        datagrams = plan.slab(job).datagrams
        flight.spent += datagrams
        self._spent[plan.channel] += datagrams / plan.weight
        if plan.rate:
            due = max(self._due.get(plan.channel, 0.0), now)
            self._due[plan.channel] = due + datagrams * self._datagram_bytes / plan.rate

    def _urgency(self, flight: _Flight) -> tuple[int, float, int]:
        """A sort key: the highest priority, then the channel with least of its share, then its bundle with least."""
        return -flight.plan.priority, self._spent[flight.plan.channel], flight.spent

    def _fill(self, gap: _Gap) -> Padding | Wait:
        """Fill a short gap with padding. A long gap is waited for, and so is one behind jobs that are under way."""
        if self._padding_out or gap.rest or gap.seconds > 1.0:
            return Wait(max(PADDING_S, min(gap.seconds, 1.0)))
        if gap.datagrams <= 0 and not self._padding and not self._rested:
            self._rested = True  # when the line has no limit, padding would flood it just to pass time
            return Wait(max(PADDING_S / 5, min(PADDING_S, gap.seconds)))
        self._rested = False
        self._padding_out = True
        return Padding(self._padding or max(64, min(gap.datagrams, 256)))

    def sent(self, job: Job | Padding, datagrams: int, now: float) -> bool:
        """Note that a job has left the socket. Returns True when it was the last of its bundle."""
        self._line += datagrams
        if isinstance(job, Padding):
            self._padding_out = False
            return False
        flight = self._flights.get(job.bundle)
        if flight is None:
            return False
        flight.outstanding -= 1
        flight.sent_at, flight.sent_line = now, self._line
        if job.kind == Kind.OBJECT and job.flags == ObjectType.MANIFEST:
            flight.manifest_at = now
        if flight.outstanding == 0 and flight.state == "over" and not flight.pending:
            del self._flights[job.bundle]
            return True
        return False

    def lost(self, job: Job | Padding) -> None:
        """A worker died before it sent ``job``: issue the job again."""
        if isinstance(job, Padding):
            self._padding_out = False
        elif (flight := self._flights.get(job.bundle)) is not None:
            flight.outstanding -= 1
            flight.pending.append(job)

    def _next_job(self, flight: _Flight, now: float) -> Job | _Gap:
        if flight.pending:
            return self._issue(flight, flight.pending.pop(0))
        while flight.state != "over":
            if flight.gap is not None:
                holds = flight.gap.seconds <= HELD_S
                if flight.outstanding:
                    return _Gap(2.0, holds=holds)  # sent() ends this wait earlier
                left = flight.gap.seconds - (now - flight.sent_at)
                short = flight.gap.datagrams - (self._line - flight.sent_line)
                if left > 0 or short > 0:
                    return _Gap(max(left, 0.0), max(short, 0), holds=holds)
                flight.gap = None
            if self._manifest_is_due(flight, now):
                flight.manifest_at = now
                return self._issue(
                    flight, Job(flight.plan.bundle, Kind.OBJECT, ObjectType.MANIFEST, 0, flight.sending_pass)
                )
            step, flight.ahead = flight.ahead, next(flight.script, None)
            if isinstance(step, Job):
                flight.state = "over" if flight.ahead is None else "sending"
                flight.sending_pass = step.sending_pass
                return self._issue(flight, step)
            assert step is not None
            flight.gap = step
            flight.state = "waiting" if step.seconds > 1.0 else "sending"
        return _Gap(2.0)

    def _issue(self, flight: _Flight, job: Job) -> Job:
        flight.outstanding += 1
        return job

    def _manifest_is_due(self, flight: _Flight, now: float) -> bool:
        return bool(flight.manifest_at) and now - flight.manifest_at >= MANIFEST_PERIOD_S


def _script(flight: _Flight) -> Iterator[Job | _Gap]:
    plan = flight.plan
    burst = plan.full.burst_datagrams
    objects = _objects(plan)
    small_objects = [job for job in objects if needs_repeats(plan.slab(job), burst)]
    data = _part(plan, Kind.DATA, 0)
    if plan.ranges is not None:
        data = [job for first, last in plan.ranges for job in data[first:last]]
    small_data = [job for job in data[-1:] if needs_repeats(plan.slab(job), burst)]
    copy_gap = _Gap(COPY_GAP_S, burst)
    for number in range(plan.first_pass, plan.first_pass + plan.passes):
        if number > plan.first_pass:
            yield _Gap(plan.pass_delay_s)
        yield from _in_pass(objects, number)
        yield _Gap(min(COPY_GAP_S, plan.lead_s), burst)  # no longer than the lead itself
        yield from _in_pass(small_objects, number)
        yield _Gap(max(0.0, plan.lead_s - COPY_GAP_S) + plan.files * LEAD_PER_FILE_S)
        yield from _in_pass(data[plan.first_slab :] if number == plan.first_pass else data, number)
        yield copy_gap
        yield from _in_pass([*small_data, *objects], number)


def _objects(plan: Plan) -> list[Job]:
    return [job for kind in ObjectType for job in _part(plan, Kind.OBJECT, kind)]


def _part(plan: Plan, kind: Kind, flags: int) -> list[Job]:
    count = slab_count(plan.part_geometry(kind), plan.part_bytes(kind, flags))
    return [Job(plan.bundle, kind, int(flags), slab) for slab in range(count)]


def _in_pass(jobs: list[Job], number: int) -> Iterator[Job]:
    for job in jobs:
        yield Job(job.bundle, job.kind, job.flags, job.slab, number)
