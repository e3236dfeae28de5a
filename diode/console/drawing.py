"""Draws tables and bars on a terminal. Every cell is escaped (:mod:`diode.formats.escape`).

Markup of ``rich`` is switched off: a bracket in a name stays a bracket.
"""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from diode.formats.escape import escape_lines


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
