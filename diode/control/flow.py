"""How fast a bundle moves now, from how far it was at some moments of the last seconds. Pure: time is an argument."""

from collections import deque
from typing import Final

WINDOW_S: Final = 15.0  # of which a rate is taken
STEP_S: Final = 0.5  # between two looks that are kept


class Flow:
    """One bundle: how much of it was stored or sent, at some moments."""

    def __init__(self, at: float, done_bytes: int) -> None:
        self._looks: deque[tuple[float, int]] = deque([(at, done_bytes)], maxlen=int(WINDOW_S / STEP_S))

    def look(self, at: float, done_bytes: int) -> None:
        """So much is done at ``at``, in seconds of a monotonic clock."""
        if at - self._looks[-1][0] >= STEP_S:
            self._looks.append((at, done_bytes))

    def rate(self, at: float, done_bytes: int) -> int:
        """Bytes a second of user data; 0 when nothing came lately."""
        began, had = next((look for look in self._looks if at - look[0] <= WINDOW_S), (at, done_bytes))
        return max(0, round((done_bytes - had) / (at - began))) if at > began else 0
