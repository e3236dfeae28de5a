"""Limits slabs of bundles whose manifest is not verified yet: how large one may be, and how many are kept.

What these datagrams say is not signed. So a shape that they claim is bounded before memory is allocated, and when there
are too many such slabs, the oldest is given up first.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, NamedTuple

from diode.formats.names import MAX_MANIFEST_BYTES
from diode.protocol.geometry import OBJECT_MAX_K, Geometry, columns_for
from diode.protocol.handed_over import SlabKey
from diode.protocol.sizes import MAX_ROWS, Kind, ObjectType

MAX_EARLY_SLABS: Final = 4096


class Claim(NamedTuple):
    """What a header says must be kept for a slab: its ``shape``, and its ``length`` in bytes where k tells it."""

    shape: Geometry
    length: int | None

    @property
    def size_bytes(self) -> int:
        """Bytes of memory for its symbols."""
        return self.shape.rows * self.shape.row_bytes


def claimed(key: SlabKey, symbol_bytes: int, columns: int, k: int) -> Claim | None:
    """The largest slab that fits such a header; None when no sender makes such a header."""
    if columns > columns_for(symbol_bytes):
        return None
    length, rows = None, MAX_ROWS
    if key.kind == Kind.OBJECT:
        rows = 3 * k
        if k > OBJECT_MAX_K:
            return None
        if key.flags == ObjectType.MANIFEST:
            length = k * columns * symbol_bytes
            if key.number or length > MAX_MANIFEST_BYTES + columns * symbol_bytes:
                return None
    return Claim(Geometry(symbol_bytes, columns, k, rows - k), length)


class EarlySlabs:
    """The keys and sizes of early slabs, oldest first, within ``most_bytes`` and MAX_EARLY_SLABS. It owns no memory."""

    def __init__(self, most_bytes: int) -> None:
        self.used_bytes = 0
        self._most_bytes = most_bytes
        self._sizes: OrderedDict[SlabKey, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[SlabKey]:
        return iter(self._sizes)

    def add(self, key: SlabKey, size_bytes: int) -> None:
        """Count a slab that has begun."""
        self._sizes[key] = size_bytes
        self.used_bytes += size_bytes

    def discard(self, key: SlabKey) -> None:
        """Do not count this slab any more: it was given up, or its manifest is verified now."""
        self.used_bytes -= self._sizes.pop(key, 0)

    def oldest(self) -> SlabKey | None:
        """The slab to give up first; None when there is none."""
        return next(iter(self._sizes), None)

    def is_full(self, size_bytes: int) -> bool:
        """Whether a slab must be given up before another of ``size_bytes`` can begin."""
        return len(self._sizes) >= MAX_EARLY_SLABS or self.used_bytes + size_bytes > self._most_bytes
