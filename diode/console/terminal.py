"""The only way to a terminal: whatever is printed, drawn or asked here is escaped first (:mod:`diode.formats.escape`).

Nothing else in this project prints (``tests/test_architecture.py``), so that no name, reason or error that a stranger
chose reaches a terminal as it is. Markup of ``rich`` is off: a bracket in a name is a bracket.
"""

import json
import sys
from collections.abc import Iterable
from typing import Any, TextIO

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from diode.formats.escape import escape, escape_lines


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


def new_console(*, stderr: bool = False) -> Console:
    """A terminal for tables and bars. Every cell is plain text."""
    return _EscapingConsole(stderr=stderr, markup=False, emoji=False)


class _EscapingConsole(Console):
    """Text becomes cells in one method of ``rich``, and cells become what is written in another; both are here."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Strings: escaped before their width is measured."""
        return super().render_str(escape_lines(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Whatever else is drawn, such as the label of a bar: escaped late, and perhaps cut at its column's width."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(escape_lines(segment.text), segment.style)
