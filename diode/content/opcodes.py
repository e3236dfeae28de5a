"""Reads a pickle's bytes as loaders do: opcodes, their arguments, and lines of any length. Each byte is read once.

Python has two loaders, one in C and one in Python. Whatever one of the two accepts is accepted here.
"""

import codecs
import re
from typing import Final

from diode.content.reader import Reader

FIRST_WINDOW_BYTES: Final = 512
_MAX_WINDOW_BYTES: Final = 256 << 10
MAX_LINE_BYTES: Final = 64 << 10  # kept of a line; what follows is read over
MAX_NAME_BYTES: Final = 255  # of a text that may name a module
_MAX_LENGTH: Final = (1 << 63) - 1  # loaders refuse more, whether the file has it or not

# What int() takes with base 0, strtol() with base 0 (octals: 017), and both with a NUL behind, where C ends a text.
_DIGITS: Final = (
    rb"[-+]?(?:0[xX](?:_?[0-9a-fA-F])++|0[oO](?:_?[0-7])++|0[bB](?:_?[01])++|0(?:_?0)*+|0[0-7]*+|[1-9](?:_?[0-9])*+)"
)
_LONG: Final = re.compile(rb"[ \t\r\f\v]*+" + _DIGITS + rb"[ \t\r\f\v]*+(?:\x00[^\n]*)?")
_INTEGER: Final = re.compile(_LONG.pattern + rb"|\x00[^\n]*")  # of nothing at all strtol() makes 0
_FLOAT: Final = re.compile(
    rb"[ \t\r\f\v]*+[-+]?(?:(?=\.?[0-9])[0-9_]*+\.?[0-9_]*+(?:[eE][-+]?[0-9][0-9_]*+)?|inf(?:inity)?|nan)"
    rb"[ \t\r\f\v]*+(?:\x00[^\n]*)?",
    re.IGNORECASE,
)
_KEY: Final = re.compile(rb"[ \t\r\f\v]*+([-+]?)([0-9](?:_?[0-9])*+)[ \t\r\f\v]*+(?:\x00[^\n]*)?")
_LONG_NUMBER: Final = re.compile(rb"[ \t\r\f\v]*+[-+]?[0-9a-zA-Z_.+-]*+[ \t\r\f\v]*+(?:\x00[^\n]*)?")
_BEGINS_NUMBER: Final = re.compile(rb"[ \t\r\f\v]*+(?:[-+.0-9iInN\x00]|\Z)")
_BEGINS_TEXT: Final = re.compile(rb"['\"]")
_RUNS: Final = {  # all but the last two lines, whose texts may come to be names
    b"V"[0]: re.compile(rb"(?:V[^\n]*+\n(?=V[^\n]*+\nV))*+"),
    b"P"[0]: re.compile(rb"(?:P[\x00-\x09\x0b-\x7f]*+\n)*+"),
}
HUGE_KEY: Final = -1  # stands for every key of the memo above 18 digits


class BrokenError(Exception):
    """Every loader stops here with an error."""


class AmbiguousError(Exception):
    """An argument reaches over the end of its frame, where loaders go on differently. No pickler writes this."""


