"""Prints long lists in columns: as wide as their longest cell, and never wrapped, so that a line is a row.

:mod:`diode.console.bundles` draws short tables that fit a terminal. Ten thousand rows take it seconds.
"""

from collections.abc import Sequence

from diode.console.terminal import say
from diode.formats.escape import escape

_GAP = "  "


def say_columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a head and the rows below it; every cell is escaped before its width is measured."""
    cells = [head, *([escape(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    say(*(_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells))
