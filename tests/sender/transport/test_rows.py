"""Small slabs are sent row by row: no burst takes more rows than their repair, and nobody waits for whole slabs."""

import random

import pytest

from diode.protocol.geometry import PROFILES, Geometry
from sender.transport.plan import WHOLE, Job, Padding
from tests.sender.transport.line import Line, full_of, plan_of

STANDARD = full_of("standard")


def alone(size: int, full: Geometry = STANDARD, rate: float = 1e8, **more: object) -> Line:
    """One bundle on an idle line."""
    line = Line(rate, full)
    line.add([plan_of(1, size, full, **more)])
    line.run()
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


@pytest.mark.parametrize("seed", range(3))
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
    line = Line(1e8, STANDARD)
    line.add([plan_of(1, 1_000_000, STANDARD, channel="models")])
    line.run(lambda: len(line.data(1)) >= 3)
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
    line = Line(1e8, STANDARD)
    line.add([plan_of(1, 1_000_000, STANDARD, channel="models")])
    line.run(lambda: len(line.data(1)) >= 3)
    line.add([plan_of(2, 3 * STANDARD.source_bytes, STANDARD, channel="fixes", priority=9)])
    line.run()
    assert line.data(2)[-1].at < line.data(1)[11].at
    assert not line.broken()


def test_a_worker_that_died_makes_the_slab_begin_anew() -> None:
    """What was handed out and never left was not sent: all rows follow once more, with their distances."""
    line = Line(1e8, STANDARD)
    line.add([plan_of(1, 1_000_000, STANDARD)])
    line.run(lambda: len(line.data(1)) >= 15)
    for job, _ in line.in_hand:
        line.scheduler.lost(job)
    line.in_hand.clear()
    line.scheduler.lost(Padding(1))
    line.sent.clear()
    line.run()
    assert [sent.job.row for sent in line.data(1)] == list(range(21))  # type: ignore[union-attr]
    assert not line.broken()
