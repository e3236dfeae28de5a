"""Small slabs on lines that lose much: where their symbols are on the line, and what is left of them."""

import math
import random

import numpy as np
import pytest

from diode.lab.plan import Loss, binomial_tail, slab_failure
from diode.protocol.geometry import Geometry
from diode.protocol.sizes import Kind
from sender.transport.plan import Job
from tests.faults.matrix import interval
from tests.sender.transport.line import Line, full_of, plan_of

STANDARD = full_of("standard")
BURST = STANDARD.burst_datagrams
WORLDS = 1_000_000


def queue(seed: int, count: int = 245) -> Line:
    """Mixed small bundles that wait together, of two channels."""
    rng, line = random.Random(seed), Line(3e7, STANDARD)
    sizes = [rng.choice((1, 4_000, 60_000, 300_000, rng.randrange(1, 1_000_000))) for _ in range(count)]
    line.add(plan_of(n, size, STANDARD, channel=rng.choice("ab")) for n, size in enumerate(sizes, 1))
    line.run()
    return line


def repair_of(line: Line, key: tuple[int, int, int, int]) -> int:
    """Rows of repair that a pass sends of the slab of a block."""
    plan, job = line.plans[key[0]], Job(key[0], Kind.DATA, 0, key[1], key[2])
    spread = plan.spread(job)
    return spread.repair if spread else plan.slab(job).shape.r


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_one_burst_after_another_loses_no_small_bundle(seed: int) -> None:
    """Of the whole budget, every 4,000 to 8,000 datagrams: no slab is under way for so long that two take too much."""
    line, rng = queue(seed), random.Random(seed)
    lost, at = np.zeros(line.at + BURST, bool), rng.randrange(4_000)
    while at < line.at:
        lost[at : at + BURST] = True
        at += rng.randrange(4_000, 8_000)
    places = line.places()
    assert 245 == len({key[0] for key in places})
    assert [] == [key for key, where in places.items() if lost[where].sum() > repair_of(line, key)]


def worst_of_half_a_burst(places: list[int], repair: int, loss: float) -> float:
    """Failure of a block of which half a burst takes the most, and single losses of the rest some more."""
    taken = max(sum(first <= place < first + BURST // 2 for place in places) for first in places)
    return 1.0 if taken > repair else binomial_tail(len(places) - taken, loss, repair - taken)


@pytest.mark.long
def test_half_a_burst_with_single_losses_breaks_nothing() -> None:
    """With 0.1 % of the rest lost a slab fails with at most 10^-8: computed from where its symbols left."""
    line = queue(9, 120)
    for key, places in line.places().items():
        assert 64 * worst_of_half_a_burst(places, repair_of(line, key), 0.001) <= 1e-8, key
    for k in range(1, 41):
        line = Line(1e8, STANDARD)
        line.add([plan_of(1, k * STANDARD.row_bytes, STANDARD)])
        line.run()
        key, places = next(iter(line.places().items()))
        assert 64 * worst_of_half_a_burst(places, repair_of(line, key), 0.001) <= 1e-8, k


@pytest.mark.long
@pytest.mark.parametrize(
    ("k", "repair", "loss"),
    [(1, 6, 0.2), (1, 6, 0.3), (4, 7, 0.15), (4, 7, 0.2), (12, 9, 0.1), (12, 9, 0.15)],
)
def test_a_million_slabs_fail_as_often_as_computed(k: int, repair: int, loss: float) -> None:
    """Independent losses of all symbols of all blocks."""
    rng, shape, failed = np.random.default_rng(k), Geometry(1408, 64, k, repair), 0
    for _ in range(WORLDS // 50_000):
        failed += int((rng.binomial(k + repair, loss, (50_000, 64)) > repair).any(axis=1).sum())
    share = slab_failure(shape, Loss(loss))
    assert math.isfinite(share)
    low, high = interval(WORLDS - failed, WORLDS, 0.999) if failed < 1000 else _around(failed)
    assert low <= 1 - share <= high


def _around(failed: int) -> tuple[float, float]:
    """An interval of 99.9 % for a share of many."""
    share = 1 - failed / WORLDS
    return share - 3.3 * (share * (1 - share) / WORLDS) ** 0.5, share + 3.3 * (share * (1 - share) / WORLDS) ** 0.5
