"""Keeps whoever reads a moving address in pieces on the bundle that the first piece came from.

A client that goes on with ``curl -C -`` would otherwise join two versions to a file that nobody published.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

KEPT_S: Final = 300.0
MOST: Final = 10_000  # series at a time; beyond that, the one that was not read for the longest is forgotten


class Series:
    """Which bundle each peer's pieces of each address come from. ``clock``: seconds that only rise."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = MOST) -> None:
        self._clock, self._most = clock, most
        self._known: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()

    def began(self, peer: str, address: str) -> str:
        """The bundle that this series began with; empty: none, or too long ago."""
        bundle, until = self._known.get((peer, address), ("", 0.0))
        return bundle if self._clock() < until else ""

    def note(self, peer: str, address: str, bundle: str) -> None:
        """A piece, or all, of an address came from this bundle."""
        self._known[peer, address] = bundle, self._clock() + KEPT_S
        self._known.move_to_end((peer, address))
        if len(self._known) > self._most:
            self._known.popitem(last=False)
