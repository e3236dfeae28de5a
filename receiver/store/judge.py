"""Judges a bundle by signature and digest alone: first its manifest, then its tables, then its slabs of data.

Bytes come in under a name that the sender of the bytes chose, and a verdict goes out. Nothing here reads a file, a
ledger or a clock. Of what was judged, only digests are kept here: ``store`` keeps the bytes on disk, tests in memory.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from diode.bundle.manifest import Manifest, Table, bundle_id
from diode.bundle.opened import Opened
from diode.bundle.ref import hex_of
from diode.bundle.tables import Tables, read_files
from diode.errors import ExpiredError, ManifestError, TrustError
from diode.formats.digest import DIGEST_BYTES, digest
from diode.protocol.geometry import Slab, object_geometry, slab_at, slab_count
from diode.protocol.handed_over import SlabKey
from diode.protocol.sizes import Kind, ObjectType

Chunk = bytes | bytearray | memoryview
TABLES: Final = (ObjectType.FILES, ObjectType.SLABS)

Opener = Callable[[bytes], Opened]  # verifies an envelope; raises TrustError, ExpiredError, ManifestError


@dataclass(frozen=True, slots=True)
class ArrivedManifest:
    """A manifest under the bundle id of its datagrams, with the padding that it travels with."""

    number: int
    padded: bytes


@dataclass(frozen=True, slots=True)
class ArrivedSlab:
    """A slab of data. No other process can write the memory of ``data``; after the call it is the caller's again.

    ``blake3`` is of exactly these bytes, where they were hashed while they were copied.
    """

    number: int
    data: bytes | memoryview
    blake3: bytes | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """Enough of the right people signed this manifest, and it is the one of the bundle that it came for."""

    opened: Opened
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Rejected:
    """This manifest does not count. Anybody may have sent it, so it is not held against the bundle of that id."""

    number: int
    sealed: bytes
    error: TrustError | ExpiredError | ManifestError

    @property
    def hex_id(self) -> str:
        """The id that it came under, as 16 hexadecimal digits."""
        return hex_of(self.number)


@dataclass(frozen=True, slots=True)
class Genuine:
    """The content has its signed digest."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """The content does not have its signed digest. These slabs of it have to come again."""

    again: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Incomplete:
    """Slabs of a table are still to come, so nothing can be said of it."""


@dataclass(frozen=True, slots=True)
class Early:
    """A slab of data came before both tables were verified, so nothing can be said of it."""


@dataclass(frozen=True, slots=True)
class Redundant:
    """A slab of data is stored already."""


def judge_manifest(arrived: ArrivedManifest, open_sealed: Opener) -> Signed | Rejected:
    """Verify a manifest, and that it belongs to the bundle that it came for."""
    sealed = arrived.padded.rstrip(b"\0")
    try:
        opened = open_sealed(sealed)
        if bundle_id(opened.payload) != arrived.number:
            raise ManifestError("the manifest is another bundle's")
    except (TrustError, ExpiredError, ManifestError) as error:
        return Rejected(arrived.number, sealed, error)
    return Signed(opened, sealed)


class TableJudge:
    """One table: which of its slabs are still to come, and whether it is the one that was signed."""

    def __init__(self, table: Table, symbol_bytes: int) -> None:
        self.size = table.size
        self.is_verified = False
        self._blake3 = table.blake3
        self._full = object_geometry(symbol_bytes)
        self._missing = self._all()

    def slab(self, number: int) -> Slab:
        """The signed shape of a slab. Raises IndexError or ValueError when the table has no such slab."""
        return slab_at(self._full, self.size, number, is_object=True)

    def is_wanted(self, number: int) -> bool:
        """Whether a slab has not come yet."""
        return number in self._missing

    def came(self, number: int) -> None:
        """A slab lies at its place in the content that :meth:`judge` will be given."""
        self._missing.discard(number)

    def judge(self, content: Callable[[], Iterable[Chunk]]) -> Incomplete | Genuine | Wrong:
        """Judge the whole table, once all of its slabs came; ``content`` is called then, and gives it in order.

        A table with another digest has to come again as a whole, since its slabs have no digests of their own.
        """
        if self._missing:
            return Incomplete()
        if self._has_digest(content()):
            self.is_verified = True
            return Genuine()
        self._missing = self._all()
        return Wrong(tuple(sorted(self._missing)))

    def recognise(self, content: Iterable[Chunk]) -> None:
        """Take a whole table that an earlier run collected, if it is the one that was signed."""
        if self._has_digest(content):
            self._missing.clear()
            self.is_verified = True

    def _all(self) -> set[int]:
        return set(range(slab_count(self._full, self.size)))

    def _has_digest(self, content: Iterable[Chunk]) -> bool:
        hasher = blake3()
        for chunk in content:
            hasher.update(chunk)
        return hasher.hexdigest() == self._blake3


class BundleJudge:
    """One bundle whose manifest counts: which of its tables and slabs of data count, and which are still to come."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.tables = {kind: TableJudge(manifest.table(kind), manifest.shape.symbol_bytes) for kind in TABLES}
        self.stored: NDArray[np.bool_] = np.zeros(manifest.slabs.entries, dtype=np.bool_)
        self._digests: bytes | None = None

    @property
    def are_tables_verified(self) -> bool:
        """Whether both tables are the ones that were signed."""
        return all(table.is_verified for table in self.tables.values())

    @property
    def is_ready(self) -> bool:
        """Whether both tables were read: only then a slab of data can be judged."""
        return self._digests is not None

    @property
    def is_complete(self) -> bool:
        """Whether every slab of data is stored."""
        return self.is_ready and bool(self.stored.all())

    @property
    def missing(self) -> int:
        """How many slabs of data are not stored."""
        return int(np.count_nonzero(~self.stored))

    @property
    def stored_bytes(self) -> int:
        """Bytes of the stream in stored slabs."""
        full = self.manifest.shape.geometry.source_bytes
        total = int(np.count_nonzero(self.stored)) * full
        if len(self.stored) and self.stored[-1]:
            total -= full - self.data_slab(len(self.stored) - 1).length
        return total

    def slab(self, key: SlabKey) -> Slab:
        """The signed shape of a slab of data or of a table. Raises IndexError or ValueError when there is none."""
        return self.data_slab(key.number) if key.kind == Kind.DATA else self.table(key).slab(key.number)

    def data_slab(self, number: int) -> Slab:
        """The signed shape of a slab of data. Raises IndexError or ValueError when there is none."""
        return slab_at(self.manifest.shape.geometry, self.manifest.stream_bytes, number)

    def table(self, key: SlabKey) -> TableJudge:
        """The table that a slab belongs to."""
        return self.tables[ObjectType(key.flags)]

    def read_tables(self, lines: Iterable[bytes], files: memoryview | bytes, digests: bytes) -> Tables:
        """Read both verified tables. ``lines`` are those of the object ``files``. It is ready then.

        Raises ManifestError or PathError: then the bundle breaks the rules, and never becomes ready.
        """
        assert self.are_tables_verified
        tables = read_files(lines, files, self.manifest)
        self._digests = digests
        return tables

    def judge_slab(self, arrived: ArrivedSlab) -> Early | Redundant | Genuine | Wrong:
        """Judge one slab of data. What is genuine counts as stored after :meth:`note_stored`."""
        if self.stored[arrived.number]:
            return Redundant()
        if not self.is_ready:
            return Early()
        found = digest(arrived.data) if arrived.blake3 is None else arrived.blake3
        return Genuine() if found == self.signed_digest(arrived.number) else Wrong((arrived.number,))

    def signed_digest(self, number: int) -> bytes:
        """The digest that a slab of data was signed with."""
        assert self._digests is not None
        return self._digests[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]

    def note_stored(self, *numbers: int) -> None:
        """These slabs of data lie at their places."""
        self.stored[list(numbers)] = True

    def note_lost(self, number: int) -> None:
        """A slab of data is not stored after all."""
        self.stored[number] = False
