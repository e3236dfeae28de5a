"""Writes and checks times in signed texts (docs/bundle-format.md, section "Times"): RFC 3339 in UTC, to the second.

Of two such texts, the later time sorts later.
"""

import calendar
import re
import time
from typing import Final

_SHAPE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z", re.ASCII)
_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def check_moment(text: str) -> str:
    """Return the text, if it is ``YYYY-MM-DDThh:mm:ssZ`` and that day and second exist. Raises ValueError otherwise.

    Years are 0001 to 9999 of the Gregorian calendar. A leap second (23:59:60) is refused; no sender writes one.
    """
    found = _SHAPE.fullmatch(text)
    if found is None:
        raise ValueError("a time is written YYYY-MM-DDThh:mm:ssZ")
    year, month, day, hour, minute, second = map(int, found.groups())
    is_day = year > 0 and 1 <= month <= 12 and 1 <= day <= _days_in(year, month)
    if not is_day or hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"there is no time {text}")
    return text


def _days_in(year: int, month: int) -> int:
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _DAYS[month - 1] + (month == 2 and is_leap)


def moment(seconds: float) -> str:
    """The text for a time in seconds since 1970."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def seconds_of(at: str) -> int:
    """A moment in seconds since 1970."""
    return calendar.timegm(time.strptime(at, "%Y-%m-%dT%H:%M:%SZ"))


def now_utc() -> str:
    """The text for the current time."""
    return moment(time.time())
