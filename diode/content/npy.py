"""Tells whether arrays of numpy can be loaded without unpickling: arrays of objects hold pickles.

Only numbers, texts and dates of fixed width are plain. Source: numpy's own reader (``numpy/lib/_format_impl.py``). A
file may hold several arrays, which are read one by one from one handle, with pickles between them. All are examined.
"""

import ast
import math
import re
from typing import Any, Final

from diode.content.archives.sources import Window
from diode.content.item import NOTHING_KNOWN
from diode.content.pickles import begins_pickle
from diode.content.reader import Reader
from diode.content.trouble import Trouble, UnsoundError

MAX_HEADER_BYTES: Final = 64 << 10  # numpy takes 10,000 unless told otherwise; parsing takes hundreds of times as much
MAX_HEADERS_BYTES: Final = 2 << 20  # of all arrays of a file: some seconds
_BUDGET_BEHIND_BYTES: Final = 64 << 20  # of what is read of a pickle behind the arrays
MAX_ARRAYS: Final = 10_000
MAGIC: Final = b"\x93NUMPY"
_ENCODINGS: Final = {1: "latin-1", 2: "latin-1", 3: "utf-8"}
_KEYS: Final = {"descr", "fortran_order", "shape"}
_LONG: Final = re.compile(r"\b([0-9]+)L\b")  # as Python 2 wrote numbers
_PLAIN: Final = re.compile(r"[<>|=]?(?:([biufcSUVa])([0-9]{1,9})|[mM]8(?:\[[0-9]*[A-Za-z]+\])?|(\?))")


def is_plain(reader: Reader) -> bool:
    """Whether all arrays that the file says it holds can be loaded without unpickling.

    The file must begin with an array.

    No pickle may follow them either, because numpy takes it for the next array. Raises UnsoundError for more than
    MAX_ARRAYS.
    """
    offset = headers = 0
    for _ in range(MAX_ARRAYS):
        version, begin, length = _place_of_header(reader, offset)
        headers += min(length, MAX_HEADER_BYTES)
        if headers > MAX_HEADERS_BYTES:
            break
        end = _end_of_plain(reader, version, begin, length)
        if end is None:
            return False
        if end >= reader.size:
            return True
        if reader.at(end, len(MAGIC)) != MAGIC:
            left = reader.size - end
            behind = Reader(Window(reader.file, end, left), left, _BUDGET_BEHIND_BYTES)  # type: ignore[arg-type]
            return not begins_pickle(behind, "", NOTHING_KNOWN)
        offset = end
    raise UnsoundError(f"more than {MAX_ARRAYS} arrays, or {MAX_HEADERS_BYTES} bytes of headers", Trouble.BUDGET)


def _place_of_header(reader: Reader, offset: int) -> tuple[int, int, int]:
    """Of the array at ``offset``: its format's version (0: too short), where its header begins, and how long it is."""
    head = reader.at(offset + len(MAGIC), 6)
    if len(head) < 6:
        return 0, offset, 0
    width = 2 if head[0] == 1 else 4
    length = int.from_bytes(head[2 : 2 + width], "little")
    return head[0], offset + len(MAGIC) + 2 + width, length


def _end_of_plain(reader: Reader, version: int, begin: int, length: int) -> int | None:
    """Where the array ends that has this header; None: it is not plain, or no reader knows it."""
    if version not in _ENCODINGS or length > MAX_HEADER_BYTES:
        return None
    try:
        header = _parsed(reader.at(begin, length), version)
        count = math.prod(_shape(header["shape"]))
        return begin + length + count * _size(header["descr"])
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _parsed(header: bytes, version: int) -> dict[str, Any]:
    """The header's dictionary, as numpy reads it. Raises what numpy raises."""
    text = header.decode(_ENCODINGS[version]).strip()
    try:
        found = ast.literal_eval(text)
    except SyntaxError:
        if version > 2:
            raise
        found = ast.literal_eval(_LONG.sub(r"\1", text))
    if not isinstance(found, dict) or found.keys() != _KEYS:
        raise ValueError
    return found


def _shape(shape: Any) -> tuple[int, ...]:
    """Raises ValueError for what is none."""
    if not isinstance(shape, tuple) or not all(isinstance(count, int) and 0 <= count < 1 << 63 for count in shape):
        raise ValueError
    return shape


def _size(descr: Any) -> int:
    """The bytes of one element of a plain type: a name, (type, shape), or fields. Raises ValueError for any other."""
    if isinstance(descr, str):
        found = _PLAIN.fullmatch(descr)
        if not found:
            raise ValueError
        letter, width, truth = found.groups()
        return 1 if truth else int(width) * (4 if letter == "U" else 1) if letter else 8
    if isinstance(descr, tuple) and len(descr) == 2:
        shape = descr[1] if isinstance(descr[1], tuple) else (descr[1],)
        return _size(descr[0]) * math.prod(_shape(shape))
    if not isinstance(descr, list) or not all(isinstance(field, tuple) and len(field) in (2, 3) for field in descr):
        raise ValueError
    return sum(_size(field[1] if len(field) == 2 else field[1:]) for field in descr)
