"""One bundle while it is brought: each slab is read from the medium once, judged in memory, and handed over from there.

What the ledger has as stored is not read at all. So an import goes on after it was interrupted, joins a bundle that the
link is bringing, and takes from a second medium what the first one had damaged.
"""

import errno
import mmap
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from blake3 import blake3

from diode.bundle.manifest import Manifest, Table, bundle_id
from diode.bundle.medium import TABLE_FILES, part_with
from diode.bundle.opened import Opened
from diode.bundle.ref import hex_of
from diode.errors import IncompleteError, IntegrityError, StorageError, UsageError
from diode.formats.digest import DIGEST_BYTES, digest
from diode.formats.names import TRUST_CHANNEL
from diode.protocol.geometry import Slab, object_geometry, slab_at, slab_count
from diode.protocol.handed_over import SlabKey
from diode.protocol.resend_codes import Range, ranges_of
from diode.protocol.sizes import Kind, ObjectType
from receiver.ledger.ledgers import LedgerView
from receiver.media.handing import Handing
from receiver.media.medium import OnMedium

ROUNDS: Final = 3  # what a daemon that was replaced had not taken yet is handed over once more
GONE: Final = (errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOTCONN)
MOST_UNREADABLE: Final = 16  # slabs in a row: then it is the medium that fails
MOST_NAMED: Final = 8

Show = Callable[[Manifest, int, str], None]  # (manifest, bytes of it that are stored, what is done)


