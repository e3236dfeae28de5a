"""Adds up the counters of the workers over all their restarts."""

from typing import Final

from diode.process.memory import Counters
from sender.transport import transmit

_RENAMED: Final = {"padding_datagrams": "filler_datagrams"}


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

    def told(self) -> dict[str, int]:
        """As programs read them: a figure that was renamed has its old name, too, until the next release."""
        figures = self.total()
        return figures | {old: figures[name] for name, old in _RENAMED.items()}
