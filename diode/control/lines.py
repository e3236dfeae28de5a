"""Lines of the control socket: a greeting, then a request and an answer in turn. Each is one JSON object.

::

    daemon   {"control":1,"side":"sender","version":"0.9.0"}
    command  {"say":"Cancel","bundle":"5f0c...","why":"..."}
    daemon   {"ok":true,"said":{...}}           or  {"ok":false,"error":"...","code":2}

A request is a message of the side's vocabulary (:mod:`diode.process.vocabulary`). The number in the greeting rises
when a line changes its meaning; a field that is added to an answer does not raise it.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple

from diode.errors import MessageError
from diode.formats.strict_json import read_json

CONTROL: Final = 1
SOCKET: Final = "control.sock"
GREETING_BYTES: Final = 1 << 10
REQUEST_BYTES: Final = 64 << 10
ANSWER_BYTES: Final = 8 << 20

Side = Literal["sender", "receiver"]


class Greeting(NamedTuple):
    """What a daemon says first. ``version``: of its program."""

    control: int
    side: str
    version: str


class Failed(NamedTuple):
    """The daemon did not do what it was asked, and nothing has changed. ``code``: the command's exit code."""

    error: str
    code: int


def greet(side: Side, version: str) -> bytes:
    """The first line."""
    return _line({"control": CONTROL, "side": side, "version": version})


def greeted(line: bytes) -> Greeting:
    """Read the first line. Raises MessageError."""
    said = _read(line, GREETING_BYTES)
    match said:
        case {"control": int(control), "side": str(side), "version": str(version)}:
            return Greeting(control, side, version)
    raise MessageError("?", "it does not greet as a daemon does")


def answer(said: Mapping[str, Any]) -> bytes:
    """The line for what was done. Raises ValueError for an answer that is too long."""
    return _line({"ok": True, "said": said})


def failure(failed: Failed) -> bytes:
    """The line for what was not done."""
    return _line({"ok": False, "error": failed.error[:REQUEST_BYTES], "code": failed.code})


def answered(line: bytes) -> dict[str, Any] | Failed:
    """Read an answer. Raises MessageError.

    It may hold fractions, and names that are not UTF-8, as the standard's JSON does: who listens is known by now.
    """
    match _read(line, ANSWER_BYTES, json.loads):
        case {"ok": True, "said": dict(said)}:
            return said
        case {"ok": False, "error": str(error), "code": int(code)}:
            return Failed(error, code)
    raise MessageError("?", "it does not answer as a daemon does")


def _line(said: Mapping[str, Any]) -> bytes:
    line = json.dumps(said, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    if len(line) > ANSWER_BYTES:
        raise ValueError(f"an answer of {len(line)} bytes is too long")
    return line


def _read(line: bytes, most: int, reader: Callable[[bytes], Any] = read_json) -> Any:
    if len(line) > most:
        raise MessageError("?", f"a line of more than {most} bytes")
    try:
        return reader(line)
    except (ValueError, RecursionError) as error:
        raise MessageError("?", str(error)) from None
