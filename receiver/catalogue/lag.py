"""How old the content of each channel is, against what its configuration allows. Pure: time is an argument.

The age of a channel is the age of its newest content that may be used, by that content's own date. Where nothing says
one, the date of the build stands for it, and the row says so. A bundle that was not looked into yet has no date.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

from diode.formats.timestamps import seconds_of

DAY_S: Final = 86400
SKEW_S: Final = 3600  # so far two clocks may differ without a word
LATEST: Final = 8  # arrivals from which the trend is told
STEADY_DAYS: Final = 1.0  # a change of less is none
_NUMBERED: Final = re.compile(r"([^0-9]*)([0-9]*)", re.ASCII)


class Arrival(NamedTuple):
    """One bundle of the catalogue: whether it is in use, when it was published, its own date and what says that.

    ``state``: published, held, recalled or removed. Times are RFC 3339 in UTC; ``dated`` empty: not looked into yet.
    """

    channel: str
    state: str
    is_current: bool
    published: str
    dated: str
    dated_by: str


class Limits(Protocol):
    """The settings of a channel, as far as they are read here."""

    @property
    def lag_warn_days(self) -> float: ...  # noqa: D102
    @property
    def lag_breach_days(self) -> float: ...  # noqa: D102


class Budget(NamedTuple):
    """How many days old a channel's content may be before people are warned, and before it is an alarm."""

    warn_days: float
    breach_days: float


USUAL: Final = Budget(14.0, 30.0)  # of a channel that is not configured; a test compares it with the configuration


class State(StrEnum):
    """How a channel stands against its budget. These words are in JSON, so they do not change."""

    WITHIN = "within"
    WARN = "warn"
    BREACH = "breach"
    CLOCK = "clock"  # its content or its last bundle comes from the future: this clock or the date is wrong
    EMPTY = "empty"  # nothing with a date may be used


class Lag(NamedTuple):
    """One channel. Ages are in days, and fall with the clock; None: nothing is there that has one.

    ``dated``: of its newest content, by ``dated_by``. ``in_use_days``: the age of the newest content among the versions
    in use. ``last``: when its last bundle was published. ``trend``: growing, shrinking, steady, or empty with fewer
    than two arrivals. ``arrivals``: the lag in days after each of the last arrivals, oldest first.
    """

    channel: str
    state: State
    budget: Budget
    dated: str = ""
    dated_by: str = ""
    days: float | None = None
    in_use_days: float | None = None
    last: str = ""
    since_days: float | None = None
    trend: str = ""
    arrivals: tuple[float, ...] = ()

    @property
    def is_by_build(self) -> bool:
        """Whether nothing says the content's own date, so that it may be older than it seems."""
        return self.dated_by == "built"

    @property
    def severity(self) -> float:
        """By which channels are compared: their age as a share of what is a breach."""
        return -1.0 if self.days is None else self.days / self.budget.breach_days


def lags(arrivals: Iterable[Arrival], channels: Mapping[str, Limits], now: str) -> list[Lag]:
    """A row for each channel that is configured or has a bundle, in natural order. ``channels``: those configured."""
    by_channel: dict[str, list[Arrival]] = {channel: [] for channel in channels}
    for one in arrivals:
        by_channel.setdefault(one.channel, []).append(one)
    budgets = {name: Budget(one.lag_warn_days, one.lag_breach_days) for name, one in channels.items()}
    at = seconds_of(now)
    return [_of(name, by_channel[name], budgets.get(name, USUAL), at) for name in sorted(by_channel, key=_natural)]


def _natural(name: str) -> tuple[list[tuple[str, int]], str]:
    """Sorts names: their numbers by what they count, so that ``channel-2`` comes before ``channel-10``."""
    return [(text, int(number or 0)) for text, number in _NUMBERED.findall(name)], name


def worst(rows: Iterable[Lag]) -> Lag | None:
    """The channel that is furthest beyond its budget, or nearest to it. None: no channel has any content."""
    return max((row for row in rows if row.days is not None), key=lambda row: row.severity, default=None)


def said(row: Lag) -> dict[str, Any]:
    """A channel as JSON has it. Days are whole, rounded down; None: there is none."""
    return {
        "channel": row.channel,
        "state": str(row.state),
        "lag_days": whole_days(row.days),
        "dated": row.dated or None,
        "dated_by": row.dated_by or None,
        "in_use_lag_days": whole_days(row.in_use_days),
        "last_bundle": row.last or None,
        "days_since_last_bundle": whole_days(row.since_days),
        "warn_days": row.budget.warn_days,
        "breach_days": row.budget.breach_days,
        "trend": row.trend or None,
        "arrivals_lag_days": list(row.arrivals),
    }


def whole_days(days: float | None) -> int | None:
    """Rounded towards today. None: there is none."""
    return None if days is None else math.floor(days) if days >= 0 else math.ceil(days)


def _of(channel: str, found: Sequence[Arrival], budget: Budget, now: int) -> Lag:
    came = sorted((one for one in found if one.state != "held" and one.published), key=lambda one: one.published)
    usable = [one for one in came if one.state == "published" and one.dated]
    last = came[-1].published if came else ""
    since = _days(now, last) if last else None
    arrivals = _after_each(came)
    row = Lag(channel, State.EMPTY, budget, last=last, since_days=since, trend=_trend(arrivals), arrivals=arrivals)
    if not usable:
        return row
    newest = max(usable, key=lambda one: one.dated)
    used = max((one.dated for one in usable if one.is_current), default="")
    days = _days(now, newest.dated)
    return row._replace(
        state=_state(days, since, budget),
        dated=newest.dated,
        dated_by=newest.dated_by,
        days=days,
        in_use_days=_days(now, used) if used else None,
    )


def _days(now: int, then: str) -> float:
    return (now - seconds_of(then)) / DAY_S


def _state(days: float, since: float | None, budget: Budget) -> State:
    if min(days, days if since is None else since) * DAY_S < -SKEW_S:
        return State.CLOCK
    if days >= budget.breach_days:
        return State.BREACH
    return State.WARN if days >= budget.warn_days else State.WITHIN


def _after_each(came: Sequence[Arrival]) -> tuple[float, ...]:
    """The lag just after each of the last arrivals: an older version that comes later does not change it."""
    newest = max((one.dated for one in came[:-LATEST]), default="")
    found = []
    for one in came[-LATEST:]:
        newest = max(newest, one.dated)
        if newest:
            found.append(round(_days(seconds_of(one.published), newest), 2))
    return tuple(found)


def _trend(arrivals: Sequence[float]) -> str:
    """Whether the lag after later arrivals is larger than after earlier ones, on average."""
    if len(arrivals) < 2:
        return ""
    half = len(arrivals) // 2
    change = sum(arrivals[-half:]) / half - sum(arrivals[:half]) / half
    if abs(change) < STEADY_DAYS:
        return "steady"
    return "growing" if change > 0 else "shrinking"
