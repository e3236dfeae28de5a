"""The lag of each channel as a picture: a bar against its budget, in a terminal or in one SVG file. Pure.

Every bar of a picture has the same scale. What is breached is said in words, so that no reader needs colours.
"""

import html
from collections.abc import Sequence
from typing import Final

from diode.formats.escape import escape
from receiver.catalogue.lag import Lag, State

BAR: Final = 30  # characters
LEGEND: Final = "| where people are warned, ! where it is a breach"
WORDS: Final = {
    State.WITHIN: "within budget",
    State.WARN: "WARN",
    State.BREACH: "BREACH",
    State.CLOCK: "CLOCK?",
    State.EMPTY: "nothing yet",
}
_STEPS: Final = "▁▂▃▄▅▆▇█"
_LEFT: Final = 220  # pixels, where the bars begin; further right where a channel's name is long
_LETTER: Final = 8  # pixels of a name's letter, which is of a font whose letters are equally wide
_BESIDE: Final = 640  # pixels of the bars, and of the words at their right
_PLOT: Final = 400  # their longest
_ROW: Final = 34
_FILL: Final = {State.WITHIN: "#2f7d4f", State.WARN: "#b7791f", State.BREACH: "#b42318"}
_NAME: Final = 'text-anchor="end" font-family="DejaVu Sans Mono, Liberation Mono, monospace"'
_STYLE: Final = 'font-family="DejaVu Sans, Liberation Sans, Arial, sans-serif" font-size="13" fill="#16202a"'


def scale_of(rows: Sequence[Lag]) -> float:
    """The days that the longest bar stands for: every budget and every age fits."""
    return max((max(row.days or 0.0, row.budget.breach_days) for row in rows), default=1.0) * 1.1


def bar(row: Lag, scale: float) -> str:
    """The bar of one channel, BAR characters wide."""
    filled = _place(row.days or 0.0, scale)
    cells = ["█"] * filled + ["·"] * (BAR - filled)
    cells[_place(row.budget.warn_days, scale)] = "|"
    cells[_place(row.budget.breach_days, scale)] = "!"
    return "".join(cells)


def _place(days: float, scale: float) -> int:
    return min(BAR - 1, max(0, int(days / scale * BAR)))


def steps(arrivals: Sequence[float]) -> str:
    """The lag after each of the last arrivals, one character each: the highest is the largest of them."""
    most = max(arrivals, default=0.0) or 1.0
    return "".join(_STEPS[min(7, max(0, int(each / most * 7.99)))] for each in arrivals)


def svg(rows: Sequence[Lag], at: str) -> str:
    """One SVG document, without scripts and without anything from elsewhere. ``at``: when the ages were taken."""
    scale, height = scale_of(rows), 70 + _ROW * len(rows)
    left = max(_LEFT, 28 + _LETTER * max((len(escape(row.channel)) for row in rows), default=0))
    width = left + _BESIDE
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" {_STYLE} role="img">'
    parts = [
        head,
        f"<title>Lag of each channel at {_text(at)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="26" font-size="16" font-weight="600">Lag of each channel, {_text(at)}</text>',
    ]
    for number, row in enumerate(rows):
        parts += _row(row, left, 48 + _ROW * number, scale)
    legend = "dashed: where people are warned; solid: where it is a breach"
    parts.append(f'<text x="{left}" y="{height - 10}" font-size="11" fill="#51606e">{legend}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _row(row: Lag, left: int, top: int, scale: float) -> list[str]:
    width = max(0.0, (row.days or 0.0) / scale * _PLOT)
    fill, middle = _FILL.get(row.state, "#8894a0"), top + 15
    edge = ' stroke="#16202a" stroke-width="2"' if row.state == State.BREACH else ""
    age = "" if row.days is None else f"{_days(row.days)}, "
    return [
        f'<text x="{left - 12}" y="{middle}" {_NAME}>{_text(row.channel)}</text>',
        f'<rect x="{left}" y="{top}" width="{_PLOT}" height="20" fill="#eef1f4"/>',
        f'<rect x="{left}" y="{top}" width="{width:.1f}" height="20" fill="{fill}"{edge}/>',
        _mark(row.budget.warn_days, left, top, scale, ' stroke-dasharray="3 3"'),
        _mark(row.budget.breach_days, left, top, scale, ""),
        f'<text x="{left + _PLOT + 12}" y="{middle}">{age}{WORDS[row.state]}</text>',
    ]


def _days(days: float) -> str:
    """Whole days, towards zero, as the table has them."""
    return f"{int(days)} day" if int(days) == 1 else f"{int(days)} days"


def _mark(days: float, left: int, top: int, scale: float, dashes: str) -> str:
    x = left + days / scale * _PLOT
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 4}" y2="{top + 24}" stroke="#16202a" stroke-width="2"{dashes}/>'


def _text(said: str) -> str:
    return html.escape(escape(said))
