"""The timetable: which rate the line may have at which local time, such as ``"08:00,512M 20:00,off"``.

The notation is that of rclone's ``--bwlimit``. An entry holds from its time until the next entry. ``Sat-10:00,1G`` is
for one day of the week; an entry without a day is for every day. Before the first entry of the week, the last entry of
the week before still holds.
"""

import re
import time
from dataclasses import dataclass
from typing import Final

from diode.formats.sizes import parse_size

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ENTRY: Final = re.compile(r"(?:(mon|tue|wed|thu|fri|sat|sun)-)?(\d\d):(\d\d),(\S+)", re.IGNORECASE)
_DAY_MINUTES: Final = 24 * 60
MAX_ENTRIES: Final = 200


@dataclass(frozen=True, slots=True)
class Timetable:
    """(minute of the week, bytes a second or None for off), ascending."""

    entries: tuple[tuple[int, int | None], ...]

    @classmethod
    def parse(cls, text: str) -> "Timetable":
        """Read a timetable. Empty text is one without entries. Raises ValueError for anything else that is none."""
        found: dict[int, int | None] = {}
        words = text.split()
        if len(words) > MAX_ENTRIES:
            raise ValueError(f"a timetable has at most {MAX_ENTRIES} entries")
        for word in words:
            match = _ENTRY.fullmatch(word)
            if match is None or int(match[2]) > 23 or int(match[3]) > 59:
                raise ValueError(f"{word!r} is not an entry such as 08:00,512M or Sat-20:00,off")
            rate = None if match[4].lower() == "off" else int(parse_size(match[4]))
            if rate == 0:
                raise ValueError(f"{word!r}: a rate of 0 would be unlimited; write off, or a rate")
            minute = int(match[2]) * 60 + int(match[3])
            for day in [_DAYS.index(match[1].lower())] if match[1] else range(7):
                found[day * _DAY_MINUTES + minute] = rate
        return cls(tuple(sorted(found.items())))

    def rate_at(self, now: time.struct_time, default: int) -> int | None:
        """The rate at a local time in bytes a second; None: off. Without entries it is ``default``."""
        if not self.entries:
            return default
        minute = now.tm_wday * _DAY_MINUTES + now.tm_hour * 60 + now.tm_min
        past = [rate for at, rate in self.entries if at <= minute]
        return past[-1] if past else self.entries[-1][1]
