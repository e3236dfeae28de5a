"""Arrays of numpy: those of objects are pickles. Only numbers, texts and dates of fixed width are plain."""

import ast
import re
from typing import Any, Final

from diode.content.reader import Reader

MAX_HEADER_BYTES: Final = 64 << 10
_MAGIC_BYTES: Final = 6
_PLAIN: Final = re.compile(r"[<>|=]?([biufcSUVa][0-9]+|[mM]8(\[[0-9]*[A-Za-z]+\])?|\?)")


def is_plain(reader: Reader) -> bool:
    """Whether the array that the file says it holds can be loaded without unpickling."""
    head = reader.at(_MAGIC_BYTES, 6)
    width = 2 if head[:1] == b"\x01" else 4
    length = int.from_bytes(head[2 : 2 + width], "little")
    if len(head) < 6 or head[0] not in (1, 2, 3) or length > MAX_HEADER_BYTES:
        return False
    try:
        header = ast.literal_eval(reader.at(_MAGIC_BYTES + 2 + width, length).decode().strip())
        return isinstance(header, dict) and _is_plain(header.get("descr"))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False


def _is_plain(descr: Any) -> bool:
    """A type by its name, or a list of (name, type) or (name, type, shape)."""
    if isinstance(descr, str):
        return _PLAIN.fullmatch(descr) is not None
    if not isinstance(descr, list) or not descr:
        return False
    return all(isinstance(item, tuple) and len(item) in (2, 3) and _is_plain(item[1]) for item in descr)
