"""Strict check of safetensors files: a length, a JSON header, and tensors that fill the rest without holes or overlaps.

Loaders differ in how much they forgive in the header. Whatever one of them would load counts as safetensors here, and
must then pass the strict check.
"""

import json
import math
import re
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from diode.content.json_walk import NoJsonError, check_json
from diode.content.reader import Reader
from diode.content.trouble import Trouble, UnsoundError

MAX_HEADER_BYTES: Final = 16 << 20  # the format allows 100 MB; the largest models' shards have less than 1 MB
MAX_TENSORS: Final = 131_072  # memory: 1 KiB each
_MAX_VALUES: Final = 10 * MAX_TENSORS  # and as many quotes: each has five texts, and its shape
MAX_DIMENSIONS: Final = 16
MAX_ELEMENTS: Final = 1 << 62
# the brace of an object and what may follow it, or blanks as far as is seen; zeros are halves of UTF-16
_OPENS: Final = re.compile(rb"(\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[\s\0]*(\{[\s\0]*([\"}]|$)|$)")
_judged: Final[WeakKeyDictionary[Reader, int | UnsoundError]] = WeakKeyDictionary()  # by looks_so: not done twice
METADATA: Final = "__metadata__"
_FIELDS: Final = {"dtype", "shape", "data_offsets"}
BITS: Final = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U16": 16,
    "I16": 16,
    "F16": 16,
    "BF16": 16,
    "U32": 32,
    "I32": 32,
    "F32": 32,
    "U64": 64,
    "I64": 64,
    "F64": 64,
    "C64": 64,
}


class Tensor(NamedTuple):
    """One tensor: where its bytes lie behind the header, its name, its type and its shape."""

    begin: int
    end: int
    name: str
    dtype: str
    shape: list[int]


def looks_so(reader: Reader, head: bytes) -> bool:
    """Whether a loader would find a safetensors header at the file's start, sound or not. ``head``: the first bytes.

    The header must parse as one JSON object by the most forgiving parser, which allows blanks and a byte order mark in
    front, UTF-16, zeros behind, control characters, and keys that occur twice. A header that is too large to be parsed
    is recognised by its first bytes.
    """
    length = int.from_bytes(head[:8], "little")
    if not 2 <= length <= reader.size - 8 or not _OPENS.match(head, 8):
        return False
    if length > MAX_HEADER_BYTES:
        return True
    raw = head[8 : 8 + length] if len(head) >= 8 + length else reader.at(8, length)
    try:
        header = _parse(raw)
    except UnsoundError:
        return _parses_somewhere(raw)
    _judged[reader] = _judge(header, reader.size - 8 - length)
    return True


def _parses_somewhere(raw: bytes) -> bool:
    """Whether the most forgiving parser makes an object of it."""
    try:
        text = _text_of(raw)
        check_json(text, forgiving=True)
    except (NoJsonError, UnicodeError):
        return False
    except UnsoundError:
        return True  # too deep, or too much of it: some loader skips over that
    return text.lstrip()[:1] == b"{"


def _text_of(raw: bytes) -> bytes:
    """As the most forgiving reader decodes it, in UTF-8."""
    return raw.decode(json.detect_encoding(raw)).encode().rstrip(b"\0 \t\r\n")


def lint(reader: Reader) -> dict[str, int | str]:
    """Check the file, and return facts about it. Raises UnsoundError, which says what is wrong."""
    length = int.from_bytes(reader.head(8), "little")
    judged = _judged.pop(reader, None)
    tensors = tensors_of(reader) if judged is None else judged
    if isinstance(tensors, UnsoundError):
        raise tensors
    return {"tensors": tensors if isinstance(tensors, int) else len(tensors), "header_bytes": length}


def tensors_of(reader: Reader) -> list[Tensor]:
    """All tensors of a sound file, in the order of their data. Raises UnsoundError, which says what is wrong."""
    reader.position = 0
    length = reader.number(8)
    if length > MAX_HEADER_BYTES:
        raise UnsoundError(f"its header has {length} bytes, more than {MAX_HEADER_BYTES}", Trouble.BUDGET)
    return _tensors(_parse(reader.take(length)), reader.size - reader.position)


def _judge(header: dict[str, Any], size: int) -> int | UnsoundError:
    """How many tensors are in a sound file, or what is wrong: all that is kept of a header until it is asked for."""
    try:
        return len(_tensors(header, size))
    except UnsoundError as error:
        return error


def _tensors(header: dict[str, Any], size: int) -> list[Tensor]:
    """The tensors of a header that ``size`` bytes follow, in the order of their data."""
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise UnsoundError("its metadata is not a map from text to text")
    if len(header) > MAX_TENSORS:
        raise UnsoundError(f"{len(header)} tensors, more than {MAX_TENSORS}", Trouble.BUDGET)
    tensors = sorted(_tensor(name, tensor) for name, tensor in header.items())
    end = 0
    for begin, stop, name, _, _ in tensors:
        if begin != end:
            raise UnsoundError(
                f"a {'hole' if begin > end else 'tensor overlaps another'} at byte {begin} ({name[:80]!r})"
            )
        end = stop
    if end != size:
        raise UnsoundError(f"its tensors have {end} bytes, but {size} follow the header")
    return tensors


def _parse(raw: bytes) -> dict[str, Any]:
    if raw[:1] != b"{":
        raise UnsoundError("its header does not begin with a brace")
    if raw.count(b"[") + raw.count(b"{") + raw.count(b",") > _MAX_VALUES or raw.count(b'"') > _MAX_VALUES:
        raise UnsoundError(f"its header has more values than {MAX_TENSORS} tensors have", Trouble.BUDGET)
    try:
        header = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UnsoundError(f"its header is no JSON: {str(error)[:120]}") from None
    if not isinstance(header, dict) or raw.rstrip(b" ")[-1:] != b"}":
        raise UnsoundError("its header is not one object, padded by spaces")
    return header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _tensor(name: str, tensor: Any) -> Tensor:
    if not name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in name):
        raise UnsoundError(f"tensor {name[:80]!r} has half a character in its name, which loaders replace or refuse")
    if not isinstance(tensor, dict) or tensor.keys() != _FIELDS:
        raise UnsoundError(f"tensor {name[:80]!r} has not exactly dtype, shape and data_offsets")
    dtype, shape, offsets = tensor["dtype"], tensor["shape"], tensor["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise UnsoundError(f"tensor {name[:80]!r} is of unknown type {str(dtype)[:20]!r}")
    if not _are_counts(shape) or len(shape) > MAX_DIMENSIONS or not _are_counts(offsets) or len(offsets) != 2:
        raise UnsoundError(f"tensor {name[:80]!r} has a shape or offsets that are no counts")
    bits = math.prod(shape) * BITS[dtype]
    if bits > MAX_ELEMENTS * BITS[dtype] or bits % 8:
        raise UnsoundError(f"tensor {name[:80]!r} has an impossible shape")
    begin, end = offsets
    if end - begin != bits // 8:
        raise UnsoundError(f"tensor {name[:80]!r} lies on {end - begin} bytes, its shape needs {bits // 8}")
    return Tensor(begin, end, name, dtype, shape)


def _are_counts(value: Any) -> bool:
    if not isinstance(value, list):
        return False
    for number in value:  # noqa: SIM110 - twice as fast as all() on lists of two
        if type(number) is not int or not 0 <= number < 1 << 63:
            return False
    return True
