"""Moments as people type them, such as ``2026-11-29``, ``2026-11-29 14:05``, ``14:05`` or ``3d``, and whole times."""

import re
import time
from calendar import timegm
from typing import Final

from diode.errors import UsageError

_AGO: Final = re.compile(r"([0-9]{1,6}) ?(s|min|m|h|d|w)")
_SECONDS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_FORMS: Final = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")
_UTC: Final = "%Y-%m-%dT%H:%M:%SZ"


def moment_of(text: str, now_s: float) -> str:
    """A moment of RFC 3339 in UTC. What is typed is local time, unless it ends in Z. Raises UsageError."""
    if ago := _AGO.fullmatch(text):
        return time.strftime(_UTC, time.gmtime(now_s - int(ago[1]) * _SECONDS[ago[2]]))
    today = time.strftime("%Y-%m-%d ", time.localtime(now_s))
    for form, words in ((form, words) for form in _FORMS for words in (text, today + text)):
        try:
            parsed = time.strptime(words.removesuffix("Z"), form)
            seconds = timegm(parsed) if words.endswith("Z") else time.mktime((*parsed[:8], -1))
            return time.strftime(_UTC, time.gmtime(seconds))
        except (ValueError, OverflowError):
            continue
    raise UsageError(f"{text!r} is no moment such as 2026-11-29, '2026-11-29 14:05', 14:05, 30min, 12h or 3d (ago)")


def whole_time(at: str) -> str:
    """A moment of RFC 3339 in UTC, as date and time of day on this host's wall."""
    try:
        seconds = timegm(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return at
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
