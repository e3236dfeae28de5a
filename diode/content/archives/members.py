"""What an archive's members look like to whoever looks into it."""

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
    """A member: its name as the archive spells it, its size, and its bytes for as long as ``source`` is entered.

    ``begin``: where it lies in the archive, as it is; -1: it does not.
    """

    name: str
    size: int
    source: AbstractContextManager[Source]
    begin: int = -1


@dataclass(frozen=True, slots=True)
class Unopened:
    """A member that is not looked into, and the word that counts it."""

    name: str
    why: str


Found = Opened | Unopened


def shown(name: str) -> str:
    """A name for people: escaped, and shortened in its middle where it is long."""
    text = ascii(name)
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME // 2]}...{text[-_MAX_NAME // 2 :]}"


def part(name: str, source: Ahead, begin: int, size: int, allowance: Allowance, crc: int | None = None) -> Opened:
    """A member that lies in the archive as it is; its checksum must be ``crc``, if there is one.

    It is a copy where it is small, a window where going back is free, else what is kept of it as of a stream.
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
    """A member that has to be unpacked. ``size``: what the archive says of it; what comes out must be as much."""
    unpacked = Unpacked(start, allowance)
    if size is not None and unpacked.size != size:
        unpacked.close()
        raise UnsoundError("its size is not what the archive says")
    return Opened(name, unpacked.size, unpacked)


def checked(pieces: Iterator[bytes], size: int, crc: int | None) -> Iterator[bytes]:
    """The same pieces; it raises UnsoundError where they are more or fewer than ``size``, or have another checksum."""
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
    """Raise UnsoundError for anything but zeros from ``offset`` to ``size``."""
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
