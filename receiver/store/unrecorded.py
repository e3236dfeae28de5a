"""Bundles of channel ``trust`` on their way: no ledger knows of them before what they bring is proven.

Whoever may sign for the channel could begin any number of them. So the newest few of each set of signing keys are kept:
one thief's bundles push out that thief's alone.
"""

from typing import Final

MOST: Final = 16  # of one set of signing keys


class Unrecorded:
    """Which bundles are kept, by who signed them. Times are of one monotonic clock."""

    def __init__(self) -> None:
        self._begun: dict[int, tuple[str, float]] = {}  # oldest first

    def __contains__(self, number: int) -> bool:
        return number in self._begun

    def begin(self, number: int, signer: str, now: float) -> list[int]:
        """One more is received. Returns those to give up for it."""
        self.end(number)
        self._begun[number] = signer, now
        same = [other for other, (who, _) in self._begun.items() if who == signer]
        return same[: max(0, len(same) - MOST)]

    def end(self, number: int) -> None:
        """It is received no more, or the ledger knows it now."""
        self._begun.pop(number, None)

    def begun_before(self, then: float) -> list[int]:
        """Those that take too long."""
        return [number for number, (_, since) in self._begun.items() if since < then]
