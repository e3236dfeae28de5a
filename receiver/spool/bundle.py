"""One bundle being received: its tables, and its files at their final places in a tree that only waits to be renamed.

Nothing is written here that is not signed: tables are checked against the manifest before they are read, slabs against
the slabs table before their bytes go to a file. What is given here to be checked and written lies in memory that no
other process can write.
"""

import hashlib
import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from blake3 import blake3

from diode.bundle.files import MAX_LINE_BYTES, FileEntry, parse_files
from diode.bundle.manifest import Table
from diode.bundle.opened import Opened
from diode.bundle.stream import FileIndex
from diode.errors import ContentError, IntegrityError, LostWritesError, ManifestError
from diode.formats.digest import DIGEST_BYTES, digest
from diode.protocol.geometry import Slab, object_geometry, slab_at, slab_count
from diode.protocol.handed_over import SlabKey
from diode.protocol.wire import Kind, ObjectType
from diode.storage.durable import WriteBack, drop_cache
from diode.storage.folder import Folder
from receiver.spool.disk import write_all
from receiver.spool.parking import ParkedSlabs

MANIFEST_FILE: Final = "manifest.dsse.json"
TABLE_FILES: Final = {ObjectType.FILES: "files.jsonl", ObjectType.SLABS: "slabs.bin"}
_READ_BYTES: Final = 1 << 20
_RESERVE_FROM: Final = 1 << 20


