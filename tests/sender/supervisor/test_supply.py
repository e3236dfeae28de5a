"""The loop that keeps the workers supplied, against a real scheduler and workers that are a list of messages."""

import time
from dataclasses import dataclass, field, replace

import pytest

from diode.errors import MessageError
from diode.protocol.geometry import PROFILES, stream_geometry
from diode.protocol.sizes import Kind, datagram_bytes
from sender.events.happened import Event, LineOff, RateChanged
from sender.ledger import Row, State
from sender.messages import BundleBegun, BundleEnded, ProveSlab, SendPadding, SendSlab, SetRate
from sender.supervisor.shutdown import Shutdown
from sender.supervisor.supply import Supply
from sender.transport.encode import PADDING_DATAGRAMS
from sender.transport.flights import Flights, Outgoing
from sender.transport.jobs import Jobs
from sender.transport.plan import Job, Plan
from sender.transport.schedule import Scheduler
from sender.transport.timetable import Timetable

FULL = stream_geometry(448, PROFILES["clean"])
PLAN = Plan(7, FULL, 3 * FULL.source_bytes, 448, 90, 96, 1, lead_s=0.0)
ROW = Row(
    *(f"{7:016x}", "cve", "n", "1", 1, "ab" * 32, PLAN.stream_bytes, 1, 1, 0.0),
    *(State.QUEUED, "", "2026-01-01T00:00:00Z", ""),
)
NOON, NIGHT = (time.struct_time((2026, 1, 5, hour, 0, 0, 0, 5, 0)) for hour in (12, 23))


