"""Strict check of GGUF files: counts, types, texts, shapes and offsets.

Each is checked against bounds before it is used.
"""

import hashlib
import math
from typing import Final, NamedTuple

from diode.content.reader import Reader
from diode.content.trouble import Trouble, UnsoundError

MAGIC: Final = b"GGUF"
MAX_PAIRS: Final = 65_536
MAX_TENSORS: Final = 65_536
MAX_NAME_BYTES: Final = 127  # of a tensor, where a loader is built for long ones
USUAL_NAME_BYTES: Final = 63  # what the reference loader allows as it is built by default
MAX_KEY_BYTES: Final = 65_535
MAX_TEXT_BYTES: Final = 16 << 20
MAX_ARRAY: Final = 16 << 20
MAX_NESTING: Final = 4
MAX_ALIGNMENT: Final = 1 << 20
MAX_ELEMENTS: Final = 1 << 62
_TEXT: Final = 8
_ARRAY: Final = 9
_WIDTHS: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_U32: Final = 4
_BOOL: Final = 7

# type: (elements of a block, bytes of a block). Q8_1 (9) is not here: it lives in memory only, and loaders differ in
# the bytes of its block. 4, 5, 31 to 33 and 36 to 38 were given up.
BLOCKS: Final = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    15: (256, 292),
    16: (256, 66),
    17: (256, 74),
    18: (256, 98),
    19: (256, 50),
    20: (32, 18),
    21: (256, 110),
    22: (256, 82),
    23: (256, 136),
    24: (1, 1),
    25: (1, 2),
    26: (1, 4),
    27: (1, 8),
    28: (1, 8),
    29: (256, 56),
    30: (1, 2),
    34: (256, 54),
    35: (256, 66),
    39: (32, 17),
    40: (64, 36),
    41: (128, 18),
}


class Tensor(NamedTuple):
    """One tensor: where its bytes lie in the file, its name, its type's number and its shape."""

    begin: int
    end: int
    name: str
    kind: int
    shape: list[int]


class Layout(NamedTuple):
    """The content of a sound file: where everything lies."""

    version: int
    pairs: int
    tensors: list[Tensor]  # in the order of their data


def lint(reader: Reader) -> dict[str, int | str]:
    """Check the file, and return facts about it. Raises UnsoundError, which says what is wrong."""
    layout = layout_of(reader)
    facts: dict[str, int | str] = {"tensors": len(layout.tensors), "keys": layout.pairs, "version": layout.version}
    long_names = sum(len(tensor.name.encode()) > USUAL_NAME_BYTES for tensor in layout.tensors)
    return facts | {"long_names": long_names} if long_names else facts


