"""Sizes, spans, moments and states as people say them."""

import time
from calendar import timegm
from typing import Final, Protocol

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB", "PB")
_STEP: Final = 1000
_SPANS: Final = ((86_400, "day"), (3600, "h"), (60, "min"), (1, "s"))
_DAY_S: Final = 86_400


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
