"""Counters of the workers, over all their restarts."""

from diode.process.memory import Counters
from sender.transport import transmit


class Figures:
    """What the workers counted, those that run now and those before them."""

    def __init__(self) -> None:
        self._now: Counters | None = None
        self._before = dict.fromkeys(transmit.COUNTERS, 0)

    def follow(self, counters: Counters) -> None:
        """Count on with new workers, whose ``counters`` begin at 0."""
        self._before, self._now = self.total(), counters

    def total(self) -> dict[str, int]:
        """By name of ``transmit.COUNTERS``."""
        now = self._now.snapshot() if self._now else {}
        return {name: value + now.get(name, 0) for name, value in self._before.items()}
