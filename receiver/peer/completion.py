"""Tells when a bundle counts as incomplete: the sender says that nothing more comes, and all that came was stored.

Heartbeats come through the same ring as data. So data that came before a heartbeat has been assembled when the
heartbeat is heard. Only slabs that still wait for ``store`` have to be waited for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

GRACE_S: Final = 3.0  # datagrams that the link reordered
MOST_REMEMBERED: Final = 4096


@dataclass(slots=True)
class _Over:
    since: float
    is_signed: bool  # its manifest has arrived
    completed: int | None = None  # slabs completed when the grace was over: store must have freed as many


class Endings:
    """Bundles whose passes are over, and those reported as incomplete. Times are of one monotonic clock."""

    def __init__(self, heard: Iterable[str] = ()) -> None:
        """``heard``: bundles that the sender spoke of to an earlier run, and of which nothing arrived."""
        self._seen = dict.fromkeys(heard)
        self._over: dict[str, _Over] = {}
        self._reported: dict[str, None] = {}
        self._ended: dict[str, None] = {}

    def more(self, bundle: str) -> None:
        """The sender says that more of it comes."""
        self._seen[bundle] = None
        self._over.pop(bundle, None)
        self._reported.pop(bundle, None)
        self._bound()

    def over(self, bundle: str, now: float, *, receiving: bool) -> None:
        """The sender says that no more of it comes, or is silent; ``receiving``: its manifest has arrived."""
        if bundle in self._reported or bundle in self._ended or not (receiving or bundle in self._seen):
            return
        self._seen.pop(bundle, None)
        self._over.setdefault(bundle, _Over(now, receiving))
        self._bound()

    def resumed(self, bundle: str, now: float) -> None:
        """Something of it is missing again, whatever was reported before."""
        if bundle in self._reported:
            del self._reported[bundle]
            self._over[bundle] = _Over(now, is_signed=True)

    def ended(self, bundle: str) -> None:
        """It was published or refused: nothing more is to be reported."""
        self._over.pop(bundle, None)
        self._reported.pop(bundle, None)
        self._ended[bundle] = None
        self._bound()

    def restarted(self, now: float) -> None:
        """The workers were replaced, and their counters with them."""
        self._over = {bundle: _Over(now, over.is_signed) for bundle, over in self._over.items()}

    def due(self, now: float, completed: int, freed: int) -> list[str]:
        """Bundles to report now, each once. ``completed`` slabs were assembled so far, ``freed`` of them stored."""
        due = []
        for bundle, over in self._over.items():
            if now - over.since < GRACE_S:
                continue
            if over.completed is None:
                over.completed = completed
            if freed >= over.completed:
                due.append(bundle)
        for bundle in due:
            del self._over[bundle]
            self._reported[bundle] = None
        self._bound()
        return due

    def _bound(self) -> None:
        for known in (self._seen, self._reported, self._ended):
            while len(known) > MOST_REMEMBERED:
                del known[next(iter(known))]
        hints = [bundle for bundle, over in self._over.items() if not over.is_signed]
        for bundle in hints[: max(0, len(hints) - MOST_REMEMBERED)]:  # anybody with the link key can name bundles
            del self._over[bundle]
