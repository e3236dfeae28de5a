"""Reads stretches of a packed bundle's stream from the files that it was packed from, which belong to others.

Each file must have the inode, size and mtime that it had while it was hashed: before it is read, and after. This finds
most changes at once, and names the file. Another ctime alone is no reason to refuse it: a new hard link changes it, and
no content. Whoever reads is told of it, and compares the digests of slabs.
"""

import json
import mmap
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from diode.bundle.files import FileEntry, read_line
from diode.bundle.manifest import Manifest
from diode.bundle.stream import Piece
from diode.bundle.tables import read_files
from diode.errors import SourceError
from sender.outbox.scan import fingerprint, open_origin
from sender.pack.packed import FILES_FILE, SOURCES_FILE, STATS_FILE

MOST_NAMED: Final = 3
Places = Callable[[int, int], list[memoryview]]  # (offset in the stretch, length) -> where to put these bytes


class SourceFiles:
    """The files of the packed bundle in ``folder``. Raises OSError, ValueError or ManifestError for a damaged one."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.table = map_file(folder / FILES_FILE)
        self._origins: list[str] = json.loads((folder / SOURCES_FILE).read_text())
        self._stats = np.fromfile(folder / STATS_FILE, dtype=np.int64).reshape(-1, 4)
        lines = _lines(folder / FILES_FILE, manifest.lines_bytes)
        self._index = read_files(lines, memoryview(self.table), manifest).index

    def read(self, offset: int, length: int, places: Places) -> bool:
        """Read a stretch of the stream to where ``places`` says. Raises SourceError.

        Returns whether the ctime of its files is also what it was. If not, the caller compares digests.
        """
        is_untouched = True
        for piece in self._index.pieces(offset, length):
            is_untouched &= self._read_piece(piece, piece.stream_offset - offset, places)
        return is_untouched

    def places(self, offset: int, length: int) -> str:
        """Which bytes of which files a stretch is, for people; of many files the first MOST_NAMED."""
        pieces = list(self._index.pieces(offset, length))
        named = [
            f"bytes {piece.file_offset} to {piece.file_offset + piece.length} of {self._origins[piece.number]!r}"
            for piece in pieces[:MOST_NAMED]
        ]
        more = len(pieces) - MOST_NAMED
        return " or ".join(named) + (f", or {more} files more" if more > 0 else "")

    def _read_piece(self, piece: Piece, at: int, places: Places) -> bool:
        """Read the part of a stretch that lies in one file, to its place ``at`` bytes into the stretch."""
        origin, expected = self._origins[piece.number], tuple(self._stats[piece.number].tolist())
        try:
            with open_origin(origin) as file:
                before = fingerprint(os.fstat(file.fileno()))
                if before[:3] != expected[:3]:
                    raise SourceError(f"{origin!r} changed after it was hashed")
                done = 0
                while done < piece.length:
                    room = places(at + done, piece.length - done)
                    count = os.preadv(file.fileno(), room, piece.file_offset + done)
                    if not count:
                        raise SourceError(f"{origin!r} became shorter while it was sent")
                    done += count
                after = fingerprint(os.fstat(file.fileno()))
                if after[:3] != expected[:3]:
                    raise SourceError(f"{origin!r} changed while it was sent")
        except OSError as error:
            raise SourceError(f"{origin!r} cannot be read: {error.strerror}") from error
        return before == after == expected


def map_file(path: Path) -> "mmap.mmap | bytes":
    """A file of a packed bundle in memory, as far as it is looked at."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) if path.stat().st_size else b""


def _lines(path: Path, left_bytes: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(left_bytes):
            left_bytes -= len(line)
            yield line


class ShownFiles:
    """The files of a packed bundle, for people who decide about it: as its table has them, and as they lie there."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._table = folder / FILES_FILE
        self._lines_bytes = manifest.lines_bytes
        self._origins: list[str] = json.loads((folder / SOURCES_FILE).read_text())
        self._places: dict[str, str] = {}

    def entries(self) -> Iterator[FileEntry]:
        """Each file; links and folders have no bytes. Raises ManifestError."""
        for line in _lines(self._table, self._lines_bytes):
            entry = read_line(line)
            if entry.is_file:
                self._places[entry.path] = self._origins[len(self._places)]
                yield entry

    def open(self, entry: FileEntry) -> BinaryIO:
        """Open a file that :meth:`entries` gave. Raises OSError where it is gone, or cannot be the one in the table."""
        file = open_origin(self._places[entry.path])
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size != entry.size:
            file.close()
            raise OSError(0, "it changed")
        return file
