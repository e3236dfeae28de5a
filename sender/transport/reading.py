"""Reads slabs of packed bundles from files that belong to others, and compares them with their signed digests.

A slab of a first pass may leave as it is read, while its files look as they did. All others are compared first. Either
way its rows leave before its repair is computed.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from blake3 import blake3

from diode.bundle.manifest import padded_manifest
from diode.errors import SourceError
from diode.formats.digest import DIGEST_BYTES
from diode.protocol.encoder import Fill, Slot, fill_from
from diode.protocol.geometry import Slab
from diode.protocol.sizes import Kind, ObjectType
from sender.pack.packed import MANIFEST_FILE, SLABS_FILE, load_packed
from sender.pack.sources import SourceFiles, map_file
from sender.transport.plan import Job, Plan

PIECE_BYTES: Final = 256 << 10  # hashed at once
READ_BYTES: Final = 1 << 20  # read at once, of a slab that is only compared; of one that leaves, its first part
MOST_BYTES: Final = 8 << 20  # of a part: fewer messages, when the line has enough to do


class Compared:
    """Which slabs of a bundle were compared with their digests since it was begun: one bit each."""

    def __init__(self, slabs: int) -> None:
        self._slabs = slabs
        self._bits = bytearray()

    def add(self, slab: int) -> None:
        """Note a slab."""
        self._bits = self._bits or bytearray(-(-self._slabs // 8))
        self._bits[slab // 8] |= 1 << slab % 8

    def __contains__(self, slab: int) -> bool:
        return bool(self._bits) and bool(self._bits[slab // 8] >> slab % 8 & 1)


class Bundle:
    """A packed bundle, opened for reading."""

    def __init__(self, folder: Path, plan: Plan, compared: Compared) -> None:
        self.plan = plan
        self._compared = compared
        self._sources = SourceFiles(folder, load_packed(folder.parent.parent, plan.bundle).manifest)
        self._digests = map_file(folder / SLABS_FILE)
        self._objects = {
            ObjectType.MANIFEST: padded_manifest((folder / MANIFEST_FILE).read_bytes(), plan.full.symbol_bytes),
            ObjectType.FILES: self._sources.table,
            ObjectType.SLABS: self._digests,
        }

    def fill(self, job: Job) -> Fill:
        """A function that writes the bytes of the slab that ``job`` names into a slot. It raises SourceError.

        A slab of the stream is compared with its digest then: times and sizes prove nothing.
        """
        slab = self.plan.slab(job)
        if job.kind == Kind.OBJECT:
            data = memoryview(self._objects[ObjectType(job.flags)])
            return fill_from(data[slab.offset : slab.offset + slab.length])
        if 0 < job.row < slab.shape.k:
            return lambda slot: self._fill_row(slot, slab, job.row)
        return lambda slot: self._fill(slot, slab)

    def reads(self, job: Job, slot: Slot, *, may_stream: bool) -> Iterator[int]:
        """Read the slab that ``job`` names into ``slot``, and yield how many symbols may leave. It raises SourceError.

        ``may_stream``: they leave as they are read, while the files look as they did. The slab is proven later.
        Otherwise it is compared before they leave.
        """
        slab, held = self.plan.slab(job), list[int]()
        size = slab.shape.symbol_bytes
        for first, end in _parts(slab):
            may_stream &= self._read(slot, slab, first * size, min(end * size, slab.length) - first * size)
            if may_stream:
                yield end
            else:
                held.append(end)
        if held:
            self._compare(slab, _digest_in(slot, slab.length))
            yield from held

    def prove(self, job: Job) -> None:
        """Read a slab and compare it with its digest, unless that was done. Raises SourceError."""
        slab, hasher = self.plan.slab(job), blake3()
        if slab.number in self._compared:
            return
        room = memoryview(bytearray(min(READ_BYTES, slab.length)))
        for at in range(0, slab.length, READ_BYTES):
            piece = room[: slab.length - at]
            self._sources.read(slab.offset + at, len(piece), partial(_places_in, piece))
            hasher.update(piece)
        self._compare(slab, hasher.digest())

    def _fill_row(self, slot: Slot, slab: Slab, row: int) -> None:
        """Read one source row after the first, which was compared with the whole slab, as each row of repair is."""
        at, size = row * slab.shape.row_bytes, slab.shape.row_bytes
        if not self._read(slot, slab, at, min(size, slab.length - at)):
            self._fill(slot, slab)

    def _fill(self, slot: Slot, slab: Slab) -> None:
        """Read a slab of the stream, and compare its digest before any of it leaves."""
        self._read(slot, slab, 0, slab.length)
        self._compare(slab, _digest_in(slot, slab.length))

    def _read(self, slot: Slot, slab: Slab, at: int, length: int) -> bool:
        """Read a stretch of a slab to its places. Returns whether its files look as they did."""
        return self._sources.read(slab.offset + at, length, lambda offset, most: slot.places(at + offset, most))

    def _compare(self, slab: Slab, digest: bytes) -> None:
        """Note that a slab has its signed digest. Raises SourceError if it has another."""
        signed = self._digests[slab.number * DIGEST_BYTES : (slab.number + 1) * DIGEST_BYTES]
        if digest != signed:
            where = self._sources.places(slab.offset, slab.length)
            raise SourceError(f"slab {slab.number} is not what was packed: somebody changed {where}")
        self._compared.add(slab.number)


def _parts(slab: Slab) -> Iterator[tuple[int, int]]:
    """First symbol and end of each part in which a slab leaves: the line waits for the first, then each is longer."""
    row, first = slab.shape.row_bytes, 0
    rows, most = max(1, READ_BYTES // row), max(1, MOST_BYTES // row)
    while first < slab.source_symbols:
        end = min(first + rows * slab.shape.columns, slab.source_symbols)
        yield first, end
        first, rows = end, min(2 * rows, most)


def _places_in(piece: memoryview, offset: int, length: int) -> list[memoryview]:
    return [piece[offset : offset + length]]


def _digest_in(slot: Slot, length: int) -> bytes:
    """BLAKE3 of the first ``length`` bytes that the symbols of a slot hold, gathered by pieces that a cache holds."""
    hasher, symbols = blake3(), slot.symbols
    size = symbols.shape[1]
    whole, rest = divmod(length, size)
    step = max(1, PIECE_BYTES // size)
    for first in range(0, whole, step):
        hasher.update(np.ascontiguousarray(symbols[first : min(first + step, whole)]))
    if rest:
        hasher.update(symbols[whole, :rest])
    return hasher.digest()
