"""Small slabs are sent row by row: no burst takes more rows than their repair, and nobody waits for whole slabs."""

import random
from itertools import pairwise

import pytest

from diode.protocol.geometry import PROFILES, Geometry
from diode.protocol.sizes import Kind
from sender.transport.plan import WHOLE, Job, Padding
from tests.sender.transport.line import Line, full_of, plan_of

STANDARD = full_of("standard")


def alone(size: int, full: Geometry = STANDARD, rate: float = 1e8, **more: object) -> Line:
    """One bundle on an idle line."""
    line = Line(rate, full)
    line.add([plan_of(1, size, full, **more)])
    line.run()
    return line


def alone_until(size: int, rows: int) -> Line:
    """One bundle on an idle line, of which so many rows have left."""
    line = Line(1e8, STANDARD)
    line.add([plan_of(1, size, STANDARD, channel="models")])
    line.run(lambda: len(line.data(1)) >= rows)
    return line


@pytest.mark.parametrize(
    ("size", "most"), [(10_000, 120), (60_000, 400), (300_000, 800), (1_000_000, 1450), (5_000_000, 4892)]
)
def test_a_small_bundle_costs_little_more_than_itself(size: int, most: int) -> None:
    """Datagrams of all its parts, without filler of the line; what a last row lacks is counted in the last case."""
    line = alone(size)
    assert sum(sent.datagrams for sent in line.sent if isinstance(sent.job, Job)) <= most


def shapes(full: Geometry) -> list[int]:
    """Sizes in symbols: each k, with the last row full, one short, half of it, and one symbol."""
    rows = (*range(1, 45), 57, 100, full.k - 1, full.k)
    ends = (full.columns, full.columns - 1, full.columns // 2, 1)
    return [(k - 1) * full.columns + end for k in rows if k <= full.k for end in ends]


@pytest.mark.parametrize("profile", PROFILES)
def test_no_burst_within_the_budget_loses_a_slab_alone(profile: str) -> None:
    """Each block of each slab: symbols as many apart as its repair are apart by the budget, so no burst takes more."""
    full = full_of(profile)
    for symbols in shapes(full)[::5]:
        line = alone(symbols * full.symbol_bytes, full)
        assert not line.broken(), symbols


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))])
@pytest.mark.parametrize("profile", PROFILES)
def test_no_burst_within_the_budget_loses_a_slab_of_a_queue(profile: str, seed: int) -> None:
    """Fifty bundles of all shapes and several channels, a large one among them, at any rate."""
    rng, full = random.Random(seed), full_of(profile)
    line = Line(rng.choice([0.0, 1e6, 3e7, 3e8]), full)
    sizes = [rng.choice(shapes(full)) * full.symbol_bytes - rng.randrange(full.symbol_bytes) for _ in range(50)]
    sizes[rng.randrange(50)] += 6 * full.source_bytes
    channels = ("models", "images", "fixes")
    line.add(
        plan_of(
            n, size, full, channel=rng.choice(channels), priority=rng.choice((5, 5, 5, 9)), passes=rng.choice((1, 2))
        )
        for n, size in enumerate(sizes, 1)
    )
    line.run()
    assert not line.broken()
    assert {plan.bundle for plan in line.plans.values()} == set(range(1, 51))


def test_rows_wait_for_no_whole_slab_among_the_sources() -> None:
    """300 kB beside a large bundle of another channel: between its source rows goes nothing longer than one burst."""
    line = Line(3e7, STANDARD)
    line.add([plan_of(1, 20 * STANDARD.source_bytes, STANDARD, channel="models"), plan_of(2, 300_000, STANDARD)])
    line.run(lambda: bool(line.data(2)) and len(line.data(2)) >= 4)
    rows = line.data(2)
    between = [sent for sent in line.sent if rows[0].at < sent.at < rows[3].at]
    assert all(sent.datagrams <= STANDARD.burst_datagrams for sent in between)
    assert rows[3].seconds < 1.5


