"""``diode plan``: computes how long a bundle takes, what repair costs, and how likely something is missing afterwards.

The model: the link loses single datagrams (burst 1), or bursts by Gilbert's chain: a good state that loses nothing and
a bad one that loses all (docs/planning.md). A block of n = k + r symbols fails when more than r of them are lost. Its
symbols are D datagrams apart, or as far as rows of a small slab are kept apart, and beside each lies a symbol of the
next block. Passes are independent, and a slab must be delivered by a single pass. A pass is useful only if its manifest
arrives before the data, or if memory can keep all data until it arrives.
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
from diode.protocol.fitting import SPAN_S, lacking, spread_of
from diode.protocol.geometry import (
    COPY_GAP_S,
    LEAD_PER_FILE_S,
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
LEAD_S: Final = 0.02  # of the manifest, unless configured otherwise
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
    datagrams: int  # without padding
    seconds: float  # of the line, when other bundles wait and use what this one leaves of it
    alone_seconds: float  # from its first datagram to its last, when nothing else is sent
    overhead: float  # bytes on the wire to bytes of the bundle, less one, in one pass
    block_failure: float  # of a full slab; of a bundle of one slab: of that
    slab_failure: float  # alike, after all passes
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
    tail = Tail.of(full, slab_at(full, size, whole)) if count else None
    objects = [_sent(slab, COPIES, full) for slab in _objects(symbol_bytes, files, count)]
    tables = sum(slab.datagrams * copies for slab, copies in objects)
    in_all = whole * full.rows * full.columns + (tail.datagrams if tail else 0) + tables
    bytes_sent = passes * in_all * datagram_bytes(symbol_bytes)
    alone = [_alone_s(full, whole, tail, tables, files, rate / datagram_bytes(symbol_bytes))] * passes
    memory = loss.memory(full.burst_datagrams)
    is_kept = MAX_ROWS * (whole * full.row_bytes + (tail.shape.row_bytes if tail else 0)) <= early_bytes
    odds = _Odds(
        whole,
        slab_failure(full, loss),
        slab_failure(tail.shape, loss, tail.apart) if tail else 0.0,
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
        alone_seconds=sum(alone) + (passes - 1) * delay_s,
        overhead=bytes_sent / passes / size - 1 if size else 0.0,
        block_failure=block_failure(full, loss) if whole or not tail else block_failure(tail.shape, loss, tail.apart),
        slab_failure=(odds.slab if whole or not tail else odds.tail) ** passes,
        bundle_failure=odds.bundle_missing(passes),
        survives_burst=full.burst_datagrams,
    )


@dataclass(frozen=True, slots=True)
class Tail:
    """The last slab of a stream as a pass sends it: the rows that leave, and how far one row is from the next."""

    shape: Geometry
    apart: int
    datagrams: int
    lacking: int  # datagrams of anything else before its repair, if it is sent in one go
    is_spread: bool

    @classmethod
    def of(cls, full: Geometry, slab: Slab) -> "Tail":
        """In one go, or row by row."""
        shape, spread = slab.shape, spread_of(full, slab)
        if spread is None:
            return cls(shape, shape.columns, slab.datagrams, lacking(slab), is_spread=False)
        rows = Geometry(shape.symbol_bytes, shape.columns, shape.k, spread.repair)
        return cls(rows, spread.step, slab.source_symbols + rows.burst_datagrams, 0, is_spread=True)

    def alone_s(self, datagrams_per_s: float) -> float:
        """From its first datagram to its last, on a line that carries nothing else."""
        last = self.apart * (self.shape.rows - 1) + self.shape.columns
        if not self.is_spread:
            return _line_s(self.datagrams + self.lacking, datagrams_per_s)
        sources = self.apart * (self.shape.k - 1) + self.shape.columns
        return max(_line_s(last, datagrams_per_s), _line_s(sources, datagrams_per_s) + SPAN_S)


@dataclass(frozen=True, slots=True)
class _Odds:
    """Probabilities that parts of a bundle fail, and the resulting one for the whole bundle."""

    whole: int  # slabs before the last
    slab: float  # that one of them fails in a pass
    tail: float  # that the last one does
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
def slab_failure(shape: Geometry, loss: Loss, apart: int = 0) -> float:
    """Probability that at least one block of a slab fails, whose rows are so far apart; 0: one behind the other.

    Bursts hit neighbouring blocks alike. The estimate uses what one neighbour tells about a block, and ignores what
    those further away would add, which errs on the safe side.
    """
    block = block_failure(shape, loss, apart)
    if loss.burst == 1 or shape.columns == 1 or block == 0:
        return _any_of(block, shape.columns)
    lost = _lost(shape, loss, 2, apart)
    fine, alone = float(lost[:-1].sum()), float(lost[:-1, -1].sum())  # one of two blocks survives; the other one fails
    if alone >= fine:
        return 1.0
    return _either(block, _any_of(alone / fine, shape.columns - 1))


def block_failure(shape: Geometry, loss: Loss, apart: int = 0) -> float:
    """Probability that a block loses more than its r symbols, which are so far apart; 0: as many as it has columns."""
    if loss.share == 0:
        return 0.0
    if loss.burst == 1:
        return binomial_tail(shape.rows, loss.share, shape.r)
    return float(_lost(shape, loss, 1, apart)[-1])


def _lost(shape: Geometry, loss: Loss, blocks: int, apart: int) -> Floats:
    """Distribution of symbols lost from each of 1 or 2 blocks side by side; the last entry of an axis: more than r."""
    good, bad = (np.zeros((shape.r + 2,) * blocks) for _ in range(2))
    good.flat[0], bad.flat[0] = 1 - loss.share, loss.share
    steps = [loss.memory((apart or shape.columns) - blocks + 1), loss.memory(1)][:blocks]
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


def _alone_s(full: Geometry, whole: int, tail: Tail | None, tables: int, files: int, datagrams_per_s: float) -> float:
    """A pass on a line that carries nothing else: manifest and tables, their gap, the lead, the data, and its gap."""
    gap_s = _line_s(full.burst_datagrams, datagrams_per_s)
    lead_s = max(min(COPY_GAP_S, LEAD_S), gap_s) + max(0.0, LEAD_S - COPY_GAP_S) + files * LEAD_PER_FILE_S
    whole_s = _line_s(whole * full.rows * full.columns + tables, datagrams_per_s)
    if tail is None or not tail.is_spread:
        whole_s += max(COPY_GAP_S, gap_s)
    return lead_s + whole_s + (tail.alone_s(datagrams_per_s) if tail else 0.0)


def _line_s(datagrams: int, datagrams_per_s: float) -> float:
    return datagrams / datagrams_per_s if datagrams_per_s else 0.0


def _objects(symbol_bytes: int, files: int, slabs: int) -> list[Slab]:
    """The slabs of the control objects: the manifest, which is one slab, and the tables."""
    full = object_geometry(symbol_bytes)
    return [
        slab_at(full, size, number, is_object=True)
        for size in (MANIFEST_BYTES, files * FILE_ENTRY_BYTES, slabs * DIGEST_BYTES)
        for number in range(slab_count(full, size))
    ]
