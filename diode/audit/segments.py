"""Finds and reads the files of an audit log: which segments there are, and where the chain ends in them.

A log is a folder of segments, ``audit-000001.jsonl`` and so on. This module only reads. It takes no lock: a caller that
needs a stable log holds the lock of the folder. Each check reads only a few lines at either end of a segment.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from diode.audit.chain import GENESIS, MAX_LINE_BYTES, Entry, LogCheckpoint, line_hash, read_line
from diode.errors import IntegrityError, StorageError

MAX_TORN_BYTES: Final = 2 * MAX_LINE_BYTES  # one write is one or two lines, as a rule short ones
_NAME: Final = re.compile(r"audit-([0-9]{6,12})\.jsonl")


class Tail(NamedTuple):
    """The end of a log: its newest segment, how many bytes of it are whole, the last entry, the torn bytes after it."""

    path: Path
    end: int
    head: LogCheckpoint
    torn: bytes


class End(NamedTuple):
    """The end of one segment."""

    whole_bytes: int
    head: LogCheckpoint | None  # of the chain there; None: no entry is among the last lines
    torn: bytes  # what follows


class Mark(NamedTuple):
    """The entry that was the last one when this process looked, and where its line ends. It must stay there."""

    path: Path
    end: int
    head: LogCheckpoint


def segment_path(folder: Path, number: int) -> Path:
    """The path of the segment with this number."""
    return folder / f"audit-{number:06d}.jsonl"


def segment_number(path: Path) -> int:
    """The number of a segment, from its file name; 0 when the file is no segment."""
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else 0


def segments(folder: Path) -> list[Path]:
    """The segments of a log in order. Raises OSError."""
    return sorted((path for path in folder.iterdir() if segment_number(path)), key=segment_number)


def first_moment(path: Path) -> str:
    """When the first entry of a segment was written. Empty: nobody can tell."""
    try:
        first = _first_entry(path)
    except IntegrityError:
        return ""
    return "" if first is None else first.at


def check_segments(paths: Sequence[Path]) -> None:
    """Raise IntegrityError unless these are segments 1, 2, ... and each begins where the one before ends."""
    head = LogCheckpoint(0, GENESIS)
    for expected, path in enumerate(paths, 1):
        if segment_number(path) != expected:
            raise IntegrityError(
                f"{path.parent}: segment {expected} is missing; it is put back, or the folder set aside"
            )
        first = _first_entry(path)
        if first is not None and (first.n, first.prev) != (head.n + 1, head.hash):
            raise IntegrityError(
                f"{path} does not go on where the segment before it ends; the folder is to be set aside"
            )
        if first is not None:
            head = end_of(path).head or head
        elif path != paths[-1]:
            raise IntegrityError(f"{path} holds no entry; it is put back as it was, or the folder set aside")


def find_tail(folder: Path) -> Tail:
    """Find where the chain ends. Raises StorageError when the last bytes are not the end of a chain, and OSError."""
    paths = segments(folder)
    newest = paths[-1] if paths else segment_path(folder, 1)
    for path in reversed(paths):
        end = end_of(path)
        if end.head is not None and len(end.torn) <= MAX_TORN_BYTES:
            if path != newest:
                return Tail(newest, 0, end.head, _read_all(newest))
            return Tail(path, end.whole_bytes, end.head, end.torn)
        if end.torn and (end.head is not None or len(end.torn) > MAX_TORN_BYTES or path != newest):
            raise StorageError(
                f"{path} does not end with an entry: the audit log is damaged, and nothing is decided without it; "
                f"keep the folder {folder} for whoever examines it, under another name, and start again"
            )
    return Tail(newest, 0, LogCheckpoint(0, GENESIS), _read_all(newest) if paths else b"")


def _first_entry(path: Path) -> Entry | None:
    """The entry in the first line. None: there is no whole line, as after a power loss."""
    with path.open("rb") as file:
        line = file.readline(MAX_LINE_BYTES + 1)
    if not line.endswith(b"\n"):
        return None
    try:
        return read_line(line[:-1])
    except IntegrityError as error:
        raise IntegrityError(f"{path}:1: {error}; the folder is to be set aside") from None


def line_of(paths: Sequence[Path], n: int) -> bytes | None:
    """The line of entry ``n`` without its newline, found by counting lines. None when there is no such entry."""
    for path in reversed(paths):
        first = _first_entry(path)
        if first is None or first.n > n:
            continue
        with path.open("rb") as file:
            for _ in range(n - first.n):
                if not file.readline(MAX_LINE_BYTES + 1).endswith(b"\n"):
                    return None
            line = file.readline(MAX_LINE_BYTES + 1)
        return line[:-1] if line.endswith(b"\n") else None
    return None


def state_of_segment(path: Path) -> tuple[Path, int, int, int]:
    """Path, inode, size and time of change. At least one of them changes whenever the segment is written."""
    status = path.stat()
    return path, status.st_ino, status.st_size, status.st_ctime_ns


def end_of(path: Path) -> End:
    """Find where the chain ends in one segment, by reading its last lines only."""
    size = path.stat().st_size
    start = max(0, size - 2 * MAX_TORN_BYTES)
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(size - start)
    end = data.rfind(b"\n") + 1
    while end:
        begin = data.rfind(b"\n", 0, end - 1) + 1
        if (begin or not start) and (head := _head_of(data[begin : end - 1], _line_before(data, begin, start))):
            return End(start + end, head, data[end:])
        end = begin
    return End(0, None, data)


def ends_with(mark: Mark) -> bool:
    """Whether the marked entry's line still ends at the same place, and the file ends there too."""
    start = max(0, mark.end - MAX_LINE_BYTES - 2)
    try:
        with mark.path.open("rb") as file:
            file.seek(start)
            data = file.read(mark.end - start)
    except FileNotFoundError:
        return False
    whole, _, rest = data.rpartition(b"\n")
    return rest == b"" and line_hash(whole.rpartition(b"\n")[2]) == mark.head.hash


def _line_before(data: bytes, begin: int, start: int) -> bytes | None:
    """The line that ends where another begins, if all of it is in ``data``, which is at ``start`` in its file."""
    before = data.rfind(b"\n", 0, max(0, begin - 1)) + 1
    return data[before : begin - 1] if begin and (before or not start) else None


def _head_of(line: bytes, before: bytes | None) -> LogCheckpoint | None:
    """The checkpoint at a line, if the line is an entry and follows the line ``before``."""
    try:
        entry = read_line(line)
    except IntegrityError:
        return None
    return LogCheckpoint(entry.n, line_hash(line)) if before is None or line_hash(before) == entry.prev else None


def _read_all(path: Path) -> bytes:
    """Content of a segment that is known to hold a torn line at most."""
    with path.open("rb") as file:
        return file.read(MAX_TORN_BYTES + 1)
