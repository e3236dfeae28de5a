"""Makes a decoder's output readable at any offset. Going back costs unpacking again.

The size is known only after everything came out once. During that first pass the beginning is kept, as far as memory is
left, and the end, and a few bytes at the offsets that checks read. Anything between is unpacked again from the start
when somebody goes back to it, and charged again.
"""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Self

from diode.content.allowance import Allowance
from diode.content.archives.sources import Positioned

LEAST_KEPT_BYTES: Final = 1 << 20  # of the beginning, whatever memory is left
MOST_KEPT_BYTES: Final = 64 << 20
TAIL_BYTES: Final = 1 << 20  # as much as checks read of an end
MARK_BYTES: Final = 16  # kept at each power of two, where readers of HDF5 look


class Unpacked(Positioned):
    """What ``start`` yields, in pieces of any length. Every call of ``start`` begins a new pass.

    As a context manager it gives the memory back at the end. ``start``, its pieces, construction and every read may
    raise UnsoundError.
    """

    def __init__(self, start: Callable[[], Iterator[bytes]], allowance: Allowance) -> None:
        self.size = 0
        self._start = start
        self._allowance = allowance
        self._head = bytearray()
        self._tail = bytearray()
        self._marks: dict[int, bytes] = {}  # by where they stand
        self._lent = 0
        self._pieces: Iterator[bytes] | None = None  # none yet, or no more
        self._piece = memoryview(b"")  # the current one
        self._begin = 0  # where it begins
        try:
            self._measure()
            self.is_cheap = len(self._head) == self.size
            if not self.is_cheap:
                self._start_again()  # what its decoder takes must not be lent to those who read from it
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Give the memory back."""
        self.close()

    def close(self) -> None:
        """Give the memory back. Nothing can be read afterwards."""
        self._allowance.give_memory(self._lent)
        self._lent = 0
        self._pieces = None
        self._head = self._tail = bytearray()

    def read(self, count: int, /) -> bytes:
        """The next bytes, ``count`` at most."""
        count = min(count, self.size - self._position)
        if count <= 0:
            return b""
        position, tail = self._position, self.size - len(self._tail)
        if position < len(self._head):
            data = bytes(memoryview(self._head)[position : position + count])
        elif position >= tail:
            data = bytes(memoryview(self._tail)[position - tail : position - tail + count])
        elif count <= len(mark := self._marks.get(position, b"")):
            data = mark[:count]
        else:
            data = self._read_again(position, count)
        self._position += len(data)
        return data

    def _measure(self) -> None:
        for piece in self._start():
            mark = 1 << max(self.size - 1, 0).bit_length()  # the first power of two from here on
            if mark < self.size + len(piece):
                self._marks[mark] = piece[mark - self.size : mark - self.size + MARK_BYTES]
            self.size += len(piece)
            if self._tail or not self._keep(len(piece)):
                self._tail += piece
                if len(self._tail) > 2 * TAIL_BYTES:
                    del self._tail[:-TAIL_BYTES]
            else:
                self._head += piece

    def _keep(self, count: int) -> bool:
        """Whether so many bytes more of the beginning may be kept."""
        wanted = len(self._head) + count
        if wanted > MOST_KEPT_BYTES:
            return False
        while wanted > LEAST_KEPT_BYTES + self._lent:
            if not self._allowance.maybe_take_memory(LEAST_KEPT_BYTES):
                return False
            self._lent += LEAST_KEPT_BYTES
        return True

    def _start_again(self) -> None:
        self._pieces, self._piece, self._begin = None, memoryview(b""), 0  # gives back a decoder's memory
        self._pieces = pieces = self._start()
        self._piece = memoryview(next(pieces, b""))

    def _read_again(self, position: int, count: int) -> bytes:
        if self._pieces is None or position < self._begin:
            self._start_again()
        while position >= self._begin + len(self._piece):
            self._begin += len(self._piece)
            piece = next(self._pieces or iter(()), b"")
            if not piece:
                return b""
            self._piece = memoryview(piece)
        at = position - self._begin
        return bytes(self._piece[at : at + count])
