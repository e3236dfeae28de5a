"""The vectors of ``repair/``: how many rows of repair a small slab is sent with (docs/wire-format.md, "Small slabs").

Probabilities are floating-point numbers here; where one is so near to its limit that rounding could decide, it is
computed again as a fraction.
"""

from fractions import Fraction
from functools import cache
from itertools import count
from math import comb
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tests.vectors.datagrams import Vector

Floats = NDArray[np.float64]

SHAPES: Final = {"clean": (200, 10), "standard": (200, 20), "lossy": (192, 64), "extreme": (128, 128)}
LOSSES: Final = [Fraction(n, 1000) for n in range(1, 21)] + [Fraction(n, 200) for n in range(5, 101)]
COLUMNS: Final = 64
RARE: Final = Fraction(1, 10**12)
LOG_FACTORIAL: Final = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, 257)))])
NEAR: Final = 1e-9  # much more than what rounding can do to such a sum


def block_fails(k: int, r: int, loss: Fraction) -> Fraction:
    """That a block loses more than its repair, exactly."""
    lost, all_ = loss.numerator, loss.denominator
    ways = sum(comb(k + r, j) * lost**j * (all_ - lost) ** (k + r - j) for j in range(r + 1, k + r + 1))
    return Fraction(ways, all_ ** (k + r))


def nearly(k: int, r: int) -> tuple[Floats, Floats]:
    """At each loss: that a block loses more than its repair, and that it does not."""
    n, j, p = k + r, np.arange(k + r + 1), np.array(LOSSES, float)[:, None]
    terms = np.exp(LOG_FACTORIAL[n] - LOG_FACTORIAL[j] - LOG_FACTORIAL[n - j] + j * np.log(p) + (n - j) * np.log1p(-p))
    return terms[:, r + 1 :].sum(axis=1), terms[:, : r + 1].sum(axis=1)


@cache
def rare_block() -> Fraction:
    """The largest probability of a block with which a slab of 64 fails at most once in 10^12: down to 2^-120."""
    low, high = 0, 1 << 120
    while high - low > 1:
        middle = (low + high) // 2
        fails = 1 - (1 - Fraction(middle, 1 << 120)) ** COLUMNS
        low, high = (middle, high) if fails <= RARE else (low, middle)
    return Fraction(low, 1 << 120)


def is_enough(k: int, r: int, full: tuple[int, int]) -> bool:
    """Whether a slab of k rows fails no more often than a full one, or than once in 10^12, at every loss."""
    (fails, stands), (limit, stands_full) = nearly(k, r), nearly(*full)
    limit = np.maximum(limit, float(rare_block()))
    is_safe = np.where(limit < 0.5, fails < limit, stands > stands_full)  # the smaller one is the more exact
    is_near = np.where(limit < 0.5, abs(fails / limit - 1), abs(stands / stands_full - 1)) < NEAR
    doubts = [LOSSES[n] for n in np.flatnonzero(is_near)]
    return bool(is_safe[~is_near].all()) and all(
        block_fails(k, r, loss) <= max(block_fails(*full, loss), rare_block()) for loss in doubts
    )


def repair_of(full: tuple[int, int]) -> list[int]:
    """Rows of repair for 1, 2, 3 ... source rows, up to a full slab."""
    found, least = [], 1
    for k in range(1, full[0] + 1):
        least = next(r for r in count(least) if r == full[1] or is_enough(k, r, full))
        found.append(least)
    return found


def repairs() -> dict[str, Vector]:
    """A file for each profile."""
    return {
        f"good_{name}": {
            "says": "rows of repair that are sent of a slab of 1, 2, 3 ... source rows",
            "k": k,
            "r": r,
            "repair": repair_of((k, r)),
        }
        for name, (k, r) in SHAPES.items()
    }