class Waiting(Flights):
    """Bundles that wait in memory: no ledger, no files."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.outgoing = {}
        self.rows: list[Row] = []
        self.booked: list[tuple[str, Job]] = []
        self._scheduler = scheduler

    def queue(self, row: Row) -> None:
        self.rows.append(row)

    def launch(self) -> None:
        while self.rows:
            row = self.rows.pop()
            plan = replace(PLAN, bundle=int(row.id, 16))
            self.outgoing[plan.bundle] = Outgoing(row, plan)
            self._scheduler.add(plan)

    def sent(self, job: Job, *, is_over: bool) -> None:
        self.booked.append(("over" if is_over else "sent", job))

    def failed(self, job: Job, detail: str) -> None:
        self.booked.append((detail, job))
        self._scheduler.cancel(job.bundle)


@dataclass
class Bench:
    """A supply, what it told the workers, what it said, and the time in seconds."""

    timetable: str = ""
    now: float = 100.0
    told: list[object] = field(default_factory=list)
    said: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(1e6, datagram_bytes(448))
        self.flights = Waiting(self.scheduler)
        self.shutdown = Shutdown(self.said.append)
        table = Timetable.parse(self.timetable)
        self.supply = Supply(
            *(table, 1000, self.scheduler, self.flights, self.shutdown, self.said.append), clock=lambda: self.now
        )
        self.jobs = self.new_jobs()

    def new_jobs(self) -> Jobs:
        """Those of a new pipeline."""
        return Jobs(self.told.append, FULL.rows * FULL.columns)

    def send_all(self) -> None:
        """The workers send whatever they are told, at once, and time goes on, until nothing is in flight."""
        done = 0
        while not self.scheduler.is_idle:
            jobs = [each for each in self.told if isinstance(each, SendSlab | ProveSlab | SendPadding)]
            self.now += 0.01
            if done == len(jobs):
                self.supply.pump()
                continue
            for each in jobs[done:]:
                self.supply.sent(self.jobs, each.job)
            done = len(jobs)


async def test_a_bundle_is_sent_to_its_end() -> None:
    """It is announced before its first slab and ended after its last; every job is booked."""
    bench = Bench()
    bench.supply.begin(bench.jobs)
    bench.supply.take(ROW)
    bench.send_all()
    slabs = [each for each in bench.told if isinstance(each, SendSlab)]
    assert {0, 1, 2} == {each.slab for each in slabs if each.kind == Kind.DATA}
    assert SendPadding(1, PADDING_DATAGRAMS) == bench.told[0]
    assert [BundleBegun] == [type(each) for each in bench.told if isinstance(each, BundleBegun)]
    assert BundleEnded(7) == bench.told[-1]
    proofs = [each for each in bench.told if isinstance(each, ProveSlab)]
    assert len(slabs) + len(proofs) == len(bench.flights.booked)
    assert ["over"] == [word for word, _ in bench.flights.booked if word != "sent"]
    assert bench.jobs.is_idle
    assert bench.shutdown.changed.is_set()


async def test_nothing_is_handed_out_before_the_workers_are_ready() -> None:
    """Nor once the end has begun."""
    bench = Bench()
    bench.supply.take(ROW)
    assert [] == bench.told
    bench.shutdown.begin()
    bench.supply.begin(bench.jobs)
    assert [SendPadding(1, PADDING_DATAGRAMS)] == bench.told


async def test_workers_get_no_more_than_they_have_room_for() -> None:
    """The next job goes out when one comes back."""
    bench = Bench()
    bench.supply.begin(bench.jobs)
    bench.supply.take(ROW)
    before = len(bench.told)
    assert not bench.jobs.has_room or bench.supply._wake is not None
    bench.supply.pump()
    assert before == len(bench.told)


async def test_what_people_have_to_sign_waits_elsewhere() -> None:
    """It is not queued."""
    bench = Bench()
    bench.supply.begin(bench.jobs)
    bench.supply.take(ROW._replace(state=State.UNAPPROVED))
    assert [] == bench.flights.rows
    assert {} == bench.flights.outgoing


async def test_what_a_dead_worker_had_in_hand_is_sent_again() -> None:
    """By the next pipeline, which is told of the bundle anew."""
    bench = Bench()
    bench.supply.begin(bench.jobs)
    bench.supply.take(ROW)
    old, in_hand = bench.jobs, [each for each in bench.told if isinstance(each, SendSlab)]
    assert len(in_hand) + 1 == bench.supply.lose(old)
    bench.supply.pump()
    bench.told.clear()
    bench.jobs = bench.new_jobs()
    bench.supply.begin(bench.jobs)
    again = [each for each in bench.told if isinstance(each, SendSlab)]
    assert isinstance(bench.told[1], BundleBegun)
    assert {replace(each, job=0) for each in in_hand} <= {replace(each, job=0) for each in again}
    bench.supply.sent(old, 1)  # a late word of the dead
    bench.send_all()
    assert "over" == bench.flights.booked[-1][0]


async def test_a_bundle_that_cannot_be_read_is_given_up() -> None:
    """It is ended for the workers, too. A job that nobody has is a lie."""
    bench = Bench()
    bench.supply.begin(bench.jobs)
    bench.supply.take(ROW)
    first = next(each for each in bench.told if isinstance(each, SendSlab))
    bench.supply.failed(bench.jobs, first.job, "changed")
    assert ["changed"] == [word for word, _ in bench.flights.booked]
    assert BundleEnded(7) in bench.told
    assert bench.scheduler.is_idle
    with pytest.raises(MessageError):
        bench.supply.failed(bench.jobs, first.job, "changed")
    with pytest.raises(MessageError):
        bench.supply.sent(bench.jobs, 1 << 40)


async def test_the_rate_follows_the_timetable(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is under way is sent to its end; while the line is off, nothing is begun."""
    monkeypatch.setattr(time, "localtime", lambda *_: NOON)
    bench = Bench("08:00,2000 20:00,off")
    assert 2000 == bench.supply.first_rate
    bench.supply.begin(bench.jobs)
    for local in (NOON, NIGHT, NIGHT):
        bench.supply.keep_time(local)
    bench.supply.take(ROW)
    assert [RateChanged(None)] == bench.said
    assert [SendPadding(1, PADDING_DATAGRAMS)] == bench.told
    bench.supply.keep_time(NOON)
    assert [RateChanged(None), RateChanged(2000)] == bench.said
    assert [SetRate(2000), BundleBegun] == [bench.told[1], type(bench.told[2])]


async def test_a_line_that_is_off_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers wait, and the log says until when."""
    monkeypatch.setattr(time, "localtime", lambda *_: NIGHT)
    bench = Bench("08:00,2000 20:00,off")
    bench.supply.begin(bench.jobs)
    bench.supply.take(ROW)
    assert ([LineOff()], []) == (bench.said, bench.told)
    bench.supply.keep_time(NOON)
    assert SetRate(2000) == bench.told[0]


async def test_a_gap_ends_by_itself() -> None:
    """Nothing has to happen for the next job to be handed out."""
    bench = Bench()
    bench.supply.begin(bench.jobs)
    bench.supply.sent(bench.jobs, 1)
    bench.scheduler.add(replace(PLAN, rate=1.0, channel="slow"))
    bench.flights.outgoing[7] = Outgoing(ROW, PLAN)
    bench.supply.pump()
    before = len(bench.told)
    assert bench.supply._wake is not None
    bench.now += 1e6
    bench.supply._wake._run()  # as the loop does when the time has come
    assert len(bench.told) > before
