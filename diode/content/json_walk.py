"""Checks JSON without building its values, so that the memory needed does not grow with the number of values.

It accepts what Python's own reader accepts, including NaN and Infinity, except that the length of whole numbers is not
limited.
"""

import re
from typing import Final

from diode.content.trouble import Trouble, UnsoundError

MAX_DEPTH: Final = 900
MAX_STEPS: Final = 2 << 20  # containers that hold others, some 2 microseconds each

_BLANKS: Final = rb"[ \t\n\r]*+"
_NUMBER: Final = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][-+]?[0-9]++)?+"
_ESCAPE: Final = rb'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
_CLOSING: Final = {b"{"[0]: b"}"[0], b"["[0]: b"]"[0]}
_OPEN: Final = re.compile(_BLANKS + rb"[{\[]")
_NEXT: Final = re.compile(_BLANKS + rb"[,}\]]")
_REST: Final = re.compile(_BLANKS)


class NoJsonError(ValueError):
    """The text is no JSON object and no JSON list."""


def _items(text: bytes) -> dict[int, re.Pattern[bytes]]:
    """What stands in an object and in a list, up to its end or to the opening of something that is not flat."""
    scalar = b"(?:" + b"|".join((text, _NUMBER, rb"true|false|null|NaN|-?Infinity")) + b")" + _BLANKS
    named = _BLANKS + text + _BLANKS + b":" + _BLANKS
    flat = (
        rb"(?:"
        + scalar
        + (rb"|\[" + _BLANKS + b"(?:" + scalar + b"(?:," + _BLANKS + scalar + rb")*+)?+\]" + _BLANKS)
        + (rb"|\{(?:" + named + scalar + b"(?:," + named + scalar + b")*+|" + _BLANKS + rb")\}" + _BLANKS)
        + b")"
    )
    return {
        b"{"[0]: re.compile(b"(?:" + named + flat + b",)*+" + named + b"(?:" + flat + rb"\}|[{\[])"),
        b"["[0]: re.compile(b"(?:" + _BLANKS + flat + b",)*+" + _BLANKS + b"(?:" + flat + rb"\]|[{\[])"),
    }


_STRICT: Final = _items(rb'"(?:[^"\\\x00-\x1f]++|' + _ESCAPE + rb')*+"')
_FORGIVING: Final = _items(rb'"(?:[^"\\]++|' + _ESCAPE + rb')*+"')


def check_json(data: bytes, *, forgiving: bool = False) -> None:
    """Raise NoJsonError unless all of ``data`` is one object or list. It must be UTF-8, which is not checked.

    ``forgiving`` allows control characters in texts. Raises UnsoundError for too many or too deeply nested values.
    """
    end = end_of(data, 0, forgiving=forgiving)
    if _REST.match(data, end).end() != len(data):  # type: ignore[union-attr]
        raise NoJsonError


def end_of(data: bytes, at: int, *, forgiving: bool = False) -> int:
    """Find the end of the object or list that begins at ``at``, after blanks. Raises as :func:`check_json` does."""
    opening = _OPEN.match(data, at)
    if not opening:
        raise NoJsonError
    items, at = _FORGIVING if forgiving else _STRICT, opening.end()
    within, is_fresh = bytearray(data[at - 1 : at]), True
    for _ in range(MAX_STEPS):
        found = is_fresh and _NEXT.match(data, at)
        if not found or data[found.end() - 1] != _CLOSING[within[-1]]:
            found = items[within[-1]].match(data, at)
        if not found:
            raise NoJsonError
        at = found.end()
        if is_fresh := data[at - 1] in _CLOSING:
            within.append(data[at - 1])
            if len(within) > MAX_DEPTH:
                raise UnsoundError(f"its JSON is more than {MAX_DEPTH} deep", Trouble.BUDGET)
        elif (at := _leave(data, at, within)) and not within:
            return at
    raise UnsoundError(f"its JSON has more than {MAX_STEPS} objects and lists that hold others", Trouble.BUDGET)


def _leave(data: bytes, at: int, within: bytearray) -> int:
    """Out of what ends in front of ``at``, and of all that ends with it; where the next item is, or the end."""
    while True:
        within.pop()
        if not within:
            return at
        found = _NEXT.match(data, at)
        if not found:
            raise NoJsonError
        at = found.end()
        if data[at - 1] == b","[0]:
            return at
        if data[at - 1] != _CLOSING[within[-1]]:
            raise NoJsonError
