"""What bytes are read from: a file, or a window into one. Nothing is copied."""

import os
from typing import Final, Protocol

CHUNK_BYTES: Final = 256 << 10  # what goes through memory at once
AHEAD_BYTES: Final = 64 << 10


class Source(Protocol):
    """Anything that can be read at any offset. Going back may be expensive."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to ``offset``, counted from the beginning."""
        ...

    def read(self, count: int, /) -> bytes:
        """The next bytes, ``count`` at most; none at the end."""
        ...


class Positioned:
    """Base of our own sources: it keeps the offset at which the next read begins."""

    _position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to ``offset``, counted from the beginning; other origins are not supported."""
        assert whence == os.SEEK_SET
        self._position = offset
        return offset


def is_cheap(source: Source) -> bool:
    """Whether going back costs nothing. It is expensive where a stream would have to be unpacked again."""
    return bool(getattr(source, "is_cheap", True))


class Window(Positioned):
    """``size`` bytes of another source from ``begin`` on; fewer when that source ends earlier."""

    def __init__(self, source: Source, begin: int, size: int) -> None:
        self.size = size
        self.is_cheap = is_cheap(source)
        self._source = source
        self._begin = begin

    def read(self, count: int, /) -> bytes:
        """The next bytes, ``count`` at most."""
        count = min(count, self.size - self._position)
        if count <= 0:
            return b""
        self._source.seek(self._begin + self._position)
        data = self._source.read(count)
        self._position += len(data)
        return data


class Ahead(Positioned):
    """Another source, read ahead of what is asked for, because headers and small members stand close together."""

    def __init__(self, source: Source) -> None:
        self.is_cheap = is_cheap(source)
        self.source = source
        self._begin = 0
        self._data = b""

    def read(self, count: int, /) -> bytes:
        """The next bytes, ``count`` at most."""
        at = self._position - self._begin
        if at < 0 or at + count > len(self._data):
            # what was read already is not read again: going back may be expensive
            rest = self._data[at:] if 0 <= at <= len(self._data) else b""
            wanted = max(count, AHEAD_BYTES) - len(rest)
            self._data = rest + read_all(self.source, self._position + len(rest), wanted)
            self._begin, at = self._position, 0
        data = self._data[at : at + count]
        self._position += len(data)
        return data


def read_all(source: Source, offset: int, count: int) -> bytes:
    """``count`` bytes from ``offset`` on; fewer where the source ends."""
    source.seek(offset)
    data = source.read(count)
    if len(data) == count or not data:
        return data
    pieces, missing = [data], count - len(data)
    while missing and (data := source.read(missing)):
        pieces.append(data)
        missing -= len(data)
    return b"".join(pieces)
