"""Whether this host's wall clock may be believed: it is compared with a clock that nobody sets.

A wall clock that jumps must delete nothing. So what is deleted by age is deleted only while the clock is believed: when
it has run beside the steady clock for STEADY_S without a jump, over at least LEAST_LOOKS looks. Each start begins that
anew, since no steady clock reaches over a restart. A clock that goes back to where it would have been is believed again
as if it had never jumped. Refusals by time do not wait for any of this.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from diode.formats.timestamps import moment
from diode.log import log

JUMP_S: Final = 60.0  # further than a time server corrects a clock step by step within STEADY_S
STEADY_S: Final = 3600.0
LEAST_LOOKS: Final = 10
AWAY_S: Final = 7 * 86_400.0  # so long a host may have been off without a word

DOUBTED: Final = "this host's clock jumped, and is not believed for an hour after that"
CONSEQUENCE: Final = "nothing is deleted by age until the clock has run for an hour without a jump, or is right again"
DO: Final = "compare it with a clock that is right: timedatectl, then date --set, or mend the time server"


@dataclass(frozen=True, slots=True)
class ClockJumped:
    """The wall clock jumped by so many seconds; negative: back. ``is_undone``: it is where it would have been."""

    seconds: float
    is_undone: bool


class Reading(NamedTuple):
    """Both clocks at one moment, in seconds: since 1970, and of a clock that only rises, also while a host sleeps."""

    wall: float
    steady: float


class _Line(NamedTuple):
    """A stretch without a jump: how far the wall clock is ahead of the steady one, since when, and looks so far."""

    ahead: float
    since: float
    looks: int = 1


class BelievedClock:
    """Takes readings, and knows from them whether the wall clock may be believed. Pure: it reads no clock.

    ``last_known`` is the latest time that this host's own records have, in seconds since 1970; None: they have none.
    """

    def __init__(self, first: Reading, last_known: float | None = None) -> None:
        self._now = first
        self._last_known = last_known
        self._line = _Line(first.wall - first.steady, first.steady)
        self._before: _Line | None = None  # the stretch before the first jump that was not undone
        self.is_far = last_known is not None and not self._is_near(first.wall)

    @property
    def is_believed(self) -> bool:
        """Whether something may be deleted by this clock."""
        return self._now.steady - self._line.since >= STEADY_S and self._line.looks >= LEAST_LOOKS

    @property
    def is_doubted(self) -> bool:
        """Whether it jumped, or was far from its own records at the start, and is not believed since."""
        return self._before is not None or self.is_far

    @property
    def now(self) -> float | None:
        """The time of the last reading, in seconds since 1970. None: it is not believed."""
        return self._now.wall if self.is_believed else None

    @property
    def likely(self) -> float:
        """The likeliest time, for alarms: what the clock would say if it had not jumped."""
        return self._now.wall if self._before is None else self._before.ahead + self._now.steady

    def look(self, reading: Reading) -> ClockJumped | None:
        """Take a reading of both clocks, and tell of a jump since the last one."""
        self._now = reading
        ahead = reading.wall - reading.steady
        moved = ahead - self._line.ahead
        if abs(moved) > JUMP_S:
            return ClockJumped(moved, self._jump(ahead, reading))
        self._line = self._line._replace(looks=self._line.looks + 1)
        if self.is_believed:
            self._before, self.is_far = None, False
            self._line = self._line._replace(ahead=ahead)  # what a time server corrects step by step
        return None

    def _jump(self, ahead: float, reading: Reading) -> bool:
        """Begin another stretch, or go on with the one before the jump; whether the jump is undone."""
        if self._before is not None and abs(ahead - self._before.ahead) <= JUMP_S:
            self._line, self._before = self._before, None
            return True
        before, self._line = self._line, _Line(ahead, reading.steady)
        if self.is_far:
            self.is_far = not self._is_near(reading.wall)
            return not self.is_far
        self._before = self._before or before
        return False

    def _is_near(self, wall: float) -> bool:
        known = self._last_known or 0.0
        return known - JUMP_S <= wall <= known + AWAY_S


def read_clocks() -> Reading:
    """Both clocks, now."""
    return Reading(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME))


class ClockWatch:
    """Reads the clocks of this host when it is asked to, and says each jump. For one thread.

    ``last_known``: as :class:`BelievedClock` has it. A clock that is far from it at the start is said as a jump, too.
    """

    def __init__(
        self,
        say: Callable[[ClockJumped], None] = lambda _: None,
        last_known: float | None = None,
        read: Callable[[], Reading] = read_clocks,
    ) -> None:
        self._say = say
        self._read = read
        first = read()
        self._clock = BelievedClock(first, last_known)
        if self._clock.is_far:
            say(ClockJumped(first.wall - (last_known or 0.0), is_undone=False))

    def look(self) -> None:
        """Read both clocks. Whoever deletes by age has them read once a minute at least."""
        if jump := self._clock.look(self._read()):
            self._say(jump)

    def now(self) -> float | None:
        """Seconds since 1970, to delete by. None: the clock is not believed, and nothing may be deleted by age."""
        self.look()
        return self._clock.now

    def is_doubted(self) -> bool:
        """Whether the clock jumped, and is not believed since."""
        self.look()
        return self._clock.is_doubted

    def likely_utc(self) -> str:
        """The likeliest time, for alarms; RFC 3339."""
        self.look()
        return moment(self._clock.likely)


def last_written(folder: Path) -> float | None:
    """When a file of ``folder`` was last written, in seconds since 1970. None: never, or that cannot be known."""
    try:
        return max((path.stat().st_mtime for path in folder.iterdir()), default=None)
    except OSError:
        return None


def log_clock(event: ClockJumped) -> None:
    """Write the log line of a jump."""
    if event.is_undone:
        log.info("clock_right_again", seconds=round(event.seconds))
    else:
        log.error("clock_jumped", seconds=round(event.seconds), consequence=CONSEQUENCE, do=DO)
