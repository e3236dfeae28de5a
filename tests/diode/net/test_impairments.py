"""What an emulated line does to a stream is what it was asked to, the same for every seed, however it is cut."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.net.impairments import MAX_DELAY_DATAGRAMS, Impairer, Impairments, Tally
from tests.diode.net.streams import numbered, numbers, through

ALL_AT_ONCE = Impairments(
    loss=0.05, burst_loss=0.1, burst_mean=4, burst=7, burst_gap=20, reorder=0.1, duplicate=0.1, corrupt=0.1
)


def lost_runs(arrived: list[int], count: int) -> list[tuple[int, int]]:
    """(first, length) of each run of consecutive losses."""
    edges = [-1, *sorted(set(arrived)), count]
    return [(a + 1, b - a - 1) for a, b in pairwise(edges) if b - a > 1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": -0.1},
        {"loss": 1.1},
        {"loss": float("nan")},
        {"burst_loss": 2},
        {"burst_loss": 0.9, "burst_mean": 2},
        {"burst_mean": 0},
        {"burst_mean": float("inf")},
        {"burst": -1},
        {"burst": 5, "burst_gap": 0},
        {"reorder": 3},
        {"duplicate": -1},
        {"corrupt": 1.5},
    ],
)
def test_impossible_impairment_is_named(wrong: dict[str, float]) -> None:
    """What cannot be done to a stream is refused, by name."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Impairments(**wrong)  # type: ignore[arg-type]  # lengths are whole numbers in the table above


def test_nothing_asked_nothing_copied() -> None:
    """A stream that is not hit is handed on as it is."""
    impairer = Impairer(Impairments(), 1)
    stream = numbered(100)
    assert impairer.apply(stream) is stream
    assert Tally(received=100, forwarded=100, bytes=3200) == impairer.tally
    assert 0 == len(impairer.flush())


def test_random_loss_has_its_share_and_keeps_order() -> None:
    """Independent loss takes about its share, and the others arrive in order."""
    impairer = Impairer(Impairments(loss=0.1), 3)
    arrived = numbers(through(impairer, numbered(50_000), [44]))
    assert sorted(arrived) == arrived
    assert 50_000 - len(arrived) == impairer.tally.lost_random
    assert abs(impairer.tally.lost_random - 5000) < 350


def test_burst_loss_has_its_share_and_mean_length() -> None:
    """Gilbert-Elliott loss takes about its share, in bursts of about the mean length."""
    impairer = Impairer(Impairments(burst_loss=0.05, burst_mean=20), 4)
    count = 400_000
    arrived = numbers(through(impairer, numbered(count, 8), [44]))
    tally = impairer.tally
    assert count - len(arrived) == tally.lost_burst
    assert abs(tally.lost_burst / count - 0.05) < 0.006
    assert abs(tally.lost_burst / tally.bursts - 20) < 2
    assert max(length for _, length in lost_runs(arrived, count)) == tally.longest_burst


@pytest.mark.parametrize("seed", range(5))
def test_fixed_bursts_keep_their_length_and_distance(seed: int) -> None:
    """Bursts of a given length come at random places, with between one and two gaps between them."""
    impairer = Impairer(Impairments(burst=100, burst_gap=3000), seed)
    arrived = numbers(through(impairer, numbered(60_000, 8), [44]))
    runs = lost_runs(arrived, 60_000)
    whole = [run for run in runs if run[0] + run[1] < 60_000]
    assert {100} == {length for _, length in whole}
    assert all(3000 <= b[0] - a[0] - 100 < 6000 for a, b in pairwise(runs))
    assert len({b[0] - a[0] for a, b in pairwise(runs)}) > 5
    assert (len(runs), 100) == (impairer.tally.bursts, impairer.tally.longest_burst)


def test_loss_and_bursts_at_once_are_told_apart() -> None:
    """A datagram in a burst is a burst loss, any other a random one, and together they are all that is missing."""
    impairer = Impairer(Impairments(loss=0.01, burst=500, burst_gap=5000), 5)
    arrived = through(impairer, numbered(100_000, 8), [44])
    tally = impairer.tally
    assert 100_000 == tally.forwarded + tally.lost_random + tally.lost_burst
    assert len(arrived) == tally.forwarded
    assert abs(tally.lost_burst - 500 * tally.bursts) < 500
    assert abs(tally.lost_random - 0.01 * (100_000 - tally.lost_burst)) < 150


