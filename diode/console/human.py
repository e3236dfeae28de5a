"""Sizes, spans, moments, names and states as people say them."""

import re
import time
import unicodedata
from calendar import timegm
from typing import Final, Protocol

from diode.errors import UsageError
from diode.formats.escape import escape
from diode.formats.timestamps import moment

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB", "PB")
_STEP: Final = 1000
_SPANS: Final = ((86_400, "day"), (3600, "h"), (60, "min"), (1, "s"))
_DAY_S: Final = 86_400
_AGO: Final = re.compile(r"([0-9]{1,6}) ?(s|min|h|d|days?|w|weeks?)", re.ASCII)
_AGO_S: Final = {"s": 1, "min": 60, "h": 3600, "d": _DAY_S, "w": 7 * _DAY_S}
_ON_THE_WALL: Final = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S")
_CUT: Final = "\N{HORIZONTAL ELLIPSIS}"


class HasState(Protocol):
    """A bundle's row in the ledger of either side."""

    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def detail(self) -> str: ...  # noqa: D102


def state_of(row: HasState) -> str:
    """The state of a bundle and its detail, as one text."""
    return row.state + (f": {row.detail}" if row.detail else "")


def size_text(size: float) -> str:
    """``12.3 GB``; of whole bytes ``512 bytes``."""
    if round(size) == 1:
        return "1 byte"
    number, unit = float(size), 0
    while number >= _STEP and unit < len(_UNITS) - 1:
        number, unit = number / _STEP, unit + 1
    return f"{number:.0f} {_UNITS[unit]}" if unit == 0 or number >= 100 else f"{number:.1f} {_UNITS[unit]}"


def span_text(seconds: float) -> str:
    """``3 min``, ``2 h``, ``5 days``; under a second ``0 s``."""
    for length, word in _SPANS:
        if (count := round(seconds / length)) >= 1 and seconds >= length:
            return f"{count} {word}s" if word == "day" and count > 1 else f"{count} {word}"
    return "0 s"


def moment_text(at: str, now_s: float) -> str:
    """A moment of RFC 3339 in UTC, by the clock on this host's wall: ``14:05`` of today, ``Nov 28 14:05`` before."""
    try:
        seconds = timegm(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return at
    there, here = time.localtime(seconds), time.localtime(now_s)
    is_today = there[:3] == here[:3]
    form = "%H:%M" if is_today else "%b %d %H:%M" if abs(now_s - seconds) < 300 * _DAY_S else "%Y-%m-%d"
    return time.strftime(form, there)


def since_of(text: str, now_s: float) -> str:
    """The moment that a person means by ``2h``, ``3 days``, ``14:05``, ``2026-11-28`` or ``2026-11-28T14:05:00Z``.

    Without ``Z`` it is by the clock on this host's wall. As RFC 3339 in UTC. Raises UsageError.
    """
    if ago := _AGO.fullmatch(text):
        unit = ago[2] if ago[2] in _AGO_S else ago[2][0]
        return moment(max(0.0, now_s - int(ago[1]) * _AGO_S[unit]))
    try:
        if text.endswith("Z"):
            return moment(timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
        today = time.strftime("%Y-%m-%d ", time.localtime(now_s))
        return moment(time.mktime(_wall_time(today + text if re.fullmatch("[0-9]{1,2}:[0-9]{2}", text) else text)))
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is no time: say 2h, 3 days, 14:05, 2026-11-28 or 2026-11-28T14:05:00Z") from None


def _wall_time(text: str) -> time.struct_time:
    for form in _ON_THE_WALL:
        try:
            return time.strptime(text, form)
        except ValueError:
            continue
    raise ValueError(text)


def cells_of(text: str) -> int:
    """How many places of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def shortened(text: str, most: int) -> str:
    """``text``, escaped, in at most ``most`` places of a terminal: its middle is left out, since both ends tell it."""
    text = escape(text)
    if cells_of(text) <= most:
        return text
    tail = _fitting(text[::-1], most // 2)[::-1]
    return _fitting(text, most - 1 - cells_of(tail)) + _CUT + tail


def _fitting(text: str, most: int) -> str:
    """As many characters of the beginning as fit."""
    end = 0
    for character in text:
        most -= cells_of(character)
        if most < 0:
            break
        end += 1
    return text[:end]
