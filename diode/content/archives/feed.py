"""Hands compressed bytes to a decoder piece by piece, and takes back what the decoder did not use."""

from typing import Final

from diode.content.allowance import Allowance
from diode.content.archives.sources import Source, read_all

_LEAST_BYTES: Final = 1 << 10  # at first: a file may be millions of tiny frames
_MOST_BYTES: Final = 64 << 10
_FRAME_BYTES: Final = 4 << 10  # what decodes in the time that making a decoder takes


class Feed:
    """Reads a source from front to back. Bytes that a decoder did not use are put back."""

    def __init__(self, source: Source, begin: int, end: int, allowance: Allowance) -> None:
        self.position = begin
        self._source = source
        self._end = end
        self._allowance = allowance
        self._step = _LEAST_BYTES

    @property
    def left(self) -> int:
        """Bytes from here to the end."""
        return self._end - self.position

    def begin_frame(self) -> None:
        """Begin a frame: pieces are small again. Each frame is charged, because even an empty one costs something."""
        self._step = _LEAST_BYTES
        self._allowance.unpack(_FRAME_BYTES)

    def peek(self, count: int) -> bytes:
        """The next bytes, ``count`` at most, without taking them."""
        return read_all(self._source, self.position, min(count, self.left))

    def take(self) -> bytes:
        """Take the next piece; empty at the end."""
        data = self.peek(self._step)
        self._allowance.unpack(len(data))
        self._step = min(2 * self._step, _MOST_BYTES)
        self.position += len(data)
        return data

    def skip(self, count: int) -> None:
        """Skip ``count`` bytes, or as many as there are."""
        self.position += min(count, self.left)

    def skip_zeros(self) -> None:
        """Skip to the next byte that is not zero, or to the end."""
        while data := self.peek(self._step):
            self._step = min(2 * self._step, _MOST_BYTES)
            rest = data.lstrip(b"\0")
            self.position += len(data) - len(rest)
            if rest:
                return
