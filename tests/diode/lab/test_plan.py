"""The forecast agrees with published figures, with simulated links, and with itself."""

import numpy as np
import pytest
from numpy.typing import NDArray

from diode.lab.plan import FILE_ENTRY_BYTES, MANIFEST_BYTES, Loss, Tail, block_failure, forecast, slab_failure
from diode.protocol.geometry import PROFILES, Geometry, slab_at, slab_count
from sender.transport.plan import Job, Plan
from tests.sender.transport.line import Line, full_of

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


@pytest.mark.parametrize("rate", [1e6, 3e7, 1e9])
@pytest.mark.parametrize("size", [0, 1, 60_000, 300_000, 1_000_000, 6_000_000, 40_000_000])
def test_a_pass_is_what_the_scheduler_makes_of_it(size: int, rate: float) -> None:
    """To the datagram; and alone on the line it takes as long, to a few pieces of padding and repeated manifests."""
    full = full_of("standard")
    line = Line(rate, full)
    line.add([Plan(1, full, size, MANIFEST_BYTES, FILE_ENTRY_BYTES, 32 * slab_count(full, size), 1)])
    line.run()
    said = forecast(PROFILES["standard"], 1408, size=size, files=1, rate=rate, loss=Loss(0), passes=1, delay_s=0)
    jobs = sum(sent.datagrams for sent in line.sent if isinstance(sent.job, Job))
    lacking = Tail.of(full, slab_at(full, size, said.slabs - 1)).lacking if size else 0
    again = max(0.0, line.now / 2) * 6  # the manifest every 2 s
    assert said.datagrams + lacking <= jobs <= said.datagrams + lacking + again
    assert said.alone_seconds == pytest.approx(line.now, rel=0.15, abs=0.02)
    assert said.seconds < said.alone_seconds


@pytest.mark.parametrize("burst", [64.0, 512.0])
def test_rows_that_are_far_apart_share_no_burst(burst: float) -> None:
    """A slab of four rows, simulated on a chain: its rows are a fifth of the budget apart, not D."""
    rng, runs, loss = np.random.default_rng(3), 3000, Loss(0.2, burst)
    tail = Tail.of(full_of("standard"), slab_at(full_of("standard"), 300_000, 0))
    assert (4 + 7, 183) == (tail.shape.rows, tail.apart)
    length = tail.apart * (tail.shape.rows - 1) + tail.shape.columns
    at = tail.apart * np.arange(tail.shape.rows)[:, None] + np.arange(tail.shape.columns)
    lost = np.array([chain(rng, loss, length)[at].sum(axis=0) for _ in range(runs)])
    failed = lost > tail.shape.r
    for measured, model in (
        (failed[:, 0].mean(), block_failure(tail.shape, loss, tail.apart)),
        (failed.any(axis=1).mean(), slab_failure(tail.shape, loss, tail.apart)),
    ):
        sigma = (model * (1 - model) / runs) ** 0.5
        assert model / 2 - 5 * sigma < measured < model + 5 * sigma
