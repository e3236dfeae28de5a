"""``diode plan``: how long a bundle takes, what repair costs, and how likely it is that something is missing after it.

The link loses datagrams alone (burst 1) or in bursts (Gilbert's chain of a good state that loses nothing and a bad one
that loses all; docs/planning.md). A block of n = k + r symbols fails when more than r of them are lost; its symbols are
D datagrams apart. Passes are independent, and a slab is delivered by one of them.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diode.digest import DIGEST_BYTES
from diode.geometry import Geometry, Profile, needs_repeats, object_geometry, slab_at, slab_count, stream_geometry
from diode.manifest import MAX_FILES
from diode.wire import MAX_SLABS, datagram_bytes

MANIFEST_BYTES: Final = 2048  # typical, with one signature
FILE_ENTRY_BYTES: Final = 260  # of the files table, typical
MANIFEST_PERIOD_S: Final = 2.0
COPIES: Final = 2  # of tables and manifest in a pass: first and last; small ones once more

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Loss:
    """Mean share of datagrams lost, and mean length of a burst; 1: each alone."""

    share: float
    burst: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.share < 1 and self.burst >= 1):
            raise ValueError("loss is a share from 0 to below 1, and a burst has at least one datagram")
        if self.burst > 1 and self.share / (self.burst * (1 - self.share)) > 1:
            raise ValueError(f"bursts of {self.burst:g} cannot make up only {self.share:.2%} of the datagrams")


@dataclass(frozen=True, slots=True)
class Forecast:
    """What to expect of one bundle."""

    slabs: int
    datagrams: int
    seconds: float
    overhead: float  # bytes on the wire to bytes of the bundle, less one, in one pass
    block_failure: float
    slab_failure: float  # after all passes
    bundle_failure: float  # that anything is missing, manifest and tables included
    survives_burst: int  # datagrams: a single burst that never costs anything


def forecast(
    profile: Profile, symbol_bytes: int, *, size: int, files: int, rate: float, loss: Loss, passes: int, delay_s: float
) -> Forecast:
    """Figures for a bundle at ``rate`` bytes of UDP payload a second (0: unlimited). Raises ValueError."""
    full = stream_geometry(symbol_bytes, profile)
    count = slab_count(full, size)
    if count > MAX_SLABS or files > MAX_FILES:
        raise ValueError(f"a bundle has at most {MAX_SLABS:,} slabs and {MAX_FILES:,} files: plan several")
    tail = slab_at(full, size, count - 1) if count else None
    parts = _objects(symbol_bytes, files, count)
    datagrams = (count - 1) * full.rows * full.columns + tail.datagrams if tail else 0
    in_all = datagrams + sum(copies * shape.rows * shape.columns for shape, copies in parts)
    sent = passes * in_all
    bytes_sent = sent * datagram_bytes(symbol_bytes)
    seconds = (bytes_sent / rate if rate else 0.0) + (passes - 1) * delay_s
    block = block_failure(full, loss)
    slab = _any_of(block, full.columns) ** passes
    log_ok = 0.0  # natural logarithm of the probability that nothing is missing
    if tail:
        copies = passes * (2 if needs_repeats(tail, full.burst_datagrams) else 1)
        log_ok += (count - 1) * _log_ok(slab)
        log_ok += _log_ok(_any_of(block_failure(tail.shape, loss), tail.shape.columns) ** copies)
    for i, (shape, copies) in enumerate(parts):
        small = shape.burst_datagrams < full.burst_datagrams
        repeats = passes * (copies + small) + (int(bytes_sent / rate / MANIFEST_PERIOD_S) if rate and not i else 0)
        log_ok += _log_ok(_any_of(block_failure(shape, loss), shape.columns) ** repeats)
    return Forecast(
        slabs=count,
        datagrams=sent,
        seconds=seconds,
        overhead=bytes_sent / passes / size - 1 if size else 0.0,
        block_failure=block,
        slab_failure=slab,
        bundle_failure=-math.expm1(log_ok),
        survives_burst=full.burst_datagrams,
    )


def block_failure(shape: Geometry, loss: Loss) -> float:
    """Probability that a block loses more than its r symbols."""
    if loss.share == 0:
        return 0.0
    if loss.burst == 1:
        return _binomial_tail(shape.rows, loss.share, shape.r)
    leave = 1 / loss.burst
    enter = loss.share * leave / (1 - loss.share)
    memory = (1 - enter - leave) ** shape.columns  # of the chain, seen every D datagrams
    lost_again = loss.share + (1 - loss.share) * memory
    lost_anew = loss.share * (1 - memory)
    good, bad = np.zeros(shape.r + 2), np.zeros(shape.r + 2)  # by symbols lost so far; the last entry: too many
    good[0], bad[1] = 1 - loss.share, loss.share
    for _ in range(shape.rows - 1):
        good, bad = good * (1 - lost_anew) + bad * (1 - lost_again), _one_more(good * lost_anew + bad * lost_again)
    return float(good[-1] + bad[-1])


def _one_more(lost: Floats) -> Floats:
    moved = np.roll(lost, 1)
    moved[-1] += moved[0]
    moved[0] = 0.0
    return moved


def _binomial_tail(n: int, p: float, r: int) -> float:
    terms = (
        math.lgamma(n + 1) - math.lgamma(j + 1) - math.lgamma(n - j + 1) + j * math.log(p) + (n - j) * math.log1p(-p)
        for j in range(r + 1, n + 1)
    )
    return min(1.0, math.fsum(map(math.exp, terms)))


def _any_of(probability: float, count: int) -> float:
    """That at least one of ``count`` independent events of this probability happens."""
    return 1.0 if probability >= 1 else -math.expm1(count * math.log1p(-probability))


def _log_ok(failure: float) -> float:
    return math.log1p(-min(failure, 1 - 1e-16))


def _objects(symbol_bytes: int, files: int, slabs: int) -> list[tuple[Geometry, int]]:
    """(shape, copies a pass) of manifest (the first of them) and tables, slab by slab."""
    full = object_geometry(symbol_bytes)
    shapes = []
    for size in (MANIFEST_BYTES, files * FILE_ENTRY_BYTES, slabs * DIGEST_BYTES):
        shapes += [slab_at(full, size, n, is_object=True).shape for n in range(slab_count(full, size))]
    return [(shape, COPIES) for shape in shapes]
