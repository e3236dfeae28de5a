"""The lines of ``status`` of both sides, as wide as the terminal: ids are whole, labels are cut in the middle."""

import shutil
from collections.abc import Mapping, Sequence
from typing import Any, Final

from diode.console.human import moment_text, shortened, size_text, span_text

USUAL_WIDTH: Final = 80  # where nobody says how wide it is
_LEAST_LABEL: Final = 8
_HANGING: Final = "    "


def terminal_width() -> int:
    """As many places has a line. The environment's COLUMNS goes before what the terminal says."""
    return max(40, shutil.get_terminal_size((USUAL_WIDTH, 24)).columns)


def moving_line(one: Mapping[str, Any], width: int, note: str = "") -> str:
    """A bundle that is being transferred: percent, rate, and how long it takes yet."""
    total, rate = one["total_bytes"], one.get("bytes_per_s")
    done = f"{100 * one['done_bytes'] // total if total else 100} %"
    left = "paused" if one.get("paused") else "" if one["eta_s"] is None else span_text(one["eta_s"])
    speed = "INCOMPLETE" if one.get("incomplete") else f"{size_text(rate)}/s" if rate else ""
    return ended(f"  {one['id']}  {size_text(total):>8}  {done:>5}  {speed:>10}  {left:<7} ", one["label"], width, note)


def bundle_line(one: Mapping[str, Any], at: str, state: str, width: int, now_s: float) -> str:
    """A bundle of the ledger: since when it is as it is, and in which state."""
    begun = f"  {one['id']}  {size_text(one['size']):>8}  {moment_text(at, now_s):<12}  {state:<10} "
    return ended(begun, one["label"], width)


def ended(begun: str, label: str, width: int, note: str = "") -> str:
    """A line that ends with a label, in the places that are left, and a short note."""
    return begun + " " + shortened(label, max(_LEAST_LABEL, width - len(begun) - 1 - len(note))) + note


def hanging(text: str, width: int) -> str:
    """A detail below a line, cut in its middle."""
    return _HANGING + shortened(text, width - len(_HANGING))


def wrapped(text: str, width: int, indent: str = "  ") -> list[str]:
    """A sentence with nothing left out, over as many lines as it takes."""
    import textwrap

    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False)


def headed(head: str, lines: Sequence[str], shown: int, count: int, more: str) -> list[str]:
    """A section about ``count`` things of which so many are ``shown``, and what shows the others. None: no section."""
    left_out = [f"  and {count - shown} more: {more}"] if count > shown else []
    return [head, *lines, *left_out] if count else []