class Opcodes:
    """The bytes of a file from its start on. Missing bytes, and bytes that no loader accepts, raise BrokenError."""

    def __init__(self, reader: Reader, head: bytes) -> None:
        """``head``: the file's first bytes, at least one."""
        self.size = reader.size
        self._reader = reader
        self._data, self._base, self._at = head, 0, 0
        self._window = FIRST_WINDOW_BYTES
        self._frame_end = 0  # of the frame that is being read; behind the last one it does not matter

    @property
    def position(self) -> int:
        """The offset in the file of the next byte."""
        return self._base + self._at

    def byte(self) -> int:
        """The next byte."""
        if self._at >= len(self._data):
            self._fill()
        self._at += 1
        return self._data[self._at - 1]

    def number(self, width: int, *, signed: bool = False) -> int:
        """The next ``width`` bytes as a little-endian number."""
        return int.from_bytes(self._take(width), "little", signed=signed)

    def skip(self, count: int) -> None:
        """Skip ``count`` bytes without reading them."""
        self._check_frame(count)
        self._at += count
        if self._base + self._at > self.size:
            raise BrokenError

    def enter_frame(self) -> None:
        """Read the length of a frame. Loaders ignore a frame that reaches beyond the file, or stop at it."""
        length = self.number(8)
        if length > _MAX_LENGTH:
            raise BrokenError
        if self.position + length <= self.size:
            self._check_frame(length)
            self._frame_end = max(self._frame_end, self.position + length)

    def text(self, width: int, *, signed: bool = False) -> bytes:
        """Read a text after its length of ``width`` bytes.

        A text above MAX_NAME_BYTES is skipped and returned as empty.
        """
        length = self.number(width, signed=signed)
        if not 0 <= length <= _MAX_LENGTH:
            raise BrokenError
        if length <= MAX_NAME_BYTES:
            return self._take(length)
        self.skip(length)
        return b""

    def line(self, encoding: str = "latin-1", begins: re.Pattern[bytes] | None = None) -> bytes:
        r"""Read up to the next ``\n``, and skip that.

        The line must be in ``encoding``, and match ``begins`` at its start.

        Without a ``\n`` the line is the rest of the file except its last byte, because the loader in Python takes that
        byte for a ``\n``. Of a line above MAX_LINE_BYTES its first MAX_LINE_BYTES and its last byte are returned.
        """
        if self._at >= len(self._data) and self.position < self.size:
            self._fill()
        is_framed = self.position < self._frame_end
        if is_framed and self._data.find(b"\n", self._at, max(self._frame_end - self._base, 0)) < 0:
            raise AmbiguousError  # or of a line too long for a frame
        if begins and not begins.match(self._data, self._at):
            raise BrokenError
        begin, end = self._at, self._data.find(b"\n", self._at)
        try:
            if end < 0:
                return self._long_line(codecs.getincrementaldecoder(encoding)())
            self._at = end + 1
            line = self._data[begin:end]
            if encoding != "latin-1":
                line.decode(encoding)
        except UnicodeDecodeError:
            raise BrokenError from None
        return line if len(line) <= MAX_LINE_BYTES else line[:MAX_LINE_BYTES] + line[-1:]

    def lines_alike(self, code: int) -> int:
        """Skip the lines that all begin with this opcode, as lists of words do. Returns how many they were."""
        begin = self._at
        if self.position < self._frame_end:
            return 0
        found = _RUNS[code].match(self._data, begin)
        self._at = found.end() if found else begin
        return self._data.count(b"\n", begin, self._at)

    def integer(self) -> None:
        """Read a line that is a whole number."""
        self._check_number(self.line(begins=_BEGINS_NUMBER), _INTEGER)

    def long_integer(self) -> None:
        """Read a line that is a whole number, with or without an L at its end."""
        self._check_number(self.line(begins=_BEGINS_NUMBER).removesuffix(b"L"), _LONG)

    def real(self) -> None:
        """Read a line that is a number with a fraction."""
        self._check_number(self.line(begins=_BEGINS_NUMBER), _FLOAT)

    def quoted(self) -> bytes:
        """Read a line in quotes, and return the text between them."""
        line = self.line(begins=_BEGINS_TEXT)
        if len(line) < 2 or line[0] != line[-1]:
            raise BrokenError
        return line[1:-1]

    def key(self) -> int:
        """Read a line that is a key of the memo."""
        found = _KEY.fullmatch(self.line(begins=_BEGINS_NUMBER))
        if not found:
            raise BrokenError
        digits = found[2].replace(b"_", b"").lstrip(b"0")
        if digits and found[1] == b"-":
            raise BrokenError
        return int(digits or b"0") if len(digits) <= 18 else HUGE_KEY

    @staticmethod
    def _check_number(line: bytes, form: re.Pattern[bytes]) -> None:
        form = _LONG_NUMBER if len(line) > MAX_LINE_BYTES else form
        if not form.fullmatch(line):
            raise BrokenError

    def _check_frame(self, count: int) -> None:
        """Raise AmbiguousError if so many more bytes reach over the frame's end."""
        if self.position < self._frame_end < self.position + count:
            raise AmbiguousError

    def _take(self, count: int) -> bytes:
        if self._frame_end:
            self._check_frame(count)
        if self._at + count > len(self._data):
            rest = self._data[self._at :]
            begin = self._base + self._at
            self._fill(len(rest))
            self._data, self._base = rest + self._data, begin
            if len(self._data) < count:
                raise BrokenError
        self._at += count
        return self._data[self._at - count : self._at]

    def _long_line(self, decoder: codecs.IncrementalDecoder) -> bytes:
        r"""A line whose end is not in the window. It is read over piece by piece, and only its beginning kept."""
        kept, last = b"", b""
        while True:
            end = self._data.find(b"\n", self._at)
            is_last = end >= 0 or self._base + len(self._data) >= self.size
            piece = self._data[self._at : end if end >= 0 else len(self._data) - is_last]
            decoder.decode(piece, final=is_last)
            kept, last = kept + piece[: MAX_LINE_BYTES + 1 - len(kept)], piece[-1:] or last
            self._at += len(piece) + is_last
            if is_last:
                return kept if len(kept) <= MAX_LINE_BYTES else kept[:MAX_LINE_BYTES] + last
            self._fill()

    def _fill(self, ahead: int = 0) -> None:
        """Read the next window, which begins ``ahead`` bytes behind what was taken."""
        begin = self.position + ahead
        if begin >= self.size:
            raise BrokenError
        self._window = min(self._window * 8, _MAX_WINDOW_BYTES)
        self._data, self._base, self._at = self._reader.at(begin, self._window), begin, 0
