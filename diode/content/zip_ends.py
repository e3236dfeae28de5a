"""Finds every place where some reader would look for the directory of a zip archive. Nothing is decided here.

Readers search for an end record from the file's end. They disagree on where the directory begins: some (PyTorch) use
the offset that the record declares, others (Python, Info-ZIP) count its size back from the record, whatever stands
before the archive. They also disagree on whether a zip64 record counts, which is found by its locator or directly in
front of the end record.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from diode.content.reader import Reader

LOCAL: Final = b"PK\x03\x04"
ENTRY: Final = b"PK\x01\x02"
END: Final = b"PK\x05\x06"
END64: Final = b"PK\x06\x06"
LOCATOR: Final = b"PK\x06\x07"
DESCRIPTOR: Final = b"PK\x07\x08"
IN_ZIP64: Final = 0xFFFFFFFF
COUNT_IN_ZIP64: Final = 0xFFFF

_RECORD: Final = struct.Struct("<4s4H2IH")
_RECORD64: Final = struct.Struct("<4sQ2H2I4Q")
_LOCATOR: Final = struct.Struct("<4sIQI")
# the record and the longest comment are 65,557 bytes; Info-ZIP looks through 66,000, others through whole pages
_WINDOW_BYTES: Final = 72 << 10
_SCAN_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """A record that tells where a directory is: an end record, or a zip64 record in front of one.

    ``at`` is its own offset in the file. ``after`` is the offset at which it says that it ends, with its comment.
    """

    at: int
    after: int
    disk: int
    disk_of_directory: int
    count_here: int
    count: int
    size: int
    offset: int


@dataclass(frozen=True, slots=True)
class Locator:
    """A locator, which points to a zip64 record. ``at`` is its own offset in the file."""

    at: int
    disk: int
    offset: int
    disks: int


def end_records(reader: Reader) -> tuple[Record, ...]:
    """All end records that a reader might use, the last first. Those whose comment does not fit are included."""
    tail = reader.tail(_WINDOW_BYTES)
    begin, end, found = reader.size - len(tail), len(tail), []
    while (at := tail.rfind(END, 0, end)) >= 0:
        end = at + len(END) - 1
        if len(tail) - at >= _RECORD.size:
            _, *numbers, comment = _RECORD.unpack_from(tail, at)
            found.append(Record(begin + at, begin + at + _RECORD.size + comment, *numbers))
    return tuple(found)


def locator_of(reader: Reader, end: Record) -> Locator | None:
    """The zip64 locator directly in front of an end record; None when there is none."""
    if end.at < _LOCATOR.size:
        return None
    signature, *numbers = _LOCATOR.unpack(reader.at(end.at - _LOCATOR.size, _LOCATOR.size))
    return Locator(end.at - _LOCATOR.size, *numbers) if signature == LOCATOR else None


def zip64_records(reader: Reader, end: Record) -> tuple[Record, ...]:
    """The zip64 records that a reader might use with this end record.

    They are found by the locator, or directly in front of it, or directly in front of the end record.
    """
    places = [end.at - _LOCATOR.size - _RECORD64.size, end.at - _RECORD64.size]
    if locator := locator_of(reader, end):
        places.append(locator.offset)
    return tuple(record for at in sorted(set(places)) if (record := _zip64_at(reader, at)))


def places(reader: Reader, end: Record) -> tuple[int, ...]:
    """The offsets where some reader would look for the directory of this end record, and would find one."""
    ways = (end, *zip64_records(reader, end))
    offsets = {offset for way in ways for offset in (way.offset, way.at - way.size)}
    return tuple(offset for offset in sorted(offsets) if is_entry(reader, offset))


def declared(reader: Reader, end: Record) -> tuple[int, ...]:
    """Those of these offsets that the records state themselves."""
    ways = (end, *zip64_records(reader, end))
    return tuple(offset for offset in sorted({way.offset for way in ways}) if is_entry(reader, offset))


def is_empty(end: Record) -> bool:
    """Whether this end record by itself declares an archive without members."""
    return end.size == end.count == 0


def is_entry(reader: Reader, offset: int) -> bool:
    """Whether a directory may begin at ``offset``."""
    return 0 <= offset <= reader.size - len(ENTRY) and reader.at(offset, len(ENTRY)) == ENTRY


def all_of(reader: Reader, signatures: tuple[bytes, ...], begin: int, end: int) -> Iterator[int]:
    """The offsets of these four-byte signatures between ``begin`` and ``end``. Every byte is read once."""
    pattern = re.compile(b"|".join(map(re.escape, signatures)))
    carried = b""
    while begin < end and (fresh := reader.at(begin, min(_SCAN_BYTES, end - begin))):
        window = carried + fresh
        for hit in pattern.finditer(window):
            yield begin - len(carried) + hit.start()
        begin, carried = begin + len(fresh), window[-3:]


def first_of(reader: Reader, signatures: tuple[bytes, ...], begin: int, end: int) -> int:
    """The offset of the first of these signatures; -1 when there is none."""
    return next(all_of(reader, signatures, begin, end), -1)


def _zip64_at(reader: Reader, at: int) -> Record | None:
    if not 0 <= at <= reader.size - _RECORD64.size:
        return None
    data = reader.at(at, _RECORD64.size)
    if not data.startswith(END64):
        return None
    _, length, _, _, *numbers = _RECORD64.unpack(data)
    return Record(at, at + 12 + length, *numbers)
