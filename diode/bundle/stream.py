"""Finds which files hold a stretch of a bundle's stream, without holding a million paths in memory."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from diode.bundle.files import FileEntry, read_line
from diode.bundle.times import Folders


class Piece(NamedTuple):
    """``length`` bytes of the stream from ``stream_offset`` on are bytes ``file_offset``.. of file ``number``."""

    number: int
    entry: FileEntry
    file_offset: int
    stream_offset: int
    length: int


class FileIndex:
    """Offsets of the lines of a files table, and of the files in the stream.

    ``table`` is kept by reference, not copied.

    ``entries`` are its parsed lines in order. They are consumed once; of them, ``links`` are kept. ``folders`` says how
    many folders have no line, the top among them. With ``finds_folders``, :meth:`is_folder` may be asked until
    :meth:`forget_folders`; a hash of each is kept for that.
    """

    def __init__(
        self, table: "memoryview | bytes", entries: Iterable[FileEntry], count: int, *, finds_folders: bool = False
    ) -> None:
        self._table = table
        self._lines = array("q", bytes(8 * (count + 1)))
        self._starts = array("q", bytes(8 * (count + 1)))
        self.links: list[FileEntry] = []
        self.folders = 1
        self._places: set[int] = set()  # of all folders
        line, start, above = 0, 0, Folders()
        for i, entry in enumerate(entries, 1):
            entered = list(above.enter(entry.path))
            self.folders += len(entered)
            if finds_folders:
                listed = [entry.path.rstrip("/")] if entry.is_directory else []
                self._places.update(map(hash, (*entered, *listed)))
            if entry.link is not None:
                self.links.append(entry)
            line += len(entry.line())
            start += entry.size
            self._lines[i], self._starts[i] = line, start

    def __len__(self) -> int:
        return len(self._lines) - 1

    def entry(self, index: int) -> FileEntry:
        """Line ``index`` of the table."""
        return read_line(bytes(self._table[self._lines[index] : self._lines[index + 1]]))

    def __iter__(self) -> Iterator[FileEntry]:
        return map(self.entry, range(len(self)))

    def has(self, path: str) -> bool:
        """Whether a line has this path."""
        index = bisect_left(range(len(self)), path.encode(), key=lambda i: self.entry(i).path.encode())
        return index < len(self) and self.entry(index).path == path

    def is_folder(self, path: str) -> bool:
        """Whether something lies below a path, or a line lists it as a folder."""
        return hash(path) in self._places

    def forget_folders(self) -> None:
        """Nobody asks for folders any more."""
        self._places = set()

    def start(self, index: int) -> int:
        """Where file ``index`` begins in the stream."""
        return self._starts[index]

    def pieces(self, offset: int, length: int) -> Iterator[Piece]:
        """The files that hold stream bytes ``offset .. offset + length``, in order; empty files are skipped."""
        index = bisect_right(self._starts, offset) - 1
        end = offset + length
        while offset < end:
            start, stop = self._starts[index], min(self._starts[index + 1], end)
            if stop > offset:
                yield Piece(index, self.entry(index), offset - start, offset, stop - offset)
                offset = stop
            index += 1
