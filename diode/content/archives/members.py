"""The types of an archive's members, and functions that make them for the walkers of each format."""

import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from typing import Final

from diode.content.allowance import Allowance
from diode.content.archives.sources import AHEAD_BYTES, CHUNK_BYTES, Ahead, Source, Window, read_all
from diode.content.archives.unpacked import Unpacked
from diode.content.trouble import Trouble, UnsoundError

SMALL_BYTES: Final = 1 << 20  # read at once
_OTHER_CHECKSUM: Final = "its checksum is not what the archive says"
_MAX_NAME: Final = 200  # characters of it in what is said


@dataclass(frozen=True, slots=True)
class Opened:
    """A member: its name as in the archive, its size, and its ``source``, which can be read while it is entered.

    ``begin`` is the offset in the archive of a member that lies there as it is; -1 for others.
    """

    name: str
    size: int
    source: AbstractContextManager[Source]
    begin: int = -1


@dataclass(frozen=True, slots=True)
class Unopened:
    """A member that is not looked into, and the word under which it is counted."""

    name: str
    why: str


Found = Opened | Unopened


def shown(name: str) -> str:
    """A name as it is shown to people: escaped, and shortened in its middle when it is long."""
    text = ascii(name)
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME // 2]}...{text[-_MAX_NAME // 2 :]}"


def part(name: str, source: Ahead, begin: int, size: int, allowance: Allowance, crc: int | None = None) -> Opened:
    """A member that lies in the archive as it is. Its checksum must be ``crc``, if one is given.

    A small one is copied. A larger one is a window, if going back in ``source`` is cheap; else it is treated as a
    stream.
    """
    if size <= (AHEAD_BYTES if source.is_cheap else SMALL_BYTES):
        data = read_all(source, begin, size)
        if len(data) < size:
            raise UnsoundError("it ends early")
        if crc is not None and zlib.crc32(data) != crc:
            raise UnsoundError(_OTHER_CHECKSUM)
        return Opened(name, size, BytesIO(data), begin)
    pieces = partial(_pieces, source, begin, size, crc)
    if source.is_cheap:
        if crc is not None:
            deque(pieces(), maxlen=0)
        return Opened(name, size, nullcontext(Window(source.source, begin, size)), begin)
    return replace(stream(name, pieces, allowance, size), begin=begin)


def stream(name: str, start: Callable[[], Iterator[bytes]], allowance: Allowance, size: int | None = None) -> Opened:
    """A member that has to be unpacked. Exactly ``size`` bytes must come out (None: any number)."""
    unpacked = Unpacked(start, allowance)
    if size is not None and unpacked.size != size:
        unpacked.close()
        raise UnsoundError("its size is not what the archive says")
    return Opened(name, unpacked.size, unpacked)


def checked(pieces: Iterator[bytes], size: int, crc: int | None) -> Iterator[bytes]:
    """Pass the pieces on. Raises UnsoundError when they are not ``size`` bytes in all, or have another checksum."""
    left, found = size, 0
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            break
        found = zlib.crc32(piece, found)
        yield piece
    if left:
        raise UnsoundError("more or less comes out of it than the archive says")
    if crc is not None and crc != found:
        raise UnsoundError(_OTHER_CHECKSUM)


def no_more_than(source: Source, offset: int, size: int, what: str) -> None:
    """Raise UnsoundError unless all bytes from ``offset`` to ``size`` are zero."""
    source.seek(offset)
    while offset < size:
        data = source.read(min(CHUNK_BYTES, size - offset))
        if not data or data.strip(b"\0"):
            raise UnsoundError(what, Trouble.AMBIGUOUS)
        offset += len(data)


def _pieces(source: Source, begin: int, size: int, crc: int | None) -> Iterator[bytes]:
    left, found = size, 0
    while left:
        data = read_all(source, begin + size - left, min(CHUNK_BYTES, left))
        if not data:
            raise UnsoundError("it ends early")
        left -= len(data)
        if crc is not None:
            found = zlib.crc32(data, found)
        yield data
    if crc is not None and crc != found:
        raise UnsoundError(_OTHER_CHECKSUM)
