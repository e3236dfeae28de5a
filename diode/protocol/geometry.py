"""How a stretch of bytes is laid out as a matrix of symbols (docs/wire-format.md, section "Slabs").

A slab has k rows of D symbols in stream order, then r rows of repair. Its last source row may lack symbols; they count
as zero and are not sent. The last slab of a stream keeps D and has a smaller k. If fewer than D symbols are left, it is
one row of as many columns. The same rule cuts manifests and tables.
"""

from dataclasses import dataclass
from typing import Final

from diode.protocol.sizes import MAX_COLUMNS, MAX_ROWS, MAX_SYMBOL_BYTES, Kind, is_symbol_size

OBJECT_MAX_K: Final = 64
WIDE_SYMBOL_BYTES: Final = 4096  # from this size on a row has 32 columns, so that a slab stays below 64 MiB
COPY_GAP_S: Final = 0.05  # at least, between two transmissions of something that one burst could take
LEAD_PER_FILE_S: Final = 30e-6  # between manifest and data, for each file that a receiver has to prepare
MAX_SLAB_BYTES: Final = MAX_ROWS * MAX_COLUMNS // 2 * MAX_SYMBOL_BYTES  # with repair: no slab takes more memory


@dataclass(frozen=True, slots=True)
class Profile:
    """A code rate: ``k`` source and ``r`` repair rows of a full slab."""

    name: str
    k: int
    r: int


PROFILES: Final = {
    p.name: p
    for p in (
        Profile("clean", 200, 10),
        Profile("standard", 200, 20),
        Profile("lossy", 192, 64),
        Profile("extreme", 128, 128),
    )
}


@dataclass(frozen=True, slots=True)
class Geometry:
    """The shape of one slab: ``k`` source rows and ``r`` repair rows of ``columns`` symbols, each of ``symbol_bytes``.

    Raises ValueError for a shape that no slab can have: row numbers stay below 256 and symbol numbers below 2^14.
    """

    symbol_bytes: int
    columns: int
    k: int
    r: int

    def __post_init__(self) -> None:
        if not (
            is_symbol_size(self.symbol_bytes)
            and 0 < self.columns <= MAX_COLUMNS
            and self.k > 0
            and self.r >= 0
            and self.rows <= MAX_ROWS
        ):
            raise ValueError(f"no slab has this shape: {self}")

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of symbols."""
        return self.columns * self.symbol_bytes

    @property
    def source_bytes(self) -> int:
        """Bytes of stream that a full slab of this shape holds."""
        return self.k * self.row_bytes

    @property
    def rows(self) -> int:
        """Number of rows, source and repair."""
        return self.k + self.r

    @property
    def burst_datagrams(self) -> int:
        """The longest burst of losses that a slab always survives, if its last row is full."""
        return self.r * self.columns


@dataclass(frozen=True, slots=True)
class Slab:
    """One slab of a stream: which bytes it holds and in what shape."""

    number: int
    offset: int
    length: int
    shape: Geometry

    @property
    def source_symbols(self) -> int:
        """Number of source symbols that carry bytes and are sent."""
        return -(-self.length // self.shape.symbol_bytes)

    @property
    def datagrams(self) -> int:
        """Number of datagrams in one transmission, including repair."""
        return self.source_symbols + self.shape.r * self.shape.columns


def columns_for(symbol_bytes: int) -> int:
    """The interleaving depth D of a full slab."""
    return 64 if symbol_bytes < WIDE_SYMBOL_BYTES else 32


def stream_geometry(symbol_bytes: int, profile: Profile) -> Geometry:
    """The shape of a full slab of a bundle's stream."""
    return Geometry(symbol_bytes, columns_for(symbol_bytes), profile.k, profile.r)


def object_geometry(symbol_bytes: int) -> Geometry:
    """The shape of a full slab of a manifest or table: k of at most 64, and twice as much repair as source."""
    return Geometry(symbol_bytes, columns_for(symbol_bytes), OBJECT_MAX_K, 2 * OBJECT_MAX_K)


def slab_count(full: Geometry, total_bytes: int) -> int:
    """The number of slabs that a stream of ``total_bytes`` is cut into."""
    return -(-total_bytes // full.source_bytes)


def slab_at(full: Geometry, total_bytes: int, number: int, *, is_object: bool = False) -> Slab:
    """Slab ``number`` of a stream of ``total_bytes``. This is the one rule for tails. Objects have r' = 2k'."""
    offset = number * full.source_bytes
    length = min(full.source_bytes, total_bytes - offset)
    if length <= 0 or number < 0:
        raise IndexError(f"slab {number} of a stream of {total_bytes} bytes")
    symbols = -(-length // full.symbol_bytes)
    columns = min(symbols, full.columns)
    k = -(-symbols // columns)
    r = 2 * k if is_object else full.r
    return Slab(number, offset, length, Geometry(full.symbol_bytes, columns, k, r))


def needs_repeats(slab: Slab, burst_datagrams: int) -> bool:
    """Whether one burst within the profile's budget can take more than repair gives back. Such a slab is sent again."""
    return slab.shape.burst_datagrams < burst_datagrams


def repair_sets(shape: Geometry) -> int:
    """The number of disjoint sets of r repair rows below row 256. Each pass sends another set until all were used."""
    return max(1, (MAX_ROWS - shape.k) // shape.r)


def repair_offset(shape: Geometry, pass_number: int) -> int:
    """The first repair row of a pass, counted from k."""
    return pass_number % repair_sets(shape) * shape.r


def sent_rows(kind: Kind, slab: Slab) -> int:
    """Number of rows that all passes together send of a slab: k and all repair sets; of objects, k and one set."""
    return slab.shape.k + slab.shape.r * (1 if kind == Kind.OBJECT else repair_sets(slab.shape))