def test_everything_can_be_lost() -> None:
    """A loss of 100 % leaves nothing."""
    impairer = Impairer(Impairments(loss=1), 1)
    assert (0, 32) == impairer.apply(numbered(100)).shape


def test_reordering_is_bounded_and_loses_nothing() -> None:
    """Late datagrams are overtaken by at most MAX_DELAY_DATAGRAMS others, and all arrive."""
    impairer = Impairer(Impairments(reorder=0.05), 6)
    arrived = numbers(through(impairer, numbered(20_000), [44]))
    assert list(range(20_000)) == sorted(arrived)
    highest, overtaken = -1, 0
    for number in arrived:
        assert number >= highest - MAX_DELAY_DATAGRAMS
        overtaken += number < highest
        highest = max(highest, number)
    assert 0.9 * impairer.tally.reordered <= overtaken <= impairer.tally.reordered
    assert abs(impairer.tally.reordered - 1000) < 150


def test_held_back_datagrams_are_not_lost_to_another_size() -> None:
    """Another size of datagrams is refused while some are held back, and goes once these are flushed."""
    impairer = Impairer(Impairments(reorder=1), 7)
    kept = 3 - len(impairer.apply(numbered(3)))
    with pytest.raises(ValueError, match="flush first"):
        impairer.apply(numbered(3, 16))
    assert kept == len(impairer.flush())
    impairer.apply(numbered(3, 16))


def test_duplicates_are_copies() -> None:
    """Duplicated datagrams arrive twice, and no other does."""
    impairer = Impairer(Impairments(duplicate=0.1), 8)
    arrived = numbers(through(impairer, numbered(10_000), [44]))
    assert list(range(10_000)) == sorted(set(arrived))
    assert len(arrived) - 10_000 == impairer.tally.duplicated
    assert abs(impairer.tally.duplicated - 1000) < 150


def test_corruption_flips_one_bit_and_spares_the_input() -> None:
    """A corrupted datagram differs in one bit from the one that was sent, which stays as it was."""
    impairer = Impairer(Impairments(corrupt=0.1), 9)
    stream = numbered(10_000)
    before = stream.copy()
    arrived = through(impairer, stream, [44])
    flipped = np.unpackbits(arrived ^ before, axis=1).sum(axis=1)
    assert np.array_equal(before, stream)
    assert {0, 1} == set(flipped.tolist())
    assert impairer.tally.corrupted == flipped.sum()
    assert abs(impairer.tally.corrupted - 1000) < 150
    places = np.flatnonzero(np.unpackbits(arrived ^ before, axis=1).any(axis=0))
    assert len(places) > 200  # of the 256 bits there are


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**64),
    count=st.integers(1, 400),
    cuts=st.lists(st.integers(1, 90), min_size=1, max_size=12),
)
def test_outcome_does_not_depend_on_how_the_stream_is_cut(seed: int, count: int, cuts: list[int]) -> None:
    """One seed gives one outcome and one tally, however a stream is cut into calls."""
    whole, cut = Impairer(ALL_AT_ONCE, seed), Impairer(ALL_AT_ONCE, seed)
    stream = numbered(count)
    expected = whole.apply(stream)
    assert np.array_equal(np.concatenate([expected, whole.flush()]), through(cut, stream, cuts))
    assert whole.tally == cut.tally


def test_effects_do_not_disturb_each_other() -> None:
    """Turning another effect on leaves the losses of a seed where they were."""
    alone = numbers(through(Impairer(Impairments(loss=0.1), 11), numbered(5000)))
    together = numbers(through(Impairer(Impairments(loss=0.1, reorder=0.1, duplicate=0.1), 11), numbered(5000)))
    assert alone == sorted(set(together))


def test_seeds_differ() -> None:
    """Another seed gives another outcome."""
    one, other = (numbers(through(Impairer(Impairments(loss=0.1), seed), numbered(1000))) for seed in (1, 2))
    assert one != other
