"""One bundle being received: its tables, and its files at their final places in a tree that only waits to be renamed.

Nothing is written here that is not signed: tables are checked against the manifest before they are read, slabs against
the slabs table before their bytes go to a file.
"""

import hashlib
import mmap
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from blake3 import blake3

from diode.assembler import SlabKey
from diode.digest import DIGEST_BYTES, digest
from diode.durable import sync_file_system
from diode.errors import IntegrityError, ManifestError
from diode.files import FileIndex
from diode.geometry import Slab, object_geometry, slab_at, slab_count
from diode.manifest import MAX_LINE_BYTES, FileEntry, parse_files
from diode.trust import Opened
from diode.wire import Kind, ObjectType
from receiver.disk import write_all
from receiver.parking import ParkedSlabs

MANIFEST_FILE: Final = "manifest.dsse.json"
TABLE_FILES: Final = {ObjectType.FILES: "files.jsonl", ObjectType.SLABS: "slabs.bin"}
_READ_BYTES: Final = 1 << 20
_RESERVE_FROM: Final = 1 << 20


class _TableFile:
    """One table, collected slab by slab into a file, and trusted only when its digest is the manifest's."""

    def __init__(self, path: Path, size: int, blake3_hex: str, symbol_bytes: int) -> None:
        self.path = path
        self.is_verified = False
        self._size = size
        self._expected = blake3_hex
        self._full = object_geometry(symbol_bytes)
        self._missing = set(range(slab_count(self._full, size)))

    def put(self, number: int, data: memoryview) -> list[int]:
        """Write one slab. Returns slabs to collect again: all of them when the whole has another digest."""
        if number not in self._missing:
            return []
        mode = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        fd = os.open(self.path, mode, 0o600)
        try:
            _pwrite(fd, data, slab_at(self._full, self._size, number, is_object=True).offset)
        finally:
            os.close(fd)
        self._missing.remove(number)
        return self.check()

    def check(self) -> list[int]:
        """Verify the table when nothing is missing."""
        if self._missing:
            return []
        if not self._size:
            self.path.write_bytes(b"")
        self.is_verified = self._digest() == self._expected
        if self.is_verified:
            return []
        self._missing = set(range(slab_count(self._full, self._size)))
        return sorted(self._missing)

    def load(self) -> bool:
        """Take the file of an earlier run, if it is the whole table."""
        if self.path.exists() and self.path.stat().st_size == self._size and self._digest() == self._expected:
            self._missing.clear()
            self.is_verified = True
        return self.is_verified

    def _digest(self) -> str:
        hasher = blake3()
        with self.path.open("rb") as file:
            while chunk := file.read(_READ_BYTES):
                hasher.update(chunk)
        return hasher.hexdigest()


class SpoolBundle:
    """A bundle with a verified manifest, in ``folder`` of the spool."""

    def __init__(
        self,
        number: int,
        folder: Path,
        opened: Opened,
        sealed: bytes,
        parked: ParkedSlabs,
    ) -> None:
        manifest = opened.manifest
        self.number = number
        self.folder = folder
        self.tree = folder / "tree"
        self.manifest = manifest
        self.sealed = sealed
        self.opened = opened
        self.parked = parked
        self.target: Path | None = None  # where it was published, as soon as it was
        self.is_released = False  # by whoever had to; then it is not held any more
        self.is_said_published = False  # whether the audit log may say so already
        self.stored = np.zeros(manifest.slabs.entries, dtype=np.bool_)
        self._data = self.tree / "data"
        self._made: set[str] = set()
        self._open: tuple[int, int] | None = None
        self._index: FileIndex | None = None
        self._digests = b""
        self._tables = {
            kind: _TableFile(folder / name, manifest.table(kind).size, manifest.table(kind).blake3, self._symbol_bytes)
            for kind, name in TABLE_FILES.items()
        }

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
        path = self._tables[ObjectType.FILES].path
        entries = parse_files(_lines(path), self.manifest)
        self._index = FileIndex(_map(path), entries, self.manifest.files.entries)
        self._digests = self._tables[ObjectType.SLABS].path.read_bytes()
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
        """Whether a slab written before a power loss is really there."""
        assert self._index is not None
        slab = slab_at(self.manifest.shape.geometry, self.manifest.stream_bytes, number)
        hasher = blake3()
        try:
            for piece in self._index.pieces(slab.offset, slab.length):
                with open(self._place(piece.entry), "rb") as file:
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
                os.chmod(self._place(entry), 0o755)  # noqa: S103 - as a package manager would install it
        if at_rest:
            sync_file_system(self.tree)
            for entry in self._index:
                if not entry.is_directory:
                    self._check_file(entry)

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
        shutil.rmtree(self.folder, ignore_errors=True)

    def _size(self, entry: FileEntry) -> int:
        """Bytes of a file in the tree; -1 when it is not there."""
        try:
            status = os.stat(self._place(entry), follow_symlinks=False)
        except OSError:
            return -1
        return status.st_size if stat.S_ISREG(status.st_mode) else -1

    def _check_file(self, entry: FileEntry) -> None:
        ours, theirs = blake3(), hashlib.sha256()
        with open(self._place(entry), "rb") as file:
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
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(self._place(entry), flags, 0o644)

    def _place(self, entry: FileEntry) -> str:
        return f"{self._data}/{entry.path}"

    def _make_folder(self, path: str) -> None:
        if path not in self._made:
            (self._data / path).mkdir(parents=True, exist_ok=True)
            self._made.add(path)


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES + 1):
            if len(line) > MAX_LINE_BYTES:
                raise ManifestError("a line of the files table is too long")
            yield line


def _map(path: Path) -> memoryview:
    with path.open("rb") as file:
        if not path.stat().st_size:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))


def _pwrite(fd: int, data: memoryview, offset: int) -> None:
    """Write all of ``data``; a long piece has its room reserved first, in one stretch."""
    if len(data) >= _RESERVE_FROM:
        os.posix_fallocate(fd, offset, len(data))
    write_all(fd, data, offset)