class _TableFile:
    """One table, collected slab by slab into a file, and trusted only when its digest is the manifest's."""

    def __init__(self, spool: Folder, path: str, size: int, blake3_hex: str, symbol_bytes: int) -> None:
        self._spool = spool
        self._path = path
        self.is_verified = False
        self._size = size
        self._expected = blake3_hex
        self._full = object_geometry(symbol_bytes)
        self._missing = set(range(slab_count(self._full, size)))

    def put(self, number: int, data: memoryview) -> list[int]:
        """Write one slab. Returns slabs to collect again: all of them when the whole has another digest."""
        if number not in self._missing:
            return []
        slab = slab_at(self._full, self._size, number, is_object=True)
        fd = self._spool.beneath(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _pwrite(fd, data[: slab.length], slab.offset)
        finally:
            os.close(fd)
        self._missing.remove(number)
        return self.check()

    def check(self) -> list[int]:
        """Verify the table when nothing is missing."""
        if self._missing:
            return []
        if not self._size:
            os.close(self._spool.beneath(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        self.is_verified = self._digest() == self._expected
        if self.is_verified:
            return []
        self._missing = set(range(slab_count(self._full, self._size)))
        return sorted(self._missing)

    def load(self) -> bool:
        """Take the file of an earlier run, if it is the whole table, on the disk."""
        with suppress(FileNotFoundError), self.open() as file:
            is_long = os.fstat(file.fileno()).st_size == self._size
            if is_long and self._digest(from_disk=True) == self._expected:
                self._missing.clear()
                self.is_verified = True
        return self.is_verified

    def open(self) -> BinaryIO:
        """Open it for reading."""
        return os.fdopen(self._spool.beneath(self._path, os.O_RDONLY), "rb")

    def _digest(self, *, from_disk: bool = False) -> str:
        hasher = blake3()
        with self.open() as file:
            if from_disk:
                drop_cache(file.fileno())
            while chunk := file.read(_READ_BYTES):
                hasher.update(chunk)
        return hasher.hexdigest()


class SpoolBundle:
    """A bundle with a verified manifest, in the folder of ``spool`` that is named by its id.

    Names in its tree are its signer's: they are resolved below the spool, and through no link.
    """

    def __init__(
        self,
        number: int,
        spool: Folder,
        opened: Opened,
        sealed: bytes,
        parked: ParkedSlabs,
        write_back: WriteBack | None = None,
    ) -> None:
        """``write_back``: opened before anything of the bundle was written to ``spool``; None: nothing was yet."""
        manifest = opened.manifest
        self.write_back = write_back or WriteBack(spool.path)
        self.number = number
        self.tree = spool.path / f"{number:016x}" / "tree"  # for messages, and for what only reads
        self._spool = spool
        self.manifest = manifest
        self.sealed = sealed
        self.opened = opened
        self.parked = parked
        self.target: Path | None = None  # where it was published, as soon as it was
        self.is_released = False  # by whoever had to; then it is not held any more
        self.is_said_published = False  # whether the audit log may say so already
        self.refusal: ContentError | None = None  # why it is refused, until the ledger says so
        self.is_document = False  # a trust document, which counts; wherever its folder goes
        self.stored = np.zeros(manifest.slabs.entries, dtype=np.bool_)
        self.unproven: set[int] = set()  # of them, those that only reading them from the disk can prove
        self._data = f"{number:016x}/tree/data"
        self._made: set[str] = set()
        self._open: tuple[int, int] | None = None
        self._index: FileIndex | None = None
        self._digests = b""
        self._tables = {kind: self._table(manifest.table(kind), name) for kind, name in TABLE_FILES.items()}

    @property
    def hex_id(self) -> str:
        """The bundle id as 16 hexadecimal digits."""
        return f"{self.number:016x}"

    @property
    def payload(self) -> bytes:
        """The manifest's canonical bytes."""
        return self.opened.payload

    @property
    def signer(self) -> str:
        """Ids of the keys that signed it."""
        return self.opened.signer

    @property
    def label(self) -> str:
        """As people call it."""
        return f"{self.manifest.channel}/{self.manifest.name}/{self.manifest.version}"

    @property
    def is_ready(self) -> bool:
        """Whether both tables are verified and read."""
        return self._index is not None

    @property
    def is_complete(self) -> bool:
        """Whether every slab is stored."""
        return self.is_ready and bool(self.stored.all())

    @property
    def missing(self) -> int:
        """How many slabs are not stored."""
        return int(np.count_nonzero(~self.stored))

    @property
    def stored_bytes(self) -> int:
        """Bytes of stream in stored slabs."""
        full = int(np.count_nonzero(self.stored)) * self.manifest.shape.geometry.source_bytes
        if len(self.stored) and self.stored[-1]:
            last = slab_at(self.manifest.shape.geometry, self.manifest.stream_bytes, len(self.stored) - 1)
            full -= self.manifest.shape.geometry.source_bytes - last.length
        return full

    @property
    def _symbol_bytes(self) -> int:
        return self.manifest.shape.symbol_bytes

    def slab(self, key: SlabKey) -> Slab:
        """The signed shape of a slab of this bundle."""
        if key.kind == Kind.DATA:
            return slab_at(self.manifest.shape.geometry, self.manifest.stream_bytes, key.number)
        size = self.manifest.table(ObjectType(key.flags)).size
        return slab_at(object_geometry(self._symbol_bytes), size, key.number, is_object=True)

    def is_whole(self, key: SlabKey) -> bool:
        """Whether a slab of data is parked with all its source symbols: it came before the tables."""
        return key.kind == Kind.DATA and self.parked.is_whole(key, self.slab(key).source_symbols)

    def put_table(self, kind: ObjectType, number: int, data: memoryview) -> list[int]:
        """Take one slab of a table; returns slabs of it to collect again."""
        return self._tables[kind].put(number, data)

    def maybe_read_tables(self, *, from_disk: bool = False) -> bool:
        """Read the tables once both are verified; True when that just happened. Raises ManifestError, PathError."""
        for table in self._tables.values():
            if not table.is_verified and from_disk:
                table.load()
            elif not table.is_verified:
                table.check()
        if self.is_ready or not all(table.is_verified for table in self._tables.values()):
            return False
        with self._tables[ObjectType.FILES].open() as file:
            entries = parse_files(_lines(file), self.manifest)
            self._index = FileIndex(_map(file), entries, self.manifest.files.entries)
        with self._tables[ObjectType.SLABS].open() as file:
            self._digests = file.read()
        return True

    def put_slab(self, number: int, data: memoryview) -> None:
        """Verify one slab by its signed digest and write it to its files. Raises IntegrityError."""
        if self.stored[number]:
            return
        if digest(data) != self._digests[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]:
            raise IntegrityError(f"slab {number} does not have its signed digest")
        assert self._index is not None
        offset = number * self.manifest.shape.geometry.source_bytes
        for piece in self._index.pieces(offset, len(data)):
            at = piece.stream_offset - offset
            _pwrite(self._file(piece.number, piece.entry), data[at : at + piece.length], piece.file_offset)
        self.stored[number] = True

    def is_there(self, number: int) -> bool:
        """Whether the files of a stored slab are still there and long enough."""
        assert self._index is not None
        slab = slab_at(self.manifest.shape.geometry, self.manifest.stream_bytes, number)
        pieces = self._index.pieces(slab.offset, slab.length)
        return all(self._size(piece.entry) >= piece.file_offset + piece.length for piece in pieces)

    def rehash(self, number: int) -> bool:
        """Whether a slab written before a power loss, or by an earlier run, is really there: on the disk, that is."""
        assert self._index is not None
        slab = slab_at(self.manifest.shape.geometry, self.manifest.stream_bytes, number)
        hasher = blake3()
        try:
            for piece in self._index.pieces(slab.offset, slab.length):
                with self.open_file(piece.entry) as file:
                    drop_cache(file.fileno(), piece.file_offset, piece.length)
                    hasher.update(os.pread(file.fileno(), piece.length, piece.file_offset))
        except OSError:
            return False
        return hasher.digest() == self._digests[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]

    def finish_tree(self, *, at_rest: bool) -> None:
        """Add what no slab holds, set executable bits, and see that every file is there; at rest, hash it once more.

        Raises IntegrityError naming the first file that is not what was signed.
        """
        assert self._index is not None
        self.close()
        self._make_folder("")
        for entry in self._index:
            if entry.is_directory:
                self._make_folder(entry.path.rstrip("/"))
            elif not entry.size:
                os.close(self._create(entry))
            elif self._size(entry) != entry.size:
                raise IntegrityError(f"{entry.path!r} was taken away or changed in the spool")
            if entry.executable:
                with self.open_file(entry) as file:
                    os.fchmod(file.fileno(), 0o755)  # as a package manager would install it
        if at_rest:
            self.sync()
            for entry in self._index:
                if not entry.is_directory:
                    self._check_file(entry)

    def sync(self) -> None:
        """All that was written of it is on the disk. Raises LostWritesError."""
        self.write_back.sync()
        lost = sorted(number for number in self.unproven if not self.rehash(number))
        if lost:
            raise LostWritesError(f"{len(lost)} slabs of {self.label} are not what was written, from slab {lost[0]} on")
        self.unproven.clear()

    def entries(self) -> Iterator[FileEntry]:
        """The lines of its files table."""
        assert self._index is not None
        yield from self._index

    def close(self) -> None:
        """Close the file that was written last."""
        if self._open is not None:
            os.close(self._open[1])
            self._open = None

    def remove(self) -> None:
        """Delete what is left in the spool."""
        self.close()
        self.write_back.close()
        with suppress(OSError):
            self._spool.remove(self.hex_id)

    def open_tree(self) -> Folder:
        """The folder that is published."""
        return self._spool.folders(f"{self.hex_id}/tree")

    def open_file(self, entry: FileEntry) -> BinaryIO:
        """Open a file of it for reading, unbuffered."""
        return os.fdopen(self._spool.beneath(self._place(entry), os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)

    def has(self, path: str) -> bool:
        """Whether something lies at a path in its folder."""
        try:
            os.close(self._spool.beneath(f"{self.hex_id}/{path}", os.O_PATH))
        except FileNotFoundError:
            return False
        return True

    def _table(self, table: Table, name: str) -> _TableFile:
        return _TableFile(self._spool, f"{self.hex_id}/{name}", table.size, table.blake3, self._symbol_bytes)

    def _size(self, entry: FileEntry) -> int:
        """Bytes of a file in the tree; -1 when it is not there."""
        try:
            fd = self._spool.beneath(self._place(entry), os.O_PATH)
        except OSError:
            return -1
        status = os.fstat(fd)
        os.close(fd)
        return status.st_size if stat.S_ISREG(status.st_mode) else -1

    def _check_file(self, entry: FileEntry) -> None:
        ours, theirs = blake3(), hashlib.sha256()
        with self.open_file(entry) as file:
            drop_cache(file.fileno())
            while chunk := file.read(_READ_BYTES):
                ours.update(chunk)
                theirs.update(chunk)
        if (ours.hexdigest(), theirs.hexdigest()) != (entry.blake3, entry.sha256):
            raise IntegrityError(f"{entry.path!r} does not have its signed digests at rest")

    def _file(self, index: int, entry: FileEntry) -> int:
        """Descriptor of a file being written; one is kept open, since slabs come in file order."""
        if self._open is None or self._open[0] != index:
            self.close()
            self._open = (index, self._create(entry))
        return self._open[1]

    def _create(self, entry: FileEntry) -> int:
        self._make_folder(entry.path.rpartition("/")[0])
        return self._spool.beneath(self._place(entry), os.O_WRONLY | os.O_CREAT, 0o644)

    def _place(self, entry: FileEntry) -> str:
        return f"{self._data}/{entry.path}"

    def _make_folder(self, path: str) -> None:
        if path not in self._made:
            with self._spool.folder(self.hex_id) as home:
                home.folders(f"tree/data/{path}", create=True, mode=0o777).close()
            self._made.add(path)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES:
            raise ManifestError("a line of the files table is too long")
        yield line


def _map(file: BinaryIO) -> memoryview:
    if not os.fstat(file.fileno()).st_size:
        return memoryview(b"")
    return memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))


def _pwrite(fd: int, data: memoryview, offset: int) -> None:
    """Write all of ``data``; a long piece has its room reserved first, in one stretch."""
    if len(data) >= _RESERVE_FROM:
        os.posix_fallocate(fd, offset, len(data))
    write_all(fd, data, offset)
