"""Writes and reads codes that a person carries back from receiver to sender: the only permitted feedback.

A *resend code* names slabs of one bundle, or a whole bundle by channel and sequence number. A *confirm code* names a
bundle that was published. docs/codes.md has the layout, bit by bit. The text is Crockford's base32 in groups of five.
Case, hyphens and blanks are ignored when it is typed; ``I`` and ``L`` are read as ``1``, ``O`` as ``0``. A CRC-32 over
the bits before it detects every single wrong character and every swap of two neighbours. Each content has exactly one
text: what is read must be what :func:`encode` writes. So a receiver that was taken over cannot hide data in the choice
of a spelling.

A code is untrusted input, like all text that people type. Everything read from it is bounded.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from diode.errors import UsageError
from diode.formats.names import CHANNEL_PATTERN, MAX_SEQUENCE
from diode.protocol.sizes import MAX_SLABS

LONGEST_CODE: Final = 300  # characters; above it a file is carried
LONGEST_TEXT: Final = 1 << 20  # of such a file
MAX_RANGES: Final = 200_000

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES: Final = {c: i for i, c in enumerate(_ALPHABET)}
_TYPED: Final = str.maketrans("abcdefghjkmnpqrstvwxyzILOilo", "ABCDEFGHJKMNPQRSTVWXYZ110110", "- \t\r\n")
_GROUP: Final = 5
_VERSION: Final = 1
_SLABS, _BUNDLE, _CONFIRM = 0, 1, 2
_CRC_BITS: Final = 32
_MAX_GOLOMB_BITS: Final = 64

Range = tuple[int, int]  # first slab, last slab + 1


@dataclass(frozen=True, slots=True)
class ResendSlabs:
    """Ask to send these slabs of a bundle again. Without ranges: only its manifest and tables."""

    bundle: int
    ranges: tuple[Range, ...]

    def __str__(self) -> str:
        if self.ranges == ((0, MAX_SLABS),):
            return f"bundle {self.bundle:016x}: everything"
        slabs = ", ".join(f"{first}" if last == first + 1 else f"{first}-{last - 1}" for first, last in self.ranges)
        return f"bundle {self.bundle:016x}: manifest and tables" + (f", slabs {slabs}" if slabs else "")


@dataclass(frozen=True, slots=True)
class ResendBundle:
    """Ask to send the whole bundle with this sequence number again, because not even its manifest arrived."""

    channel: str
    sequence: int

    def __str__(self) -> str:
        return f"channel {self.channel}, sequence {self.sequence}: the whole bundle"


@dataclass(frozen=True, slots=True)
class Confirm:
    """Confirm that this bundle, with this content digest (its first 32 bits), was published."""

    bundle: int
    content: int

    def __str__(self) -> str:
        return f"bundle {self.bundle:016x} was published"


Code = ResendSlabs | ResendBundle | Confirm


def ranges_of(numbers: Iterable[int]) -> tuple[Range, ...]:
    """Join ascending slab numbers into ranges."""
    ranges: list[Range] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number:
            ranges[-1] = (ranges[-1][0], number + 1)
        else:
            ranges.append((number, number + 1))
    return tuple(ranges)


def encode(code: Code) -> str:
    """The text of a code, in groups."""
    bits = _Writer()
    bits.put(_VERSION, 2)
    match code:
        case ResendSlabs(bundle, ranges):
            bits.put(_SLABS, 2)
            bits.put(bundle, 64)
            _put_ranges(bits, ranges)
        case ResendBundle(channel, sequence):
            bits.put(_BUNDLE, 2)
            bits.golomb(sequence, 4)
            for byte in channel.encode():
                bits.put(byte, 8)
            bits.put(0, 8)
        case Confirm(bundle, content):
            bits.put(_CONFIRM, 2)
            bits.put(bundle, 64)
            bits.put(content, 32)
    return bits.text()


def decode(text: str) -> Code:
    """The code that a person typed. Raises UsageError for any other text; it says that nothing was done.

    The bits must be those that :func:`encode` gives for the same content.
    """
    if len(text) > LONGEST_TEXT:
        raise UsageError("this is too long to be a code; nothing was done")
    letters = _letters(text)
    code = _read(_Reader(letters))
    if encode(code).replace("-", "") != letters:
        raise UsageError(
            "this code is not spelled as a receiver spells it, though its checksum is right; nothing was done"
        )
    return code


def decode_file(text: str) -> Code:
    """The code in a file that was carried over, byte for byte as the receiver wrote it. Raises UsageError."""
    code = decode(text)
    if f"{encode(code)}\n" != text:
        raise UsageError("the code in this file is spelled otherwise than a receiver writes it; nothing was done")
    return code


def _letters(text: str) -> str:
    """What was typed, in the letters of the alphabet. Raises UsageError."""
    letters = text.translate(_TYPED)
    for letter in letters:
        if letter not in _VALUES:
            raise UsageError(f"a code has no {letter!r} in it; nothing was done, please type it again")
    return letters


def _read(bits: "_Reader") -> Code:
    if bits.take(2) != _VERSION:
        raise UsageError("this code is of another version; nothing was done")
    kind = bits.take(2)
    if kind == _SLABS:
        code: Code = ResendSlabs(bits.take(64), tuple(_take_ranges(bits)))
    elif kind == _BUNDLE:
        sequence = bits.golomb(4)
        channel = bytes(iter(lambda: bits.take(8), 0)).decode(errors="replace")
        if not re.fullmatch(CHANNEL_PATTERN, channel) or sequence > MAX_SEQUENCE:
            raise _malformed()
        code = ResendBundle(channel, sequence)
    elif kind == _CONFIRM:
        code = Confirm(bits.take(64), bits.take(32))
    else:
        raise _malformed()
    bits.finish()
    return code


def _put_ranges(bits: "_Writer", ranges: tuple[Range, ...]) -> None:
    """Count, the Golomb parameter, then gap and length of each: short for few slabs far apart, and for long runs."""
    bits.golomb(len(ranges), 2)
    order = max((ranges[-1][1] // len(ranges)).bit_length() - 1, 0) if ranges else 0
    bits.put(order, 6)
    at = 0
    for first, last in ranges:
        bits.golomb(first - at, order)
        bits.golomb(last - first - 1, 0)
        at = last


def _take_ranges(bits: "_Reader") -> Iterator[Range]:
    count, order, at = bits.golomb(2), bits.take(6), 0
    if count > MAX_RANGES or order > 32:
        raise _malformed()
    for number in range(count):
        first = at + bits.golomb(order)
        if number and first == at:
            raise _malformed()  # it touches the one before: both are one range
        at = first + 1 + bits.golomb(0)
        if at > MAX_SLABS:
            raise _malformed()
        yield first, at


def _malformed() -> UsageError:
    return UsageError("this is not a code of this version, though its checksum is right; nothing was done")


class _Writer:
    """Collects bits, the most significant first."""

    def __init__(self) -> None:
        self._bits: list[str] = []

    def put(self, value: int, width: int) -> None:
        self._bits.append(f"{value:0{width}b}")

    def golomb(self, value: int, order: int) -> None:
        """Exponential Golomb code: the higher the order, the shorter are large values."""
        number = value + (1 << order)
        width = number.bit_length()
        self._bits.append("0" * (width - order - 1) + f"{number:b}")

    def text(self) -> str:
        bits = "".join(self._bits) + "1"  # where the content ends; then zeros up to a whole character
        bits += "0" * (-(len(bits) + _CRC_BITS) % 5)
        bits += f"{_checksum(bits):0{_CRC_BITS}b}"
        text = "".join(_ALPHABET[int(bits[i : i + 5], 2)] for i in range(0, len(bits), 5))
        return "-".join(text[i : i + _GROUP] for i in range(0, len(text), _GROUP))


class _Reader:
    """Gives bits back. Raises UsageError for a wrong checksum, or an end too soon."""

    def __init__(self, letters: str) -> None:
        bits = "".join(f"{_VALUES[letter]:05b}" for letter in letters)
        body, checksum = bits[:-_CRC_BITS], bits[-_CRC_BITS:]
        if len(body) < 5 or _checksum(body) != int(checksum, 2):
            raise UsageError("a character of this code is wrong or missing; nothing was done, please type it again")
        self._bits = body.rstrip("0")[:-1]
        self._at = 0

    def take(self, width: int) -> int:
        piece = self._bits[self._at : self._at + width]
        if len(piece) < width:
            raise _malformed()
        self._at += width
        return int(piece, 2) if width else 0

    def golomb(self, order: int) -> int:
        width = order + 1
        while self.take(1) == 0:
            width += 1
            if width > _MAX_GOLOMB_BITS:
                raise _malformed()
        return (1 << (width - 1) | self.take(width - 1)) - (1 << order)

    def finish(self) -> None:
        if self._at != len(self._bits):
            raise _malformed()


def _checksum(bits: str) -> int:
    """CRC-32 (ISO-HDLC) of the bits, padded with zeros at their front to whole bytes, after their number."""
    return zlib.crc32(len(bits).to_bytes(4, "big") + int("0" + bits, 2).to_bytes(-(-len(bits) // 8), "big"))
