"""Refuses tar archives in which a reader of zip archives would find members that are in no member of the tar archive.

Readers of zip archives search from a file's end. If a member near the end of a tar archive is a zip archive, they find
it. That is lawful, since it is looked into as a member. But a zip directory may lie in one member and its end record in
another, or the record may state a place that is right only within the whole file. Then they find members that nobody
looked into.
"""

import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final, cast

from diode.content import zips
from diode.content.archives.sources import Window
from diode.content.reader import Reader
from diode.content.trouble import Trouble, UnsoundError

TAIL_BYTES: Final = 65_557 + 76  # in which readers look for end records, and what stands before one
_ENTRY: Final = b"PK\x01\x02"
_ENDS: Final = re.compile(rb"PK\x05\x06|PK\x06\x06")
# magic -> where the directory's size and place are, how long they are, how long the record is
_FIELDS: Final = {b"PK\x05\x06": (12, 16, 4, 22), b"PK\x06\x06": (40, 48, 8, 56)}
_BUDGET_BYTES: Final = 256 << 20

Extent = tuple[int, int]  # where a member begins, its size


def refuse_across(reader: Reader, extents: Sequence[Extent]) -> None:
    """Raise UnsoundError when a reader of zip archives finds one that is no member of this archive.

    ``extents`` are the (offset, size) pairs of the members that end in the last TAIL_BYTES of the file.
    """
    if not zips.is_archive(reader):
        return
    for at, length, places in _records(reader):
        inside = [(begin, size) for begin, size in extents if begin <= at and at + length <= begin + size]
        allowed = places[:1] if any(_is_archive(reader, extent, places[0]) for extent in inside) else ()
        if any(place not in allowed and reader.at(place, 4) == _ENTRY for place in places):
            raise UnsoundError("readers of zip archives find one in it that is no member", Trouble.POLYGLOT)


def _records(reader: Reader) -> Iterator[tuple[int, int, tuple[int, int]]]:
    """(where an end record is, its length, where its directory may be: right before it, or at the place it says)."""
    tail = reader.tail(TAIL_BYTES)
    begin = reader.size - len(tail)
    for found in _ENDS.finditer(tail):
        size_at, place_at, width, length = _FIELDS[found[0]]
        record = tail[found.start() : found.start() + length]
        size, place = (int.from_bytes(record[at : at + width], "little") for at in (size_at, place_at))
        at = begin + found.start()
        yield at, length, (max(at - size, 0), place)


def _is_archive(reader: Reader, extent: Extent, place: int) -> bool:
    """Whether a member is a zip archive by itself, which holds the directory at ``place``."""
    begin, size = extent
    window = cast("BinaryIO", Window(reader.file, begin, size))
    return begin <= place and zips.is_archive(Reader(window, size, _BUDGET_BYTES))
