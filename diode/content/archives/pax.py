"""Reads extended headers of tar archives: lines ``LENGTH KEY=VALUE`` that describe the next member."""

import re
from typing import Final

from diode.content.archives.tar_headers import MAX_SIZE
from diode.content.trouble import Trouble, UnsoundError

MAX_BYTES: Final = 4 << 20  # of one extended header; most have a hundred
LEAST_LARGE: Final = 8 << 30  # a size from here on does not fit into a header's octal digits
_RECORD: Final = re.compile(rb"([1-9][0-9]{0,7}) ([^=\n]+)=", re.DOTALL)
_NUMBER: Final = re.compile(rb"[0-9]{1,19}")
_MANY: Final = frozenset((b"GNU.sparse.offset", b"GNU.sparse.numbytes"))  # a key that comes once for each part

Records = dict[bytes, bytes]


def read_records(data: bytes) -> tuple[Records, list[tuple[bytes, bytes]]]:
    """Read the records: (those by key, those whose key may occur often). Raises UnsoundError for an inexact line."""
    once: Records = {}
    often: list[tuple[bytes, bytes]] = []
    at = 0
    while at < len(data):
        found = _RECORD.match(data, at, at + 512)
        if found is None:
            raise UnsoundError("an extended header that readers do not read alike", Trouble.AMBIGUOUS)
        end, key = at + int(found[1]), found[2]
        if end > len(data) or end <= found.end() or data[end - 1 : end] != b"\n":
            raise UnsoundError("an extended header that readers do not read alike", Trouble.AMBIGUOUS)
        value = data[found.end() : end - 1]
        if key in _MANY:
            often.append((key, value))
        elif once.setdefault(key, value) != value:
            raise UnsoundError("an extended header that says two things of one", Trouble.AMBIGUOUS)
        at = end
    return once, often


def size_of(records: Records, told: int) -> int:
    """A member's size, when its header told ``told``. Raises UnsoundError when some readers believe the header."""
    if (text := records.get(b"size")) is None:
        return told
    size = number(text)
    if size != told and (size < LEAST_LARGE or told not in (0, size % LEAST_LARGE, LEAST_LARGE - 1)):
        raise UnsoundError("two sizes, of which readers believe one or the other", Trouble.AMBIGUOUS)
    return size


def number(text: bytes) -> int:
    """A decimal number. Raises UnsoundError for any other text."""
    if not _NUMBER.fullmatch(text) or int(text) > MAX_SIZE:
        raise UnsoundError("a number of an extended header that is none", Trouble.AMBIGUOUS)
    return int(text)
