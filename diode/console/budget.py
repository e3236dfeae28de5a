"""Limits how many events are reported one by one each minute. The others are counted, and the count is reported.

It is meant for events without a signature, which anybody who holds the link key could cause without end.
"""

from collections import defaultdict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

MINUTE_S: Final = 60.0
MOST_A_MINUTE: Final = 10  # of one event

T = TypeVar("T", bound=Hashable)


class PerMinute:
    """Allows at most ``most`` events each minute. Times are seconds of one monotonic clock."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._since = float("-inf")
        self._taken = self._left_out = 0

    def take(self, now: float) -> bool:
        """Whether this event may be reported; if not, it is counted as left out."""
        if now - self._since >= MINUTE_S and not self._left_out:
            self._since, self._taken = now, 0
        if self._taken < self._most:
            self._taken += 1
            return True
        self._left_out += 1
        return False

    def left_out(self, now: float) -> int:
        """How many events were left out in a minute that is over, and begin a new minute.

        0: there is nothing to report.
        """
        if not self._left_out or now - self._since < MINUTE_S:
            return 0
        left_out, self._left_out = self._left_out, 0
        self._since, self._taken = now, 0
        return left_out


class Seldom:
    """Lets the first few of each event's minute through; nobody asks how many others there were.

    Names of events are our own, not the peer's.
    """

    def __init__(self, most_a_minute: int = MOST_A_MINUTE) -> None:
        self._turns: defaultdict[str, PerMinute] = defaultdict(lambda: PerMinute(most_a_minute))

    def may_say(self, event: str, now: float) -> bool:
        """Whether to say it once more at ``now``, of a monotonic clock; then it is counted."""
        turns = self._turns[event]
        turns.left_out(now)
        return turns.take(now)


class Newest(Generic[T]):
    """Remembers the newest ``most`` values that were met, and forgets older ones, so that it never fills up."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._met: dict[T, None] = {}

    def meet(self, one: T) -> bool:
        """Remember a value. Returns whether it was new."""
        if one in self._met:
            return False
        self._met[one] = None
        if len(self._met) > self._most:
            del self._met[next(iter(self._met))]
        return True

    def forget(self, one: T) -> None:
        """Forget a value: it counts as new again."""
        self._met.pop(one, None)
