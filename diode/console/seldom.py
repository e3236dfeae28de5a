"""How often a minute an event is said that whoever holds a link key can cause any number of times."""

from typing import Final

MOST_A_MINUTE: Final = 10


class Seldom:
    """Lets the first few of each event's minute through. Names are our own, not the peer's."""

    def __init__(self, most_a_minute: int = MOST_A_MINUTE) -> None:
        self._most = most_a_minute
        self._said: dict[str, tuple[float, int]] = {}  # when its minute began, and how often since

    def may_say(self, event: str, now: float) -> bool:
        """Whether to say it once more at ``now``, of a monotonic clock; then it is counted."""
        began, count = self._said.get(event, (now, 0))
        if now - began >= 60.0:
            began, count = now, 0
        self._said[event] = began, count + 1
        return count < self._most
