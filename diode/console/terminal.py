"""The only way to a terminal: whatever is printed or asked here is escaped first (:mod:`diode.formats.escape`).

Nothing else in this project prints (``tests/test_architecture.py``), so that no name, reason or error that a stranger
chose reaches a terminal as it is. Tables and bars are drawn by :mod:`diode.console.drawing`, which escapes them, too.
"""

import json
import sys
from typing import Any, TextIO

import typer

from diode.formats.escape import escape


def say(*lines: str, file: TextIO | None = None) -> None:
    """Print each of ``lines`` as one line, escaped; on standard output unless ``file`` is given."""
    print(*map(escape, map(str, lines)), sep="\n", file=file, flush=True)


def say_json(value: Any, *, indent: int | None = None) -> None:
    """Print ``value`` as JSON in ASCII, for machines: exact, and nothing in it reaches a terminal as it is."""
    print(json.dumps(value, indent=indent), flush=True)


def say_bytes(line: bytes) -> None:
    """Write a line to standard output byte for byte, to be verified elsewhere; escaped where it is a terminal."""
    if sys.stdout.isatty():
        say(line.decode(errors="replace"))
    else:
        sys.stdout.buffer.write(line + b"\n")


def say_ours(text: str) -> None:
    """Print text that is ours to the last character, as it stands: a table for ``nft``, a QR code."""
    print(text, flush=True)


def ask(question: str) -> bool:
    """Ask on the terminal; the answer is no unless it is yes."""
    return typer.confirm(escape(question))
