"""Adds up the counters of the workers over all their restarts."""

from diode.process.memory import Counters
from sender.transport import transmit


class Figures:
    """The counters of the workers that run now, added to those of the workers before them."""

    def __init__(self) -> None:
        self._now: Counters | None = None
        self._before = dict.fromkeys(transmit.COUNTERS, 0)

    def follow(self, counters: Counters) -> None:
        """Go on with new workers, whose ``counters`` begin at 0."""
        self._before, self._now = self.total(), counters

    def total(self) -> dict[str, int]:
        """The sums, by the names in ``transmit.COUNTERS``."""
        now = self._now.snapshot() if self._now else {}
        return {name: value + now.get(name, 0) for name, value in self._before.items()}
