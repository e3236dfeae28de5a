"""Bounded reading of a file that a stranger wrote."""

import os
import struct
from typing import BinaryIO, Final, Self

from diode.content.trouble import Trouble, UnsoundError

MAX_VALUES: Final = 2 << 20  # of JSON, or texts and arrays of GGUF
_TIMES_ANEW: Final = 4
_BYTES_ANEW: Final = 1 << 20
_HELD_BYTES: Final = 64 << 10  # a file up to this size is read once
KINDS_OF_NUMBER: Final = {1: "<B", 2: "<H", 4: "<I", 8: "<Q"}


class Reader:
    """Reads a file from front to back, or at an offset: never past its end, and at most ``budget`` bytes in all.

    Reading more raises UnsoundError. Where ``file`` is unpacked from an archive, the Allowance pays for the unpacking.
    """

    def __init__(self, file: BinaryIO, size: int, budget: int) -> None:
        self.size = size
        self.position = 0
        self.file = file
        self._left = budget
        self._values = MAX_VALUES
        self._held: bytes | None = None

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes. Raises UnsoundError when the file has fewer, or the budget is spent."""
        if count > self.size - self.position:
            raise UnsoundError(f"it ends early: {count} bytes are expected at {self.position}")
        data = self._read(self.position, count)
        self.position += count
        return data

    def number(self, width: int) -> int:
        """The next ``width`` bytes as an unsigned little-endian number."""
        return int(struct.unpack(KINDS_OF_NUMBER[width], self.take(width))[0])

    def count_value(self) -> None:
        """Count one more text or array, which costs time even when it is short.

        Raises UnsoundError when there are too many.
        """
        self._values -= 1
        if self._values < 0:
            raise UnsoundError(f"more than {MAX_VALUES} texts and arrays", Trouble.BUDGET)

    def at(self, offset: int, count: int) -> bytes:
        """Bytes from ``offset`` on, ``count`` at most; none when ``offset`` lies outside the file."""
        return self._read(offset, min(count, self.size - offset)) if 0 <= offset < self.size else b""

    def head(self, count: int) -> bytes:
        """The first bytes, ``count`` at most."""
        return self._read(0, min(count, self.size))

    def tail(self, count: int) -> bytes:
        """The last bytes, ``count`` at most."""
        count = min(count, self.size)
        return self._read(self.size - count, count)

    def anew(self) -> Self:
        """A reader of the same file whose budget is a few times the file's size.

        It serves checks that must read the whole file: their cost grows with its size, and with nothing else.
        """
        return type(self)(self.file, self.size, _BYTES_ANEW + _TIMES_ANEW * self.size)

    def _read(self, offset: int, count: int) -> bytes:
        self._left -= count
        if self._left < 0:
            raise UnsoundError("looking at it takes more reading than any sound file does", Trouble.BUDGET)
        if self.size <= _HELD_BYTES:
            if self._held is None:
                self._held = self._read_file(0, self.size)
            return self._held[offset : offset + count]
        return self._read_file(offset, count)

    def _read_file(self, offset: int, count: int) -> bytes:
        self.file.seek(offset, os.SEEK_SET)
        pieces = []
        while count:
            piece = self.file.read(count)
            if not piece:
                raise UnsoundError("it became shorter while it was read")
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)