def test_small_bundles_do_not_starve_a_large_one() -> None:
    """Channels still share the line when one of them has nothing but slabs of several rows."""
    line = Line(3e8, STANDARD)
    line.add([plan_of(1, 200 * STANDARD.source_bytes, STANDARD, channel="models")])
    line.add(plan_of(n, 300_000, STANDARD, channel="small") for n in range(2, 160))
    line.run(lambda: len({sent.job.bundle for sent in line.sent if isinstance(sent.job, Job)}) > 120)
    small = sum(sent.datagrams for sent in line.sent if isinstance(sent.job, Job) and sent.job.bundle > 1)
    large = sum(sent.datagrams for sent in line.sent if isinstance(sent.job, Job) and sent.job.bundle == 1)
    assert large > 0.7 * small


def test_what_has_begun_goes_first() -> None:
    """Bundles of one channel do not advance in lockstep: few slabs are under way at one time."""
    line = Line(3e7, STANDARD)
    line.add(plan_of(n, 900_000, STANDARD) for n in range(1, 121))
    line.run()
    begun, over, most = set(), set(), 0
    for sent in line.sent:
        if isinstance(sent.job, Job) and sent.job.row != WHOLE:
            begun.add(sent.job.bundle)
            if line.plans[sent.job.bundle].is_last_of_slab(sent.job):
                over.add(sent.job.bundle)
            most = max(most, len(begun - over))
    assert 120 == len(over)
    assert most <= (128 << 20) // (256 * 64 * 1408)


def test_source_and_repair_are_apart_in_time() -> None:
    """From the last source row to the last repair row pass at least 50 ms, also on a fast line."""
    for rate in (1e7, 1e9, 0.0):
        line = alone(300_000, rate=rate)
        rows = line.data(1)
        assert rows[-1].seconds - rows[3].seconds >= 0.05


def test_pause_and_cancel_act_between_two_rows() -> None:
    """A paused channel's rows go on where they were; of a bundle that is given up no further row leaves."""
    line = alone_until(1_000_000, rows=3)
    paused = True
    line.scheduler.pause(lambda _: paused)
    line.run(lambda: not line.in_hand)
    before = len(line.data(1))
    line.run(lambda: line.now > 5)
    assert before == len(line.data(1))
    paused = False
    line.run(lambda: len(line.data(1)) >= before + 2)
    assert not line.broken()
    line.scheduler.cancel(1)
    line.run(lambda: not line.in_hand)
    left = len(line.data(1))
    line.run()
    assert left == len(line.data(1))


def test_an_urgent_bundle_acts_between_two_rows() -> None:
    """Whole slabs of a higher priority go between source rows."""
    line = alone_until(1_000_000, rows=3)
    line.add([plan_of(2, 3 * STANDARD.source_bytes, STANDARD, channel="fixes", priority=9)])
    line.run()
    assert line.data(2)[-1].at < line.data(1)[11].at
    assert not line.broken()


def test_a_worker_that_died_makes_the_slab_begin_anew() -> None:
    """What was handed out and never left was not sent: all rows follow once more, with their distances."""
    line = alone_until(1_000_000, rows=15)
    for job, _ in line.in_hand:
        line.scheduler.lost(job)
    line.in_hand.clear()
    line.scheduler.lost(Padding(1))
    line.sent.clear()
    line.run()
    assert [sent.job.row for sent in line.data(1)] == list(range(21))  # type: ignore[union-attr]
    assert not line.broken()


def test_a_channel_with_a_rate_holds_nobody_up() -> None:
    """Its slabs begin at its rate, and go on at the pace of the line: a large bundle fills it meanwhile."""
    line = Line(1e8, STANDARD)
    line.add([plan_of(1, 30 * STANDARD.source_bytes, STANDARD, channel="models")])
    line.add(plan_of(n, 2_000_000, STANDARD, channel="slow", rate=1e6) for n in (2, 3))
    line.run(lambda: len(line.data(1)) >= 30)
    assert line.data(2)[-1].seconds - line.data(2)[0].seconds < 2.0  # 3.3 s at its rate
    assert line.data(3)[0].seconds - line.data(2)[0].seconds > 3.0
    assert line.filler < line.at / 20


