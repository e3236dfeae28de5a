"""Who is sent when: priorities overtake at slab boundaries, channels share by weight."""

from collections import Counter
from collections.abc import Callable

import pytest

from diode.protocol.geometry import PROFILES, stream_geometry
from diode.protocol.sizes import Kind
from sender.transport.plan import PROOF, Job, Padding, Plan, Wait
from sender.transport.schedule import Scheduler

FULL = stream_geometry(1408, PROFILES["standard"])
SECONDS_A_SLAB = 0.2


def bundle(number: int, slabs: int, channel: str, *, priority: int = 5, weight: int = 1, **more: object) -> Plan:
    """A bundle of so many full slabs."""
    return Plan(
        bundle=number,
        full=FULL,
        stream_bytes=slabs * FULL.source_bytes,
        manifest_bytes=FULL.symbol_bytes,
        files_bytes=FULL.symbol_bytes,
        slabs_bytes=32 * slabs,
        files=1,
        channel=channel,
        priority=priority,
        weight=weight,
        **more,  # type: ignore[arg-type]
    )


class Line:
    """A line that sends one step at a time, on a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.scheduler = Scheduler(1e8, 1456)

    def step(self) -> Job | Padding | Wait | None:
        """Send the next thing, or wait."""
        step = self.scheduler.next(self.now)
        if isinstance(step, Wait):
            self.now += step.seconds
        elif isinstance(step, Padding):
            self.now += 0.005
            self.scheduler.sent(step, self.now)
        elif step is not None:
            self.now += SECONDS_A_SLAB if step.is_data else 0.001
            self.scheduler.sent(step, self.now)
        return step

    def data(self, count: int) -> list[int]:
        """Bundles of the next so many slabs of data."""
        found: list[int] = []
        while len(found) < count and (step := self.step()) is not None:
            if isinstance(step, Job) and step.is_data:
                found.append(step.bundle)
        return found


def test_equal_channels_take_turns() -> None:
    """Any ten slabs in a row are shared five to five, whatever the number of bundles of a channel."""
    line = Line()
    for number, channel in ((1, "models"), (2, "models"), (3, "images")):
        line.scheduler.add(bundle(number, 100, channel))
    sent = ["images" if number == 3 else "models" for number in line.data(100)][2:]
    for first in range(len(sent) - 10):
        assert 5 == Counter(sent[first : first + 10])["images"]


@pytest.mark.parametrize("weight", [2, 3, 9])
def test_weights_are_shares(weight: int) -> None:
    """Over 100 slabs, within a tenth."""
    line = Line()
    line.scheduler.add(bundle(1, 200, "models", weight=weight))
    line.scheduler.add(bundle(2, 200, "images"))
    counts = Counter(line.data(100))
    assert counts[1] / counts[2] == pytest.approx(weight, rel=0.1)


def test_an_urgent_bundle_overtakes_at_the_next_slab() -> None:
    """A fix is sent whole while a model is in flight, which then goes on; no slab of it passes in the fix's gaps."""
    line = Line()
    line.scheduler.add(bundle(1, 1000, "models"))
    line.data(20)
    line.scheduler.add(bundle(2, 5, "fixes", priority=9))
    started = line.now
    sent: list[int] = []
    while sent.count(2) < 5:
        sent += line.data(1)
    assert [2] * 5 == sent
    assert line.now - started <= 5 * SECONDS_A_SLAB + 0.2
    assert [1] * 10 == line.data(10)


def test_a_long_gap_of_an_urgent_bundle_is_not_wasted() -> None:
    """Between its passes, and while its channel's rate holds it back, others are sent."""
    line = Line()
    line.scheduler.add(bundle(1, 1000, "models"))
    line.scheduler.add(bundle(2, 1, "fixes", priority=9, passes=2, pass_delay_s=3.0))
    line.scheduler.add(bundle(3, 2, "images", priority=9, rate=1e7))
    assert {1: 21, 2: 2, 3: 2} == Counter(line.data(25))


def test_an_idle_channel_saves_nothing_up() -> None:
    """A channel that comes back shares from now on; it does not get what it did not use."""
    line = Line()
    line.scheduler.add(bundle(1, 300, "models"))
    line.data(100)
    line.scheduler.add(bundle(2, 100, "images"))
    counts = Counter(line.data(20))
    assert abs(counts[1] - counts[2]) <= 2


def test_bundles_of_low_priority_leave_room_for_others() -> None:
    """However many wait, an urgent one is taken."""
    scheduler = Scheduler(1e8, 1456)
    number = 0
    while scheduler.has_room(5):
        number += 1
        scheduler.add(bundle(number, 1, "models"))
    assert scheduler.has_room(9)
    assert not scheduler.has_room(0)


def test_a_resend_sends_its_slabs_alone() -> None:
    """With manifest and tables, and repair that was not sent before."""
    line = Line()
    line.scheduler.add(bundle(1, 10, "models", ranges=((2, 4), (9, 10)), first_pass=1))
    slabs, passes = [], set()
    while (step := line.step()) is not None:
        if isinstance(step, Job):
            passes.add(step.sending_pass)
            if step.is_data:
                slabs.append(step.slab)
    assert [2, 3, 9] == slabs
    assert {1} == passes


