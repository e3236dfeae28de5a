"""How far the heartbeats of one link key have come, as a ledger keeps it. Loads no numpy: commands read it, too."""

from typing import NamedTuple


class LinkOrder(NamedTuple):
    """The newest heartbeat of one link key that a receiver accepted, as it stores it."""

    epoch: int = -1
    number: int = 0
    has_mac: bool = False  # one of kind 4 was accepted: kind 3 is believed no more
    has_spoken: bool = False  # the last one was accepted under this key; else taken over, typed, or another spoke since

    @property
    def reached(self) -> tuple[int, int]:
        """The (epoch, number) that a new heartbeat must exceed."""
        return self.epoch, self.number
