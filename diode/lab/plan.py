"""``diode plan``: computes how long a bundle takes, what repair costs, and how likely something is missing afterwards.

The model: the link loses single datagrams (burst 1), or bursts by Gilbert's chain: a good state that loses nothing and
a bad one that loses all (docs/planning.md). A block of n = k + r symbols fails when more than r of them are lost. Its
symbols are D datagrams apart, and beside each lies a symbol of the next block. Passes are independent, and a slab must
be delivered by a single pass. A pass is useful only if its manifest arrives before the data, or if memory can keep all
data until it arrives.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diode.bundle.manifest import MAX_BUNDLE_SLABS
from diode.formats.digest import DIGEST_BYTES
from diode.formats.names import MAX_FILES
from diode.protocol.geometry import (
    Geometry,
    Profile,
    Slab,
    needs_repeats,
    object_geometry,
    slab_at,
    slab_count,
    stream_geometry,
)
from diode.protocol.sizes import MAX_ROWS, datagram_bytes

MANIFEST_BYTES: Final = 2048  # typical, with one signature
FILE_ENTRY_BYTES: Final = 260  # of the files table, typical
COPIES: Final = 2  # of tables and manifest in a pass: first and last; small ones once more before the data
EARLY_BYTES: Final = (
    128 << 20
)  # what a receiver keeps of bundles that it does not know yet, unless configured otherwise

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Loss:
    """Mean share of datagrams that are lost, and mean length of a burst; 1 means single losses."""

    share: float
    burst: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.share < 1 and self.burst >= 1):
            raise ValueError("loss is a share from 0 to below 1, and a burst has at least one datagram")
        if self.burst > 1 and self.share / (self.burst * (1 - self.share)) > 1:
            raise ValueError(f"bursts of {self.burst:g} cannot make up only {self.share:.2%} of the datagrams")

    def memory(self, apart: int) -> float:
        """How much a datagram's fate tells about that of another so many places away: from 0 (nothing) to 1 (all)."""
        if self.burst == 1:
            return 0.0
        leave = 1 / self.burst
        enter = self.share * leave / (1 - self.share)
        return float((1 - enter - leave) ** apart)


@dataclass(frozen=True, slots=True)
class Forecast:
    """The expected figures for one bundle."""

    slabs: int
    datagrams: int
    seconds: float
    overhead: float  # bytes on the wire to bytes of the bundle, less one, in one pass
    block_failure: float
    slab_failure: float  # after all passes
    bundle_failure: float  # that anything is missing, manifest and tables included
    survives_burst: int  # datagrams: a single burst that never costs anything


def forecast(
    profile: Profile,
    symbol_bytes: int,
    *,
    size: int,
    files: int,
    rate: float,
    loss: Loss,
    passes: int,
    delay_s: float,
    early_bytes: int = EARLY_BYTES,
) -> Forecast:
    """Figures for a bundle at ``rate`` bytes of UDP payload a second (0: unlimited). Raises ValueError."""
    full = stream_geometry(symbol_bytes, profile)
    count = slab_count(full, size)
    if count > MAX_BUNDLE_SLABS or files > MAX_FILES:
        raise ValueError(f"a bundle has at most {MAX_BUNDLE_SLABS:,} slabs and {MAX_FILES:,} files: plan several")
    whole = max(0, count - 1)
    tail = [_sent(slab_at(full, size, whole), 1, full)] if count else []
    objects = [_sent(slab, COPIES, full) for slab in _objects(symbol_bytes, files, count)]
    in_all = whole * full.rows * full.columns + sum(slab.datagrams * copies for slab, copies in [*tail, *objects])
    bytes_sent = passes * in_all * datagram_bytes(symbol_bytes)
    memory = loss.memory(full.burst_datagrams)
    is_kept = MAX_ROWS * (whole * full.row_bytes + sum(slab.shape.row_bytes for slab, _ in tail)) <= early_bytes
    odds = _Odds(
        whole,
        slab_failure(full, loss),
        _all_of(slab_failure(tail[0][0].shape, loss), tail[0][1], memory) if tail else 0.0,
        [
            (slab_failure(slab.shape, loss), copies, not (is_kept or number))
            for number, (slab, copies) in enumerate(objects)
        ],
        memory,
    )
    return Forecast(
        slabs=count,
        datagrams=passes * in_all,
        seconds=(bytes_sent / rate if rate else 0.0) + (passes - 1) * delay_s,
        overhead=bytes_sent / passes / size - 1 if size else 0.0,
        block_failure=block_failure(full, loss),
        slab_failure=odds.slab**passes,
        bundle_failure=odds.bundle_missing(passes),
        survives_burst=full.burst_datagrams,
    )


