"""Changes to real files, seeded: bytes, pieces, numbers, and the words of JSON headers whose length is mended."""

import json
import random
import re
import struct
from collections.abc import Callable, Sequence
from typing import Final

MAX_BYTES: Final = 64 << 10
_ODD_NUMBERS: Final = (0, 1, 2, 7, 8, 9, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 63, (1 << 64) - 1)
_TOKENS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+0-9.eE]+|[\[\]{},:]|\s+|\w+')
_ODD_WORDS: Final = (
    *(b"null", b"true", b"NaN", b"-0", b"1.0", b"1e2", b"0", b"1", b"2", b"18446744073709551616", b"[]", b"{}", b'""'),
    *(b'"U8"', b'"F32"', b'"\\u0055\\u0038"', b'"F99"', b'"dtype"', b'"shape"', b'"data_offsets"', b'"__metadata__"'),
    *(
        b'"a"',
        b'"\\u0061"',
        b'"\\ud800"',
        b'"\x7f"',
        b'"\xc2\x85"',
        b" ",
        b"\n",
        b"\t",
        b"\0",
        b"\xef\xbb\xbf",
        b"\xff",
    ),
)


def mutate(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """A changed copy of ``data``; pieces may come from ``others``. Now and then nothing is changed."""
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 5, 8))):
        data = rng.choice(_CHANGES)(data, others, rng)[:MAX_BYTES]
    return data


def _set_byte(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    if not data:
        return b"\0"
    at = rng.randrange(len(data))
    return data[:at] + bytes([rng.choice((rng.randrange(256), data[at] ^ 1 << rng.randrange(8)))]) + data[at + 1 :]


def _set_number(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    """An odd one, or one that is near to what was there."""
    width, code = rng.choice(((2, "<H"), (4, "<I"), (8, "<Q")))
    if len(data) < width:
        return data
    at = rng.randrange(len(data) - width + 1)
    there = struct.unpack_from(code, data, at)[0]
    number = rng.choice((*_ODD_NUMBERS, there + 1, there - 1, there + 8, len(data) - at, len(data)))
    return data[:at] + struct.pack(code, number % (1 << 8 * width)) + data[at + width :]


def _take_out(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    begin, end = _stretch(data, rng)
    return data[:begin] + data[end:]


def _double(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    begin, end = _stretch(data, rng)
    return data[:end] + data[begin:end] + data[end:]


def _splice(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    other = rng.choice(others)
    begin, end = _stretch(other, rng)
    at = rng.randrange(len(data) + 1)
    return data[:at] + other[begin:end] + data[rng.choice((at, min(len(data), at + end - begin))) :]


def _append(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """Whole files behind and before each other: what is two things at once."""
    other = rng.choice(others)
    return rng.choice((data + other, other + data, data + b"\n" + other))


def _cut(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _change_words(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    """Of the JSON in front, whose length in the first eight bytes is mended if it was right."""
    length = int.from_bytes(data[:8], "little")
    headed = 2 <= length <= len(data) - 8
    begin, end = (8, 8 + length) if headed else (0, len(data))
    tokens = list(_TOKENS.findall(data[begin:end]))
    if not tokens:
        return data
    for _turn in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(tokens))
        change = rng.randrange(4)
        if change == 0:
            tokens[at] = rng.choice((*_ODD_WORDS, rng.choice(tokens)))
        elif change == 1:
            tokens.insert(at, rng.choice((*_ODD_WORDS, rng.choice(tokens))))
        elif change == 2:
            stop = min(len(tokens), at + rng.choice((1, 2, 4, 16)))
            tokens[at:at] = [*tokens[at:stop], b","]
        elif len(tokens) > 1:
            del tokens[at]
    header = b"".join(tokens)
    return struct.pack("<Q", len(header)) + header + data[end:] if headed else header


def _add_tensor(data: bytes, _: Sequence[bytes], rng: random.Random) -> bytes:
    """A sound header stays sound, with more in it."""
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length])
        end = max((tensor["data_offsets"][1] for tensor in header.values() if "data_offsets" in tensor), default=0)
        name = rng.choice(("t", "é", "__metadata__ ", "", "t" * 300, "a/../b", "\x7f"))
        shape = rng.choice(([3], [], [3, 1], [0]))
        size = 0 if 0 in shape else 3 if 3 in shape else 1
        header[name] = {"dtype": rng.choice(("U8", "I8", "BOOL")), "shape": shape, "data_offsets": [end, end + size]}
        raw = json.dumps(header, ensure_ascii=rng.random() < 0.5).encode() + b" " * rng.randrange(9)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        return data
    return struct.pack("<Q", len(raw)) + raw + data[8 + length :] + bytes(size)


def _stretch(data: bytes, rng: random.Random) -> tuple[int, int]:
    begin = rng.randrange(len(data) + 1)
    return begin, min(len(data), begin + rng.choice((1, 2, 4, 8, 16, 64, 512, len(data))))


_CHANGES: Final[tuple[Callable[[bytes, Sequence[bytes], random.Random], bytes], ...]] = (
    *(_set_byte, _set_byte, _set_number, _set_number, _take_out, _double, _splice, _append, _cut),
    *(_change_words, _change_words, _add_tensor),
)
