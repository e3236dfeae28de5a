"""What the workers count, added up over all their restarts, and what losses may come from."""

from collections.abc import Mapping
from typing import Final

from diode.errors import Drop
from diode.process.memory import Counters

STRANGERS: Final = (  # why datagrams are refused that nobody sealed who has the link key
    *(Drop.LENGTH, Drop.MAGIC, Drop.VERSION, Drop.KIND, Drop.FLAGS, Drop.RESERVED, Drop.SYMBOL_SIZE, Drop.GEOMETRY),
    *(Drop.KEY, Drop.SESSION, Drop.TAG, Drop.HEARTBEAT_RATE),
)
_LEVELS: Final = ("socket_granted", "socket_queued", "arena_used", "last_data_ms", "socket_drops")  # not added up


class Figures:
    """Reads the counters of the workers that run; those of earlier ones are kept."""

    def __init__(self) -> None:
        self._totals: dict[str, int] = {}
        self._running: tuple[Counters, ...] = ()

    def follow(self, *counters: Counters) -> None:
        """These workers run from now on."""
        self._running = counters

    def settle(self) -> None:
        """They have ended: what they counted is kept."""
        self._totals = self.all()
        self._running = ()

    def all(self) -> dict[str, int]:
        """Every counter since the start, by name."""
        figures = dict(self._totals)
        for counters in self._running:
            for name, value in counters.snapshot().items():
                figures[name] = value + (0 if name in _LEVELS else figures.get(name, 0))
        return figures

    def losses(self) -> dict[str, int]:
        """What arrived and what did not: datagrams, blocks."""
        figures = self.all()
        lost = max(0, figures.get("expected", 0) - figures.get("received", 0))
        return {
            "datagrams": figures.get("received", 0),
            "lost_before_fec": lost,
            "blocks_repaired": figures.get("blocks_repaired", 0),
            "blocks_lost": figures.get("blocks_lost", 0),
            "socket_drops": figures.get("socket_drops", 0),
            "refused": sum(figures.get(f"drop_{reason}", 0) for reason in STRANGERS),
        }

    def drops(self) -> dict[str, int]:
        """Dropped datagrams by reason."""
        figures = self.all()
        return {str(reason): figures.get(f"drop_{reason}", 0) for reason in Drop}


def flood_note(losses: Mapping[str, int], drops: Mapping[str, int]) -> str:
    """A note that many datagrams came from strangers, which may be why others are missing; otherwise an empty text.

    When a socket is full, the kernel drops datagrams, whoever sent them.
    """
    if losses["refused"] * 10 < losses["datagrams"] or not losses["refused"]:
        return ""
    most = sorted(((drops.get(reason, 0), reason) for reason in STRANGERS), reverse=True)[:3]
    why = ", ".join(f"{reason} {count}" for count, reason in most if count)
    full = f", and {losses['socket_drops']} of whomever found the socket full" if losses["socket_drops"] else ""
    return f"; {losses['refused']} datagrams were refused since the start ({why}){full}: a flood, or a wrong link key"
