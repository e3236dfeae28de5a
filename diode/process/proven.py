"""Reads a file piece by piece, and compares each piece with its digest, so that exactly the signed bytes are judged.

A check of times and size is not enough: a process that has mapped a file for writing can change its bytes, and on tmpfs
neither the times nor the size change.
"""

import errno
import io
import os
from collections.abc import Callable
from typing import Any, BinaryIO, Final, Protocol

from diode.formats.digest import DIGEST_BYTES, digest

_BUFFER_BYTES: Final = 64 << 10


class Digests(Protocol):
    """The digests of all pieces, one after another: bytes, or a mapping of them."""

    def __getitem__(self, part: slice, /) -> bytes:
        """A stretch of them."""


def prove(
    raw: BinaryIO,
    size: int,
    digests: Digests,
    piece_bytes: int,
    refuse: Callable[[], Exception],
    tick: Callable[[int], None] = lambda _: None,
) -> BinaryIO:
    """Make a reader of ``raw``, which claims to be a file of ``size`` bytes with these ``digests``.

    ``raw`` stays the caller's.

    A read of a piece with another digest raises the exception that ``refuse`` makes. ``tick`` is called with the number
    of bytes of each read.
    """
    return io.BufferedReader(_Proven(raw, size, digests, piece_bytes, refuse, tick), _BUFFER_BYTES)


class _Proven(io.RawIOBase):
    """The raw reader behind :func:`prove`. It returns bytes from our own memory, after comparing their digest."""

    def __init__(
        self,
        raw: BinaryIO,
        size: int,
        digests: Digests,
        piece_bytes: int,
        refuse: Callable[[], Exception],
        tick: Callable[[int], None],
    ) -> None:
        self._raw = raw
        self._size = size
        self._digests = digests
        self._piece_bytes = piece_bytes
        self._refuse = refuse
        self._tick = tick
        self._piece = memoryview(bytearray(min(piece_bytes, size)))
        self._number = -1  # of the piece that is there
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if self._at < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        """At most what is left of one piece."""
        if self._at >= self._size:
            return 0
        number, begin = divmod(self._at, self._piece_bytes)
        self._load(number)
        count = min(len(buffer), self._piece_bytes - begin, self._size - self._at)
        memoryview(buffer)[:count] = self._piece[begin : begin + count]
        self._at += count
        self._tick(count)
        return count

    def _load(self, number: int) -> None:
        if number == self._number:
            return
        self._number = -1
        piece = self._piece[: min(self._piece_bytes, self._size - number * self._piece_bytes)]
        self._raw.seek(number * self._piece_bytes)
        expected = self._digests[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]
        if fill(self._raw, piece) != len(piece) or digest(piece) != expected:
            raise self._refuse()
        self._number = number


def fill(file: BinaryIO, buffer: memoryview) -> int:
    """Read until ``buffer`` is full or the file ends. One read may give less, as from a file system in user space."""
    size = 0
    while size < len(buffer) and (count := file.readinto(buffer[size:])):  # type: ignore[attr-defined]  # a raw file
        size += count
    return size
