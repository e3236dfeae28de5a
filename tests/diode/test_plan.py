"""The forecast agrees with published figures, with simulated links, and with itself."""

import random

import pytest

from diode.geometry import PROFILES, Geometry
from diode.plan import Loss, block_failure, forecast

TIB = 1 << 40


@pytest.mark.parametrize(
    ("profile", "loss", "expected"),
    [("clean", 0.001, 2e-9), ("standard", 0.01, 7e-8), ("standard", 0.001, 4e-28), ("lossy", 0.10, 6e-6)],
)
def test_a_tebibyte_over_independent_losses(profile: str, loss: float, expected: float) -> None:
    """Blocks times block failure, as computed independently by the exact binomial tail."""
    shape = PROFILES[profile]
    blocks = TIB / (1408 * shape.k)
    assert expected == pytest.approx(blocks * block_failure(Geometry(1408, 64, shape.k, shape.r), Loss(loss)), rel=0.5)


@pytest.mark.parametrize(("columns", "burst"), [(1, 4.0), (8, 8.0), (64, 16.0)])
def test_bursts_agree_with_a_simulated_chain(columns: int, burst: float) -> None:
    """A block of 30 + 5 symbols, D datagrams apart, on Gilbert's chain: 4,000 blocks within 5 standard deviations."""
    rng, share, rows, r = random.Random(7), 0.08, 35, 5
    leave = 1 / burst
    enter = share * leave / (1 - share)
    failed, runs = 0, 4000
    for _ in range(runs):
        bad, lost = rng.random() < share, 0
        for row in range(rows):
            lost += bad
            if row < rows - 1:
                for _ in range(columns):
                    bad = rng.random() >= leave if bad else rng.random() < enter
        failed += lost > r
    predicted = block_failure(Geometry(1408, columns, rows - r, r), Loss(share, burst))
    sigma = (predicted * (1 - predicted) / runs) ** 0.5
    assert abs(failed / runs - predicted) < 5 * sigma


def test_bursts_of_one_are_independent_losses() -> None:
    """The chain with no memory is the binomial tail: with D large, bursts stop to matter."""
    shape = Geometry(1408, 64, 200, 20)
    assert block_failure(shape, Loss(0.03)) == pytest.approx(block_failure(shape, Loss(0.03, 1.2)), rel=1e-6)


def test_more_passes_lose_less_and_take_longer() -> None:
    """Two passes square a slab's failure and add their delay."""
    one, two = (
        forecast(PROFILES["clean"], 1408, size=10**12, files=3, rate=1e9, loss=Loss(0.01), passes=n, delay_s=30.0)
        for n in (1, 2)
    )
    assert two.slab_failure == pytest.approx(one.slab_failure**2)
    assert two.seconds == pytest.approx(2 * one.seconds + 30.0)
    assert two.bundle_failure < one.bundle_failure


def test_a_link_without_losses_never_fails() -> None:
    """And an empty bundle is nothing but its manifest."""
    for size in (0, 1, 10**9):
        figures = forecast(PROFILES["standard"], 1408, size=size, files=1, rate=0, loss=Loss(0), passes=1, delay_s=30.0)
        assert 0.0 == figures.bundle_failure


@pytest.mark.parametrize(("share", "burst"), [(1.0, 1), (-0.1, 1), (0.1, 0.5), (0.9, 2)])
def test_impossible_links_are_refused(share: float, burst: float) -> None:
    """Shares and bursts that no link has."""
    with pytest.raises(ValueError, match="burst"):
        Loss(share, burst)


@pytest.mark.parametrize(("size", "files"), [(1 << 62, 1), (1, 10**7)])
def test_what_no_bundle_can_hold_is_refused(size: int, files: int) -> None:
    """Instead of being computed for ever."""
    with pytest.raises(ValueError, match="at most"):
        forecast(PROFILES["clean"], 1408, size=size, files=files, rate=1e9, loss=Loss(0), passes=1, delay_s=0)