class Bringing:
    """One bundle while it is brought: its folder on the medium, and what the ledger still lacks of it."""

    def __init__(
        self, on_medium: OnMedium, opened: Opened, sealed: bytes, ledger: LedgerView, handing: Handing, show: Show
    ) -> None:
        self.opened = opened
        self.manifest = opened.manifest
        self.number = bundle_id(opened.payload)
        self._on_medium = on_medium
        self._sealed = sealed
        self._ledger = ledger
        self._handing = handing
        self._show = show
        self._digests = b""
        self._unreadable = 0  # slabs in a row

    @property
    def hex_id(self) -> str:
        """The bundle id as 16 hexadecimal digits."""
        return hex_of(self.number)

    def close(self) -> None:
        """Close what is open on the medium."""
        self._on_medium.close()

    def check(self) -> list[str]:
        """Names, sizes, and the table of slabs. Returns which parts are missing or too short. Raises ContentError."""
        lacking = self._on_medium.check(self.manifest)
        with suppress(FileNotFoundError):
            self._digests = self._on_medium.read_table(TABLE_FILES[ObjectType.SLABS], 0, self.manifest.slabs.size)
        tables = [name for name in TABLE_FILES.values() if name in lacking]
        if tables or digest(self._digests).hex() != self.manifest.slabs.blake3:
            raise IntegrityError(
                f"{self.manifest.label}: {tables[0] if tables else TABLE_FILES[ObjectType.SLABS]} on this medium is "
                "missing or damaged, and without it nothing can be judged; nothing was begun"
            )
        return lacking

    def missing_bytes(self) -> int:
        """Bytes of the stream that are not stored."""
        return sum(self._slab(first).length * (end - first) for first, end in self._missing())

    def give_manifest(self) -> None:
        """Hand over the manifest, and wait until the daemon has judged it."""
        self._handing.give(SlabKey(self.number, Kind.OBJECT, ObjectType.MANIFEST, 0), self._sealed)
        self._handing.wait()

    def bring_tables(self) -> None:
        """Hand over both tables. Raises IntegrityError unless data is stored already: then the daemon has them."""
        for kind, name in TABLE_FILES.items():
            if not self._bring_table(kind, name) and not self._ledger.slabs.count(self.hex_id):
                raise IntegrityError(
                    f"{self.manifest.label}: {name} on this medium is not what was signed; nothing of it is kept: use "
                    "another medium, or the link"
                )
        self._handing.wait()

    def bring_data(self, lacking: list[str]) -> None:
        """Hand over each slab that is not stored. Raises IncompleteError naming what this medium has not as signed."""
        wrong: set[int] = set()
        for _ in range(ROUNDS):
            wanted = [n for first, end in self._missing() for n in range(first, end) if n not in wrong]
            if not wanted or self._is_kept():
                break
            wrong |= self._bring_slabs(wanted)
            if self.manifest.channel == TRUST_CHANNEL:
                break  # the ledger may not say what is stored of it
        if wrong:
            raise IncompleteError(self._what_is_wrong(wrong, lacking))
        if self.manifest.channel != TRUST_CHANNEL and not self._is_kept():
            raise StorageError(
                f"the daemon has not kept all of {self.manifest.label}: its log says why; what was taken is kept, and "
                "'diode-receiver import' goes on after it"
            )

    def _bring_table(self, kind: ObjectType, name: str) -> bool:
        """Hand over one table; whether it was the one that was signed."""
        table, hasher = self.manifest.table(kind), blake3()
        for slab in _slabs_of(table, self.manifest.shape.symbol_bytes):
            data = self._on_medium.read_table(name, slab.offset, slab.length)
            hasher.update(data)
            self._handing.give(SlabKey(self.number, Kind.OBJECT, kind, slab.number), data)
        return hasher.hexdigest() == table.blake3

    def _bring_slabs(self, wanted: list[int]) -> set[int]:
        """Hand over these slabs; returns those that this medium has not as signed."""
        room = memoryview(mmap.mmap(-1, self.manifest.shape.geometry.source_bytes))
        wrong: set[int] = set()
        part = None
        for number in wanted:
            if part is None or number >= part.end:
                part = part_with(self.manifest, number)
                self._check_same()
            slab = self._slab(number)
            data = room[: slab.length]
            if self._is_read(number, data):
                self._handing.give(SlabKey(self.number, Kind.DATA, 0, number), data)
            else:
                wrong.add(number)
            self._show(self.manifest, slab.offset + slab.length, "from the medium")
        self._handing.wait()
        return wrong

    def _is_read(self, number: int, data: memoryview) -> bool:
        """Whether the medium gave a slab as it was signed, into ``data``. Raises OSError when it is gone."""
        part, slab = part_with(self.manifest, number), self._slab(number)
        try:
            count = self._on_medium.read(part, slab.offset - part.offset, data)
        except FileNotFoundError:
            return False  # a part that was not there when its names were looked at, either
        except OSError as error:
            self._unreadable += 1
            if error.errno in GONE or self._unreadable >= MOST_UNREADABLE:
                raise
            return False
        self._unreadable = 0
        return count == len(data) and digest(data) == self._digests[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]

    def _check_same(self) -> None:
        """Raise UsageError when another medium answers by now."""
        if self._on_medium.read_manifest() != self._sealed:
            raise UsageError(f"another medium was put in while {self.manifest.label} was read; what was taken is kept")

    def _what_is_wrong(self, wrong: set[int], lacking: list[str]) -> str:
        ranges = ranges_of(sorted(wrong))
        named = ", ".join(f"{first}-{end - 1}" if end - first > 1 else f"{first}" for first, end in ranges[:MOST_NAMED])
        more = " and more" if len(ranges) > MOST_NAMED else ""
        files = f" (missing or too short: {', '.join(lacking[:MOST_NAMED])})" if lacking else ""
        return (
            f"{self.manifest.label}: this medium has not as signed: slabs {named}{more}{files}; all others are kept. "
            "Import another medium, or have them sent: diode-receiver missing"
        )

    def _is_kept(self) -> bool:
        """Whether nothing is missing, or the bundle is over: then the ledger has forgotten its slabs."""
        row = self._ledger.bundles.get(self.hex_id)
        return row is not None and (row.state != "receiving" or not self._missing())

    def _missing(self) -> tuple[Range, ...]:
        return self._ledger.slabs.missing(self.hex_id, self.manifest.slabs.entries)

    def _slab(self, number: int) -> Slab:
        return slab_at(self.manifest.shape.geometry, self.manifest.stream_bytes, number)


def _slabs_of(table: Table, symbol_bytes: int) -> Iterator[Slab]:
    full = object_geometry(symbol_bytes)
    for number in range(slab_count(full, table.size)):
        yield slab_at(full, table.size, number, is_object=True)