def test_what_waits_for_the_line_keeps_no_memory_from_the_urgent() -> None:
    """Slabs of lower priority are under way; beside a large bundle of a higher one, a small one begins at once."""
    line = Line(1e8, STANDARD)
    line.add(plan_of(n, 2_000_000, STANDARD, channel=f"channel {n}") for n in range(1, 8))
    line.run(lambda: all(line.data(n) for n in range(1, 6)))
    line.add([plan_of(8, 50 * STANDARD.source_bytes, STANDARD, channel="models", priority=9)])
    line.run(lambda: bool(line.data(8)))
    line.add([plan_of(9, 300_000, STANDARD, channel="fixes", priority=9)])
    line.run(lambda: len(line.data(9)) == 11)
    assert len(line.data(8)) < 10
    line.run()
    assert not line.broken()


def test_a_failed_job_keeps_its_place_on_the_line() -> None:
    """Padding leaves in its place, so what was handed out after it is as far away as it should be."""
    line = Line(1e8, STANDARD)
    line.add(plan_of(n, 600_000, STANDARD, channel=f"channel {n}") for n in range(1, 4))
    line.run(lambda: bool(line.in_hand) and len(line.data(2)) > 2)
    line.fail(2)
    line.run()
    assert [len(line.data(n)) for n in (1, 3)] == [7 + 8, 7 + 8]
    assert not line.broken()


def test_what_was_sent_before_a_restart_is_followed_by_a_gap() -> None:
    """All slabs have left in an earlier run: the copies of the manifest are still apart."""
    line = alone(300_000, first_slab=1)
    manifests = [sent for sent in line.sent if isinstance(sent.job, Job) and sent.job.flags == 0]
    assert all(after.at - before.at >= STANDARD.burst_datagrams for before, after in pairwise(manifests))
    assert 3 == len(manifests)
    assert not line.data(1)


@pytest.mark.parametrize("rate", [0.0, 64_000.0, 1e6, 3e7])
def test_many_bundles_of_one_byte(rate: float) -> None:
    """They share the line that their distances take: each costs a tenth of what it costs alone."""
    line = Line(rate, STANDARD)
    line.add(plan_of(n, 1, STANDARD) for n in range(1, 61))
    line.run()
    assert not line.broken()
    assert line.at / 60 < 260


@pytest.mark.parametrize("channels", ["abc", "aaa"])
def test_a_small_bundle_between_two_large_ones(channels: str) -> None:
    """Of 100 GB each, in channels of their own, and in one channel."""
    line = Line(1e9, STANDARD)
    sizes = (100_000_000_000, 300_000, 100_000_000_000)
    bundles = enumerate(zip(sizes, channels, strict=True), 1)
    line.add(plan_of(n, size, STANDARD, channel=name) for n, (size, name) in bundles)
    line.run(lambda: len(line.data(2)) == 11)
    assert line.now < 1.0
    assert not line.broken()


def test_a_line_that_was_off_goes_on_between_two_rows() -> None:
    """The timetable stopped it for an hour: the manifest is said again, and the next row follows."""
    line = alone_until(1_000_000, rows=4)
    line.run(lambda: not line.in_hand)
    left = len(line.data(1))
    line.now += 3600
    line.run()
    assert [sent.job.row for sent in line.data(1)] == list(range(21))  # type: ignore[union-attr]
    said = [sent for sent in line.sent if isinstance(sent.job, Job) and sent.job.kind == Kind.OBJECT]
    assert any(3600 < sent.seconds <= line.data(1)[left].seconds for sent in said)
    assert not line.broken()


def test_the_rows_of_a_slab_are_one_slab() -> None:
    """Only the last one makes it a slab that was sent, which a restart does not send again."""
    plan = plan_of(1, 1_000_000, STANDARD)
    rows = [Job(1, Kind.DATA, 0, 0, 0, row) for row in range(21)]
    assert [False] * 20 + [True] == [plan.is_last_of_slab(job) for job in rows]
    assert plan.is_last_of_slab(Job(1, Kind.OBJECT, 0, 0))
