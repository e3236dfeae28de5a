"""Bundles of channel ``trust`` that are being received: the ledger knows one only after what it brings is proven.

Anybody who may sign for the channel could begin any number of them. So only the newest few of each set of signing keys
are kept. Bundles that are signed with a stolen key push out bundles of that key alone.
"""

from typing import Final

MOST: Final = 16  # of one set of signing keys


class Unrecorded:
    """The bundles that are kept, and who signed them. Times are of one monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._begun: dict[int, tuple[str, float]] = {}  # oldest first

    def __contains__(self, number: int) -> bool:
        return number in self._begun

    def begin(self, number: int, signer: str, now: float) -> list[int]:
        """Keep one more bundle. Returns the numbers of those to give up for it."""
        self.end(number)
        self._begun[number] = signer, now
        same = [other for other, (who, _) in self._begun.items() if who == signer]
        return same[: max(0, len(same) - MOST)]

    def end(self, number: int) -> None:
        """Keep a bundle no more: it was given up, or the ledger knows it now."""
        self._begun.pop(number, None)

    def begun_before(self, then: float) -> list[int]:
        """The numbers of those that were begun before ``then``."""
        return [number for number, (_, since) in self._begun.items() if since < then]
