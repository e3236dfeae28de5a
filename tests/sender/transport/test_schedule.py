"""Who is sent when: priorities overtake at slab boundaries, channels share by weight."""

from collections import Counter

import pytest

from diode.protocol.geometry import PROFILES, stream_geometry
from diode.protocol.sizes import Kind
from sender.transport.plan import Job, Padding, Plan, Wait
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
            self.scheduler.sent(step, step.datagrams, self.now)
        elif step is not None:
            is_data = step.kind == Kind.DATA
            self.now += SECONDS_A_SLAB if is_data else 0.001
            self.scheduler.sent(step, FULL.rows * FULL.columns if is_data else 100, self.now)
        return step

    def data(self, count: int) -> list[int]:
        """Bundles of the next so many slabs of data."""
        found: list[int] = []
        while len(found) < count and (step := self.step()) is not None:
            if isinstance(step, Job) and step.kind == Kind.DATA:
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
            if step.kind == Kind.DATA:
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
        slabs += isinstance(step, Job) and step.kind == Kind.DATA
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
