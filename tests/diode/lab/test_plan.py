"""The forecast agrees with published figures, with simulated links, and with itself."""

import numpy as np
import pytest
from numpy.typing import NDArray

from diode.lab.plan import Loss, block_failure, forecast, slab_failure
from diode.protocol.geometry import PROFILES, Geometry

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


def chain(rng: np.random.Generator, loss: Loss, length: int) -> NDArray[np.bool_]:
    """Which of ``length`` datagrams Gilbert's chain loses, run by run."""
    leave = 1 / loss.burst
    enter = loss.share * leave / (1 - loss.share)
    bad = rng.random() < loss.share
    runs: list[NDArray[np.bool_]] = []
    while sum(map(len, runs)) < length:
        runs.append(np.full(rng.geometric(leave if bad else enter), bad))
        bad = not bad
    return np.concatenate(runs)[:length]


@pytest.mark.parametrize(("columns", "burst"), [(1, 4.0), (8, 8.0), (64, 16.0), (64, 200.0)])
def test_bursts_agree_with_a_simulated_chain(columns: int, burst: float) -> None:
    """4,000 slabs of 30 + 5 rows: blocks within 5 standard deviations, slabs never understated, nor much overstated."""
    rng, runs, shape, loss = np.random.default_rng(7), 4000, Geometry(1408, columns, 30, 5), Loss(0.08, burst)
    lost = np.array([chain(rng, loss, shape.rows * columns).reshape(-1, columns).sum(axis=0) for _ in range(runs)])
    failed = lost > shape.r
    block, slab = block_failure(shape, loss), slab_failure(shape, loss)
    sigma = (block * (1 - block) / runs) ** 0.5
    assert abs(failed[:, 0].mean() - block) < 5 * sigma
    sigma = (slab * (1 - slab) / runs) ** 0.5
    assert slab / 1.5 - 5 * sigma < failed.any(axis=1).mean() < slab + 5 * sigma


def test_copies_share_a_long_burst() -> None:
    """What is lost again so many datagrams later, in a simulated chain, is what the line remembers."""
    loss, apart = Loss(0.05, 100.0), 64
    lost = chain(np.random.default_rng(7), loss, 4_000_000)
    again = lost[apart:][lost[:-apart]].mean()
    assert loss.share + (1 - loss.share) * loss.memory(apart) == pytest.approx(again, rel=0.05)
    assert 0.0 == Loss(0.05).memory(1)


def bundle_failure(
    size: int, loss: Loss, passes: int = 1, profile: str = "extreme", early_bytes: int = 1 << 27
) -> float:
    """Of a bundle of one file, at 100 MB/s."""
    return forecast(
        PROFILES[profile],
        1408,
        size=size,
        files=1,
        rate=1e8,
        loss=loss,
        passes=passes,
        delay_s=30.0,
        early_bytes=early_bytes,
    ).bundle_failure


def test_a_manifest_behind_the_data_saves_what_memory_keeps() -> None:
    """Of a large bundle only the copies before its data count, of a small one all; a second pass finds it known."""
    loss = Loss(0.10, 64)
    manifest = slab_failure(Geometry(1408, 2, 1, 2), loss)  # of two symbols
    small, large = bundle_failure(10_000_000, loss), bundle_failure(10_000_000, loss, early_bytes=0)
    assert large - small == pytest.approx(manifest**2 - manifest**3, rel=0.01)
    assert large == pytest.approx(bundle_failure(10**9, loss), rel=0.1)
    assert bundle_failure(10**9, loss, passes=2) < small


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
