"""Reads JSON more strictly than the standard does, so that no two readers can understand a text differently.

Signed texts and heartbeats must also be canonical: they are compared with what :mod:`diode.formats.canonical` writes
(docs/bundle-format.md, section "Canonical JSON"). An envelope need not be canonical; only the rules here apply to it.
"""

import json
from typing import Any, Final

MAX_NESTING: Final = 16  # arrays and objects inside one another
MAX_DIGITS: Final = 19  # of an integer: 2^63 - 1 has so many


def read_json(text: bytes) -> Any:
    """The value of a JSON text. Raises ValueError.

    The text must be UTF-8 without a byte order mark. An object must not have a key twice. A number must have no
    fraction, no exponent and at most MAX_DIGITS digits. A text must not hold half of a surrogate pair. Nothing may be
    nested deeper than MAX_NESTING.
    """
    try:
        value = _DECODER.decode(text.decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    _check_nesting(value)
    if b"\\u" in text:
        _check_characters(value)
    return value


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's keys and values, for any JSON decoder. Raises ValueError for a key that is there twice."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key is there twice")
    return value


def _integer(digits: str) -> int:
    if len(digits.removeprefix("-")) > MAX_DIGITS:
        raise ValueError("a number is too long")
    return int(digits)


def _refuse_number(number: str) -> Any:
    raise ValueError(f"{number[:20]} is not an integer")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=without_doubles,
    parse_int=_integer,
    parse_float=_refuse_number,
    parse_constant=_refuse_number,
)


def _check_characters(value: Any) -> None:
    """Refuse half of a surrogate pair: it is no character, and readers either refuse it or replace it."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair is there") from None


def _check_nesting(value: Any) -> None:
    level = [value]
    for _ in range(MAX_NESTING + 1):
        level = [inner for inner in level if isinstance(inner, dict | list)]
        if not level:
            return
        level = [inner for outer in level for inner in _children(outer)]
    raise ValueError("it is nested too deeply")


def _children(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value
