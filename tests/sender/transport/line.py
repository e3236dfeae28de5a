"""The line behind the scheduler in virtual time: jobs in hand, as the workers have, and where datagrams left."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from diode.protocol.fitting import lacking
from diode.protocol.geometry import PROFILES, Geometry, stream_geometry
from diode.protocol.sizes import Kind, datagram_bytes
from sender.transport.jobs import MOST_JOBS
from sender.transport.plan import WHOLE, Job, Padding, Plan, Wait
from sender.transport.schedule import Scheduler


def full_of(profile: str, symbol_bytes: int = 1408) -> Geometry:
    """The shape of a full slab."""
    return stream_geometry(symbol_bytes, PROFILES[profile])


def plan_of(number: int, size: int, full: Geometry, **more: object) -> Plan:
    """A bundle of ``size`` bytes, with a manifest and tables as small ones have."""
    slabs = -(-size // full.source_bytes)
    return Plan(number, full, size, 700, 120, 32 * slabs, 1, **more)  # type: ignore[arg-type]


@dataclass
class Sent:
    """A job that left: where on the line its first datagram was, and when its last one left."""

    job: Job | Padding
    at: int
    datagrams: int
    seconds: float


@dataclass
class Line:
    """Sends all that it is given, as many bytes a second as ``rate``."""

    rate: float
    full: Geometry
    now: float = 0.0
    at: int = 0
    sent: list[Sent] = field(default_factory=list)
    plans: dict[int, Plan] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(self.rate, datagram_bytes(self.full.symbol_bytes))
        self.waiting: list[Plan] = []
        self.in_hand: list[tuple[Job | Padding, int]] = []

    def add(self, plans: Iterable[Plan]) -> None:
        """Let bundles wait for room."""
        self.waiting += plans

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Send until all is over."""
        while not until():
            while self.waiting and self.scheduler.has_room(self.waiting[0].priority):
                plan = self.waiting.pop(0)
                self.plans[plan.bundle] = plan
                self.scheduler.add(plan)
            if not self._step():
                return

    def _step(self) -> bool:
        has_room = len(self.in_hand) < MOST_JOBS and sum(n for _, n in self.in_hand) <= self.full.rows * 64
        step = self.scheduler.next(self.now) if has_room else None
        if isinstance(step, Job | Padding):
            count = step.datagrams if isinstance(step, Padding) else self.plans[step.bundle].datagrams(step)
            self.in_hand.append((step, count))
        elif self.in_hand:
            self._leave()
        elif isinstance(step, Wait):
            self.now += step.seconds
        else:
            return False
        return True

    def _leave(self) -> None:
        job, count = self.in_hand.pop(0)
        if count < 0:
            self.at -= count
            return
        self.now += count * datagram_bytes(self.full.symbol_bytes) / self.rate if self.rate else 1e-6 * count
        if count:
            self.sent.append(Sent(job, self.at, count, self.now))
        self.at += count
        self.scheduler.sent(job, self.now)

    def fail(self, bundle: int) -> None:
        """None of a bundle's jobs in hand can be encoded: padding takes their places, and it is given up."""
        for number, (job, count) in enumerate(self.in_hand):
            if isinstance(job, Job) and job.bundle == bundle:
                self.in_hand[number] = job, -min(count, self.full.burst_datagrams)
        self.scheduler.cancel(bundle)

    def data(self, bundle: int) -> list[Sent]:
        """What left of a bundle's stream."""
        return [sent for sent in self.sent if _is_data(sent.job) and sent.job.bundle == bundle]  # type: ignore[union-attr]

    @property
    def filler(self) -> int:
        """Datagrams of padding."""
        return sum(sent.datagrams for sent in self.sent if isinstance(sent.job, Padding))

    def places(self) -> dict[tuple[int, int, int, int], list[int]]:
        """By bundle, slab, pass and column: where the symbols of that block are on the line."""
        found: defaultdict[tuple[int, int, int, int], list[int]] = defaultdict(list)
        for sent in self.sent:
            if _is_data(sent.job):
                assert isinstance(sent.job, Job)
                for column, place in symbols_of(self.plans[sent.job.bundle], sent):
                    found[sent.job.bundle, sent.job.slab, sent.job.sending_pass, column].append(place)
        return found

    def broken(self) -> list[tuple[int, int, int, int]]:
        """Blocks of which one burst within the budget could take more than their repair."""
        burst = self.full.burst_datagrams
        return [key for key, places in self.places().items() if self._is_broken(key, places, burst)]

    def _is_broken(self, key: tuple[int, int, int, int], places: list[int], burst: int) -> bool:
        job = Job(key[0], Kind.DATA, 0, key[1], key[2])
        plan = self.plans[key[0]]
        spread = plan.spread(job)
        repair = plan.slab(job).shape.r if spread is None else spread.repair
        return any(after - before < burst for before, after in zip(places, places[repair:], strict=False))


def symbols_of(plan: Plan, sent: Sent) -> Iterable[tuple[int, int]]:
    """(column, place on the line) of each symbol of a job."""
    assert isinstance(sent.job, Job)
    slab, columns = plan.slab(sent.job), plan.slab(sent.job).shape.columns
    if sent.job.row != WHOLE:
        return ((column, sent.at + column) for column in range(sent.datagrams))
    filler = range(slab.source_symbols, slab.source_symbols + lacking(slab))
    return ((place % columns, sent.at + place) for place in range(sent.datagrams) if place not in filler)


def _is_data(job: Job | Padding) -> bool:
    return isinstance(job, Job) and job.is_data
