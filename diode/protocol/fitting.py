"""Repair that fits a small slab (docs/wire-format.md, section "Small slabs").

A slab of fewer rows needs fewer rows of repair to be as safe as a full one. Its rows are spread over the line, so that
one burst of losses takes no more rows than the slab can restore.

Rows are still numbered and accepted by r', the repair of the slab's shape. What is here only says which of them are
sent, and how far apart. Whoever receives need not know it.
"""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from diode.protocol.geometry import COPY_GAP_S, Geometry, Slab, needs_repeats, repair_sets

SPAN_S: Final = COPY_GAP_S  # at least, from the last source row to the last repair row
WORTH: Final = 8  # a slab is spread where that saves one datagram of so many

# By (k, r) of a full slab: the most source rows that 1, 2, 3 ... rows of repair serve. With them a slab fails no more
# often than a full one, or than once in 10^12, whatever share of datagrams is lost.
_SERVES: Final = {
    (200, 10): (
        0,
        0,
        0,
        2,
        12,
        29,
        56,
        93,
        141,
        200,
    ),
    (200, 20): (
        0,
        0,
        0,
        0,
        0,
        1,
        4,
        8,
        14,
        23,
        33,
        45,
        58,
        74,
        91,
        110,
        130,
        152,
        175,
        200,
    ),
    (192, 64): (
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        1,
        2,
        4,
        5,
        7,
        9,
        11,
        13,
        15,
        17,
        20,
        23,
        25,
        28,
        31,
        34,
        38,
        41,
        44,
        48,
        51,
        55,
        59,
        63,
        66,
        70,
        74,
        79,
        83,
        87,
        91,
        96,
        100,
        104,
        109,
        113,
        118,
        123,
        127,
        132,
        137,
        142,
        147,
        152,
        157,
        161,
        166,
        171,
        176,
        181,
        186,
        192,
    ),
    (128, 128): (
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        1,
        1,
        2,
        2,
        3,
        3,
        4,
        4,
        5,
        6,
        6,
        7,
        8,
        9,
        10,
        10,
        11,
        12,
        13,
        14,
        15,
        16,
        17,
        18,
        19,
        20,
        21,
        22,
        23,
        24,
        25,
        26,
        27,
        28,
        30,
        31,
        32,
        33,
        34,
        35,
        37,
        38,
        39,
        40,
        41,
        43,
        44,
        45,
        46,
        48,
        49,
        50,
        52,
        53,
        54,
        55,
        57,
        58,
        60,
        61,
        62,
        64,
        65,
        66,
        68,
        69,
        71,
        72,
        73,
        75,
        76,
        78,
        79,
        80,
        82,
        83,
        85,
        86,
        88,
        89,
        91,
        92,
        94,
        95,
        97,
        98,
        100,
        101,
        103,
        104,
        106,
        107,
        109,
        110,
        112,
        113,
        115,
        117,
        118,
        120,
        121,
        123,
        124,
        126,
        128,
    ),
}


@dataclass(frozen=True, slots=True)
class Spread:
    """How one slab is sent row by row: ``k`` source rows, then ``repair`` rows; ``burst`` is the profile's budget.

    Distances are in datagrams of the line, of any bundle, from the first datagram of a row to that of another.
    """

    k: int
    repair: int
    burst: int

    @property
    def rows(self) -> int:
        """Number of rows that are sent in one pass."""
        return self.k + self.repair

    @property
    def step(self) -> int:
        """Distance of neighbours, when nothing else takes the line."""
        return self.distance(1)

    def distance(self, rows: int) -> int:
        """The least distance of rows that are so many apart, rounded up."""
        return -(-self.burst * rows // self.repair)


def fitting_repair(full: Geometry, k: int) -> int:
    """How many rows of repair a slab of ``k`` source rows needs, to be as safe as a full slab of this shape."""
    serves = _SERVES.get((full.k, full.r))
    return full.r if serves is None else min(full.r, 1 + bisect_left(serves, k))


def spread_of(full: Geometry, slab: Slab) -> Spread | None:
    """How a slab of the stream is sent row by row; None where that saves too little, and it is sent in one go."""
    repair, shape = fitting_repair(full, slab.shape.k), slab.shape
    whole = slab.datagrams * (1 + needs_repeats(slab, full.burst_datagrams))
    spread = slab.source_symbols + repair * shape.columns
    return Spread(shape.k, repair, full.burst_datagrams) if WORTH * (whole - spread) >= whole else None


def fitting_offset(shape: Geometry, repair: int, pass_number: int) -> int:
    """The first repair row of a pass of a slab that is spread, counted from k. Receivers take rows of r' alike."""
    return pass_number % (repair_sets(shape) * shape.r // repair) * repair


def lacking(slab: Slab) -> int:
    """Places of the last source row that hold no symbol. A slab sent in one go has as many other datagrams there."""
    return slab.shape.k * slab.shape.columns - slab.source_symbols