def test_a_capped_channel_leaves_the_line_to_others() -> None:
    """And leaves it empty, padding included, when there are none."""
    line = Line()
    line.scheduler.add(bundle(1, 100, "models", rate=1e7))  # a slab of 20 MB takes 2 s, and 0.2 s of the line
    started, padding = line.now, 0
    slabs = 0
    while slabs < 10:
        step = line.step()
        slabs += isinstance(step, Job) and step.is_data
        padding += step.datagrams if isinstance(step, Padding) else 0
    assert 9 * 2.05 <= line.now - started <= 11 * 2.1 + 1
    assert padding * 1456 < 2 * FULL.rows * FULL.columns * 1456
    line.scheduler.add(bundle(2, 100, "images"))
    assert Counter(line.data(20))[2] >= 16


def test_bundles_of_one_channel_take_turns() -> None:
    """A small bundle does not wait for a large one that came first."""
    line = Line()
    line.scheduler.add(bundle(1, 100, "models"))
    line.data(20)
    line.scheduler.add(bundle(2, 3, "models"))
    sent = line.data(12)
    assert 3 == sent.count(2)


def test_a_code_with_many_ranges_is_scheduled_at_once() -> None:
    """8,000 scattered slabs of a tebibyte: work grows with the slabs named, not with slabs times ranges."""
    line = Line()
    ranges = tuple((n, n + 1) for n in range(0, 56_000, 7))
    line.scheduler.add(bundle(1, 61_000, "models", ranges=ranges))
    assert [1] * 5 == line.data(5)


def of_one_bundle(line: Line) -> list[Job]:
    """The jobs of all that is left, in order."""
    steps = []
    while (step := line.step()) is not None:
        steps += [step] if isinstance(step, Job) else []
    return steps


def up_to(line: Line, is_it: Callable[[Job], bool]) -> Job:
    """The first job of a kind, which is in hand then; all before it has left."""
    while not (isinstance(step := line.scheduler.next(line.now), Job) and is_it(step)):
        assert step is not None
        line.now += step.seconds if isinstance(step, Wait) else 0.01
        if not isinstance(step, Wait):
            line.scheduler.sent(step, line.now)
    return step


CASES = [({}, 3), ({"first_slab": 2}, 3), ({"first_pass": 1}, 0), ({"passes": 2}, 3)]


@pytest.mark.parametrize(("more", "proofs"), CASES)
def test_a_first_pass_is_proven_before_it_ends(more: dict[str, int], proofs: int) -> None:
    """All of it, also what an earlier run sent; later passes compare as they send."""
    line = Line()
    line.scheduler.add(bundle(1, 3, "models", pass_delay_s=1.0, **more))
    jobs = of_one_bundle(line)
    places = [place for place, job in enumerate(jobs) if job.row == PROOF]
    assert list(range(proofs)) == [jobs[place].slab for place in places]
    for place in places:
        assert any(job.is_data for job in jobs[:place]) or "first_slab" in more
        assert any(job.kind == Kind.OBJECT for job in jobs[place:])
    assert line.scheduler.is_idle


def test_a_proof_does_not_hold_up_slabs_of_others() -> None:
    """One is in hand at a time, so whoever has slabs to send is encoded between two of them."""
    line = Line()
    line.scheduler.add(bundle(1, 50, "models", priority=9))
    step = up_to(line, lambda job: job.row == PROOF)
    line.scheduler.add(bundle(2, 50, "images"))
    meanwhile = [line.scheduler.next(line.now) for _ in range(3)]
    assert [2, 2, 2] == [job.bundle for job in meanwhile if isinstance(job, Job)]
    line.scheduler.sent(step, line.now)
    proof = line.scheduler.next(line.now)
    assert isinstance(proof, Job)
    assert (1, PROOF, 1) == (proof.bundle, proof.row, proof.slab)


@pytest.mark.parametrize("how", ["lost", "cancelled"])
def test_a_proof_that_nobody_gives_holds_up_nothing(how: str) -> None:
    """Its worker died, or its bundle was given up: another bundle is proven, or the same once more."""
    line = Line()
    for number in (1, 2):
        line.scheduler.add(bundle(number, 1, "models"))
    step = up_to(line, lambda job: job.row == PROOF)
    if how == "lost":
        line.scheduler.lost(step)
    else:
        line.scheduler.cancel(step.bundle)
    proven = {job.bundle for job in of_one_bundle(line) if job.row == PROOF}
    assert ({1, 2} if how == "lost" else {1, 2} - {step.bundle}) == proven
    assert line.scheduler.is_idle


def test_a_slab_that_is_sent_once_more_is_proven_once_more() -> None:
    """Its proof may be older than the bytes that leave then."""
    line = Line()
    line.scheduler.add(bundle(1, 1, "models"))
    step = up_to(line, lambda job: job.is_data)
    line.scheduler.lost(step)
    jobs = of_one_bundle(line)
    last = max(place for place, job in enumerate(jobs) if job.is_data)
    assert any(job.row == PROOF for job in jobs[last:])
