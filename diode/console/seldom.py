"""Limits how often each event is logged in a minute. Whoever holds a link key could cause some events without end."""

from typing import Final

MOST_A_MINUTE: Final = 10


class Seldom:
    """Allows the first few of each event in a minute. Event names must be our own, so that their number is bounded."""

    def __init__(self, most_a_minute: int = MOST_A_MINUTE) -> None:
        self._most = most_a_minute
        self._said: dict[str, tuple[float, int]] = {}  # when its minute began, and how often since

    def may_say(self, event: str, now: float) -> bool:
        """Whether to report ``event`` at ``now`` (seconds of a monotonic clock). Each call is counted."""
        began, count = self._said.get(event, (now, 0))
        if now - began >= 60.0:
            began, count = now, 0
        self._said[event] = began, count + 1
        return count < self._most
