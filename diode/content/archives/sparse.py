"""Reads files with holes in tar archives: a map of the parts that are there, then these parts one after another."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from diode.content.archives import pax
from diode.content.archives.sources import Positioned, Source, is_cheap, read_all
from diode.content.archives.tar_headers import BLOCK_BYTES, MAX_SIZE, Header, number
from diode.content.trouble import Trouble, UnsoundError

MAX_PARTS: Final = 1 << 16
_IN_HEADER: Final = (386, 4)  # where a header's parts begin, and how many there are
_IN_BLOCK: Final = (0, 21)
_ENTRY_BYTES: Final = 24
_LINE: Final = re.compile(rb"([0-9]{1,19})\n")

Part = tuple[int, int]  # where it begins in the file, its length


@dataclass(frozen=True, slots=True)
class Map:
    """The parts in order, the size of the file, and how many bytes in front of the data belong to the map."""

    parts: tuple[Part, ...]
    size: int
    map_bytes: int = 0


def of_gnu(header: Header, source: Source, offset: int) -> Map:
    """The map in GNU tar's own form: in the header, and in blocks from ``offset`` on, which ``map_bytes`` counts."""
    parts = _entries(header.block, *_IN_HEADER)
    is_longer, size, begin = header.block[482] != 0, number(header.block[483:495]), offset
    while is_longer:
        block = read_all(source, offset, BLOCK_BYTES)
        if len(block) < BLOCK_BYTES:
            raise UnsoundError("it ends early")
        parts += _entries(block, *_IN_BLOCK)
        _bound(len(parts))
        is_longer, offset = block[504] != 0, offset + BLOCK_BYTES
    return Map(tuple(part for part in parts if part[1]), size, offset - begin)


def of_pax(records: pax.Records, often: list[tuple[bytes, bytes]], source: Source, begin: int, size: int) -> Map:
    """The map in one of three forms of extended headers. The member has ``size`` bytes from ``begin`` on."""
    real = records.get(b"GNU.sparse.realsize", records.get(b"GNU.sparse.size"))
    if real is None:
        raise UnsoundError("a file with holes that does not say its size", Trouble.AMBIGUOUS)
    if records.get(b"GNU.sparse.major") == b"1":
        parts, map_bytes = _in_front(source, begin, size)
        return Map(parts, pax.number(real), map_bytes)
    if (text := records.get(b"GNU.sparse.map")) is not None:
        numbers = [pax.number(part) for part in text.split(b",")] if text else []
        parts = tuple(zip(numbers[::2], numbers[1::2], strict=False))
    else:
        offsets, lengths = ([pax.number(v) for k, v in often if k.endswith(end)] for end in (b"offset", b"numbytes"))
        if len(offsets) != len(lengths):
            raise UnsoundError("a file with holes and half a map", Trouble.AMBIGUOUS)
        parts = tuple(zip(offsets, lengths, strict=True))
    _bound(len(parts))
    told = records.get(b"GNU.sparse.numblocks")
    if not parts or (told is not None and pax.number(told) != len(parts)):
        raise UnsoundError("a file with holes without its whole map", Trouble.AMBIGUOUS)
    return Map(parts, pax.number(real))


class Sparse(Positioned):
    """The file itself: parts out of ``source``, and zeros between them.

    Raises UnsoundError when parts are out of order.
    """

    def __init__(self, source: Source, told: Map, packed: int) -> None:
        self.size = told.size
        self.is_cheap = is_cheap(source)
        self._source = source
        self._begins: list[int] = []
        self._parts: list[tuple[int, int]] = []  # the length of each, and where it is in ``source``
        end = at = 0
        for begin, length in told.parts:
            if begin < end or length > told.size - begin:
                raise UnsoundError("a file with holes whose parts lie over each other", Trouble.AMBIGUOUS)
            self._begins.append(begin)
            self._parts.append((length, at))
            end, at = begin + length, at + length
        if at != packed:
            raise UnsoundError("a file with holes whose parts are not what the archive holds", Trouble.AMBIGUOUS)

    def read(self, count: int, /) -> bytes:
        """The next bytes, ``count`` at most: they come from one part, or from one hole."""
        count = min(count, self.size - self._position)
        if count <= 0:
            return b""
        index = bisect_right(self._begins, self._position) - 1
        length, at = self._parts[index] if index >= 0 else (0, 0)
        inside = self._position - self._begins[index] if index >= 0 else 0
        if inside < length:
            data = read_all(self._source, at + inside, min(count, length - inside))
        else:
            end = self._begins[index + 1] if index + 1 < len(self._begins) else self.size
            data = bytes(min(count, end - self._position))
        self._position += len(data)
        return data


def _entries(block: bytes, at: int, count: int) -> list[Part]:
    parts = []
    for begin in range(at, at + count * _ENTRY_BYTES, _ENTRY_BYTES):
        if block[begin] == 0:
            break
        parts.append((number(block[begin : begin + 12]), number(block[begin + 12 : begin + 24])))
    return parts


def _in_front(source: Source, begin: int, size: int) -> tuple[tuple[Part, ...], int]:
    """Lines of decimal numbers, the first one says how many parts; padded to a whole block."""
    numbers: list[int] = []
    data, at, wanted = b"", 0, 1
    while len(numbers) < wanted:
        found = _LINE.match(data, at)
        if found is None:
            more = read_all(source, begin + len(data), min(BLOCK_BYTES, size - len(data)))
            if not more or len(data) - at > 20:
                raise UnsoundError("a file with holes without its map", Trouble.AMBIGUOUS)
            data += more
            continue
        numbers.append(pax.number(found[1]))
        at = found.end()
        if len(numbers) == 1:
            _bound(numbers[0])
            wanted += 2 * numbers[0]
    if any(number > MAX_SIZE for number in numbers):
        raise UnsoundError("a number beyond all files")
    return tuple(zip(numbers[1::2], numbers[2::2], strict=True)), len(data)


def _bound(parts: int) -> None:
    if parts > MAX_PARTS:
        raise UnsoundError(f"a file with more than {MAX_PARTS} parts between holes", Trouble.BUDGET)
