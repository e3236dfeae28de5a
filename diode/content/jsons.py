"""JSON from strangers, parsed in little memory: nobody wants its values, only whether it is JSON, and a few names."""

import codecs
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from diode.content.allowance import Allowance

_BYTES_PER_VALUE: Final = 80  # a list, a text or a number, and its place in a list
_FREE_BYTES: Final = 72 << 20  # that need not be lent: so much is left beside all that is

_ASCII: Final = bytes(range(0x80)) + b"?" * 0x80

Pairs = list[tuple[str, Any]]


def structure(data: bytes) -> str:
    """As :func:`decoded`, of a part of which nobody wants the texts: those of ASCII take the least memory."""
    return data.translate(_ASCII).decode("ascii")


def decoded(data: bytes) -> str:
    """What to parse of UTF-8: each byte as a character, since one outside of Latin-1 would make all take four bytes.

    What texts say is the same as long as it is ASCII; :func:`said` tells the others.
    """
    return data.removeprefix(codecs.BOM_UTF8).decode("latin-1")


def parse(text: str, see: Callable[[Pairs], Any]) -> Any:
    """What a text says as JSON; ``see`` says what becomes of an object. Raises ValueError, RecursionError."""
    return json.loads(text, object_pairs_hook=see)


def said(text: str) -> str:
    """A text of what was parsed, as far as it can be told."""
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


@contextmanager
def memory_for(size: int, values: int, allowance: Allowance | None) -> Iterator[None]:
    """Borrow what parsing takes, where archives take memory, too. Raises UnsoundError when it is not there."""
    need = max(0, size + max(size, values * _BYTES_PER_VALUE) - _FREE_BYTES)
    if allowance is None:
        yield
        return
    allowance.take_memory(need)
    try:
        yield
    finally:
        allowance.give_memory(need)
