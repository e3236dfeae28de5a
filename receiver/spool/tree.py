"""The files of one bundle at their final places, in a tree that only waits to be renamed.

Names in the tree are its signer's: they are resolved below the spool, and through no link. Whoever writes here has
judged the bytes before, and holds them in memory that no other process can write.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final, NamedTuple

from blake3 import blake3

from diode.bundle.files import FileEntry
from diode.bundle.stream import FileIndex
from diode.bundle.times import folders_without_lines
from diode.errors import IntegrityError
from diode.protocol.geometry import Slab
from diode.storage.durable import drop_cache
from diode.storage.folder import Folder, make_link, set_modified
from receiver.spool.disk import write_reserved

LONG_BYTES: Final = 1 << 20  # of a stretch that the disk is told of as soon as it is written
_READ_BYTES: Final = 1 << 20


class Stretch(NamedTuple):
    """A stretch of a file. The descriptor is the tree's, and open until it writes another file."""

    fd: int
    offset: int
    length: int


class Tree:
    """The tree in the folder ``hex_id`` of ``spool``, of the files that ``index`` has."""

    def __init__(self, spool: Folder, hex_id: str, index: FileIndex, times: Sequence[int] = ()) -> None:
        """``times``: those of :mod:`diode.bundle.times`; where there are none, files keep those of being written."""
        self._spool = spool
        self._hex_id = hex_id
        self._index = index
        self._times = times
        self._data = f"{hex_id}/tree/data"
        self._made: set[str] = set()
        self._open: tuple[int, int] | None = None  # number and descriptor of the file that was written last

    def put(self, slab: Slab, data: memoryview) -> Stretch | None:
        """Write a slab of the stream to the files that it lies in. Returns the last stretch of them, if it is long."""
        stretch = None
        for piece in self._index.pieces(slab.offset, len(data)):
            at, fd = piece.stream_offset - slab.offset, self._file(piece.number, piece.entry)
            write_reserved(fd, data[at : at + piece.length], piece.file_offset)
            stretch = Stretch(fd, piece.file_offset, piece.length) if piece.length >= LONG_BYTES else None
        return stretch

    def has(self, slab: Slab) -> bool:
        """Whether the files that a slab lies in are there and long enough."""
        pieces = self._index.pieces(slab.offset, slab.length)
        return all(self._size(piece.entry) >= piece.file_offset + piece.length for piece in pieces)

    def maybe_digest(self, slab: Slab) -> bytes | None:
        """BLAKE3 of a slab as the disk has it, not the page cache; None: it cannot be read."""
        hasher = blake3()
        try:
            for piece in self._index.pieces(slab.offset, slab.length):
                with self.open_file(piece.entry) as file:
                    drop_cache(file.fileno(), piece.file_offset, piece.length)
                    hasher.update(os.pread(file.fileno(), piece.length, piece.file_offset))
        except OSError:
            return None
        return hasher.digest()

    def finish(self) -> None:
        """Add what no slab holds, set executable bits, and see that every file is there. Links and times come last.

        Raises IntegrityError naming the first file that is not as long as it was signed.
        """
        self.close()
        self._make_folder("")
        for entry in self._index:
            if entry.is_directory:
                self._make_folder(entry.path.rstrip("/"))
            elif not entry.is_file:
                continue
            elif not entry.size:
                os.close(self._create(entry))
            elif self._size(entry) != entry.size:
                raise IntegrityError(f"{entry.path!r} was taken away or changed in the spool")
            if entry.executable:
                with self.open_file(entry) as file:
                    os.fchmod(file.fileno(), 0o755)  # as a package manager would install it
        for entry in self._index.links:
            folder, _, name = entry.path.rpartition("/")
            self._make_folder(folder)
            with self._folder(folder) as above:
                make_link(above, name, entry.link or "")
        if self._times:
            self._set_times()

    def _set_times(self) -> None:
        count = len(self._index)
        for path, time_ns in zip((entry.path.rstrip("/") for entry in self._index), self._times, strict=False):
            self._set_time(path, time_ns)
        folders = folders_without_lines(entry.path for entry in self._index)
        for path, time_ns in zip(folders, self._times[count:], strict=True):
            self._set_time(path, time_ns)

    def _set_time(self, path: str, time_ns: int) -> None:
        folder, _, name = f"data/{path}".rstrip("/").rpartition("/")
        with self._spool.folders(f"{self._hex_id}/tree/{folder}".rstrip("/")) as above:
            set_modified(above, name, time_ns)

    def _folder(self, path: str) -> Folder:
        return self._spool.folders(f"{self._data}/{path}".rstrip("/"))

    def check(self) -> None:
        """Hash every file as the disk has it. Raises IntegrityError naming the first one that is not as signed."""
        for entry in self._index:
            if entry.is_file:
                self._check_file(entry)

    def entries(self) -> Iterator[FileEntry]:
        """The lines of its files table."""
        yield from self._index

    def close(self) -> None:
        """Close the file that was written last."""
        if self._open is not None:
            os.close(self._open[1])
            self._open = None

    def open_file(self, entry: FileEntry) -> BinaryIO:
        """Open a file of it for reading, unbuffered."""
        return os.fdopen(self._spool.beneath(self._place(entry), os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)

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
            with self._spool.folder(self._hex_id) as home:
                home.folders(f"tree/data/{path}", create=True, mode=0o777).close()
            self._made.add(path)