def layout_of(reader: Reader) -> Layout:
    """Read where everything lies in a sound file. Raises UnsoundError, which says what is wrong."""
    reader.take(len(MAGIC))
    version = reader.number(4)
    if version in (2 << 24, 3 << 24):
        raise UnsoundError("it is big-endian, which nearly no loader reads right")
    if version not in (2, 3):
        raise UnsoundError(f"version {version} is none that is known")
    count, pairs = reader.number(8), reader.number(8)
    if count > MAX_TENSORS or pairs > MAX_PAIRS:
        raise UnsoundError(f"{count} tensors and {pairs} keys, more than {MAX_TENSORS} and {MAX_PAIRS}", Trouble.BUDGET)
    alignment = _read_pairs(reader, pairs)
    tensors = _read_tensors(reader, count, alignment)
    end = data = -(-reader.position // alignment) * alignment
    placed = sorted(tensor._replace(begin=data + tensor.begin, end=data + tensor.end) for tensor in tensors)
    for tensor in placed:
        if tensor.begin < end:
            raise UnsoundError(f"tensor {tensor.name!r} overlaps another at byte {tensor.begin - data} of the data")
        end = tensor.end
    if placed and end > reader.size:
        raise UnsoundError(f"its tensors end at byte {end}, the file at {reader.size}")
    if reader.size > -(-end // alignment) * alignment:
        raise UnsoundError(f"{reader.size - end} bytes follow its last tensor")
    return Layout(version, pairs, placed)


def _read_pairs(reader: Reader, count: int) -> int:
    """Walk over the keys and values; returns the alignment they ask for."""
    keys, alignment = set(), 32  # keys by their digests: they may be long, and many
    for _ in range(count):
        key = _text(reader, MAX_KEY_BYTES, "a key")
        digest = hashlib.sha256(key.encode(errors="surrogateescape")).digest()
        if digest in keys:
            raise UnsoundError(f"key {key[:80]!r} is there twice")
        keys.add(digest)
        kind = reader.number(4)
        if key == "general.alignment":
            if kind != _U32:
                raise UnsoundError("general.alignment is not a 32-bit number")
            alignment = reader.number(4)
            if not 8 <= alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
                raise UnsoundError(f"alignment {alignment} is no power of two from 8 to {MAX_ALIGNMENT}")
        else:
            _skip_value(reader, kind, 0)
    return alignment


def _skip_value(reader: Reader, kind: int, depth: int) -> None:
    if kind == _TEXT:
        _text(reader, MAX_TEXT_BYTES, "a value")
    elif kind == _BOOL:
        _check_bools(reader.take(1))
    elif kind == _ARRAY:
        _skip_array(reader, depth)
    elif kind in _WIDTHS:
        reader.take(_WIDTHS[kind])
    else:
        raise UnsoundError(f"a value of type {kind}, which is none")


def _skip_array(reader: Reader, depth: int) -> None:
    reader.count_value()
    kind, count = reader.number(4), reader.number(8)
    if depth >= MAX_NESTING or count > MAX_ARRAY:
        raise UnsoundError(f"an array of {count} values, {depth + 1} deep: more than {MAX_ARRAY}, {MAX_NESTING} deep")
    if kind == _BOOL:
        _check_bools(reader.take(count))
    elif kind in _WIDTHS:
        reader.take(count * _WIDTHS[kind])
    else:
        for _ in range(count):
            _skip_value(reader, kind, depth + 1)


def _check_bools(data: bytes) -> None:
    if data.translate(None, b"\x00\x01"):
        raise UnsoundError("a truth value that is neither 0 nor 1")


def _text(reader: Reader, most: int, what: str) -> str:
    reader.count_value()
    length = reader.number(8)
    if length > most:
        raise UnsoundError(f"{what} has {length} bytes, more than {most}")
    return reader.take(length).decode(errors="surrogateescape")


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\udc80" <= letter <= "\udcff" for letter in text)


def _read_tensors(reader: Reader, count: int, alignment: int) -> list[Tensor]:
    """Each tensor, with its place in the data instead of the file."""
    names, tensors = set(), []
    for _ in range(count):
        name = _text(reader, MAX_NAME_BYTES, "a tensor's name")
        if name in names:
            raise UnsoundError(f"tensor {name!r} is there twice")
        if "\0" in name or not _is_utf8(name):
            raise UnsoundError(f"tensor {name!r}: loaders differ in where this name ends", Trouble.AMBIGUOUS)
        names.add(name)
        dimensions = reader.number(4)
        if dimensions > 4:
            raise UnsoundError(f"tensor {name!r} has {dimensions} dimensions, not 0 to 4")
        shape = [reader.number(8) for _ in range(dimensions)]
        kind, offset = reader.number(4), reader.number(8)
        size = _tensor_bytes(name, shape, kind)
        if offset % alignment:
            raise UnsoundError(f"tensor {name!r} at {offset} is not aligned to {alignment} bytes")
        if offset + size > reader.size:
            raise UnsoundError(
                f"tensor {name!r} at {offset} with {size} bytes is not in the file: is the file cut off?"
            )
        tensors.append(Tensor(offset, offset + size, name, kind, shape))
    return tensors


def _tensor_bytes(name: str, shape: list[int], kind: int) -> int:
    if kind not in BLOCKS:
        raise UnsoundError(f"tensor {name!r} is of type {kind}, which no file has, or which is not known")
    elements, (per_block, block_bytes) = math.prod(shape), BLOCKS[kind]
    row = shape[0] if shape else 1  # a single number has no dimensions
    if 0 in shape or elements > MAX_ELEMENTS or row % per_block:
        raise UnsoundError(f"tensor {name!r} has an impossible shape")
    return elements // per_block * block_bytes
