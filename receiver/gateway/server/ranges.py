"""Which bytes of a file a request asks for (RFC 9110, 14.1.2). One range, or the end of a file; several are ignored."""

import re
from typing import Final, NamedTuple

# a number longer than any file needs is no number
_ONE: Final = re.compile(r"bytes\s*=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.IGNORECASE | re.ASCII)


class Span(NamedTuple):
    """Bytes from ``first`` on, ``length`` of them."""

    first: int
    length: int


class UnsatisfiableError(ValueError):
    """The file has none of the bytes that are asked for."""


def span_of(wanted: str, size: int) -> Span | None:
    """The bytes of a Range header; None: it does not count, and the whole file is sent. Raises UnsatisfiableError.

    A server may ignore a header that it does not want to follow. It must ignore one that it cannot read.
    """
    found = _ONE.fullmatch(wanted)
    if not found or not any(found.groups()):
        return None
    begin, end = found.groups()
    if not begin:
        count = min(int(end), size)
        if not count:
            raise UnsatisfiableError(wanted)
        return Span(size - count, count)
    if end and int(end) < int(begin):
        return None
    if int(begin) >= size:
        raise UnsatisfiableError(wanted)
    last = min(int(end), size - 1) if end else size - 1
    return Span(int(begin), last - int(begin) + 1)