@dataclass(frozen=True, slots=True)
class _Odds:
    """Probabilities that parts of a bundle fail, and the resulting one for the whole bundle."""

    whole: int  # slabs before the last
    slab: float  # that one of them fails in a pass
    tail: float  # that the last one does, in all its copies
    objects: list[tuple[float, int, bool]]  # failure of a copy, copies in a pass, whether the last one is too late
    memory: float  # between one copy and the next

    def bundle_missing(self, passes: int) -> float:
        """That anything is missing after so many passes, the first of which may be in vain."""
        in_vain = [self._objects_missing(n) for n in range(passes + 1)]
        return in_vain[-1] + sum((in_vain[n] - in_vain[n + 1]) * self._data_missing(passes - n) for n in range(passes))

    def _objects_missing(self, passes: int) -> float:
        """That the manifest or a table has not come in time for the data of the last of so many passes."""
        if not passes:
            return 1.0
        return -math.expm1(sum(_log_ok(_all_of(f, n * passes - late, self.memory)) for f, n, late in self.objects))

    def _data_missing(self, passes: int) -> float:
        return -math.expm1(self.whole * _log_ok(self.slab**passes) + _log_ok(self.tail**passes))


@cache
def slab_failure(shape: Geometry, loss: Loss) -> float:
    """Probability that at least one block of a slab fails.

    Bursts hit neighbouring blocks alike. The estimate uses what one neighbour tells about a block, and ignores what
    those further away would add, which errs on the safe side.
    """
    block = block_failure(shape, loss)
    if loss.burst == 1 or shape.columns == 1 or block == 0:
        return _any_of(block, shape.columns)
    lost = _lost(shape, loss, 2)
    fine, alone = float(lost[:-1].sum()), float(lost[:-1, -1].sum())  # one of two blocks survives; the other one fails
    if alone >= fine:
        return 1.0
    return _either(block, _any_of(alone / fine, shape.columns - 1))


def block_failure(shape: Geometry, loss: Loss) -> float:
    """Probability that a block loses more than its r symbols."""
    if loss.share == 0:
        return 0.0
    if loss.burst == 1:
        return binomial_tail(shape.rows, loss.share, shape.r)
    return float(_lost(shape, loss, 1)[-1])


def _lost(shape: Geometry, loss: Loss, blocks: int) -> Floats:
    """Distribution of symbols lost from each of 1 or 2 blocks side by side; the last entry of an axis: more than r."""
    good, bad = (np.zeros((shape.r + 2,) * blocks) for _ in range(2))
    good.flat[0], bad.flat[0] = 1 - loss.share, loss.share
    steps = [loss.memory(shape.columns - blocks + 1), loss.memory(1)][:blocks]
    for _ in range(shape.rows):
        for axis, memory in enumerate(steps):
            anew, again = loss.share * (1 - memory), loss.share + (1 - loss.share) * memory
            good, bad = good * (1 - anew) + bad * (1 - again), _one_more(good * anew + bad * again, axis)
    total: Floats = good + bad
    return total


def _one_more(lost: Floats, axis: int) -> Floats:
    moved = np.roll(lost, 1, axis)
    edge = moved.swapaxes(0, axis)
    edge[-1] += edge[0]
    edge[0] = 0.0
    return moved


def binomial_tail(n: int, p: float, r: int) -> float:
    """Probability of more than ``r`` among ``n`` independent events of probability ``p``, 0 < p < 1."""
    terms = (
        math.lgamma(n + 1) - math.lgamma(j + 1) - math.lgamma(n - j + 1) + j * math.log(p) + (n - j) * math.log1p(-p)
        for j in range(r + 1, n + 1)
    )
    return min(1.0, math.fsum(map(math.exp, terms)))


def _any_of(probability: float, count: int) -> float:
    """Probability that at least one of ``count`` independent events of this probability happens."""
    return 1.0 if probability >= 1 else -math.expm1(count * math.log1p(-probability))


def _either(one: float, other: float) -> float:
    return one + (1 - one) * other


def _all_of(probability: float, copies: int, memory: float) -> float:
    """That all copies fail, if the line still has so much memory of one when the next is sent."""
    return probability * (probability + (1 - probability) * memory) ** (copies - 1)


def _log_ok(failure: float) -> float:
    return math.log1p(-min(failure, 1 - 1e-16))


def _sent(slab: Slab, copies: int, full: Geometry) -> tuple[Slab, int]:
    """A slab and how often a pass sends it: once more when one burst could take it."""
    return slab, copies + needs_repeats(slab, full.burst_datagrams)


def _objects(symbol_bytes: int, files: int, slabs: int) -> list[Slab]:
    """The slabs of the control objects: the manifest, which is one slab, and the tables."""
    full = object_geometry(symbol_bytes)
    return [
        slab_at(full, size, number, is_object=True)
        for size in (MANIFEST_BYTES, files * FILE_ENTRY_BYTES, slabs * DIGEST_BYTES)
        for number in range(slab_count(full, size))
    ]
