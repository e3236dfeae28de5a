"""The only module that prints: whatever it prints or asks is escaped first (:mod:`diode.formats.escape`).

A test (``tests/test_architecture.py``) checks that nothing else in the project prints. So no name, reason or error that
a stranger chose can send control characters to a terminal. :mod:`diode.console.drawing` draws tables and bars, and
escapes them as well.
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
    """Print ``value`` as JSON in ASCII, for machines. JSON's own escapes keep control characters from the terminal."""
    print(json.dumps(value, indent=indent), flush=True)


def say_bytes(line: bytes) -> None:
    """Write a line to standard output byte for byte, to be verified elsewhere. On a terminal it is escaped."""
    if sys.stdout.isatty():
        say(line.decode(errors="replace"))
    else:
        sys.stdout.buffer.write(line + b"\n")


def say_ours(text: str) -> None:
    """Print text that contains only characters we chose, without escaping: rules for ``nft``, or a QR code."""
    print(text, flush=True)


def ask(question: str) -> bool:
    """Ask a question on the terminal. Any answer but yes counts as no."""
    return typer.confirm(escape(question))
