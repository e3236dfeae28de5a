"""What the sending side counts: outcomes of bundles, and what the workers did, over all their restarts."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from prometheus_client.core import Metric

from diode.console.metrics import counter, gauge
from diode.process.memory import Counters
from sender.transport import transmit


@dataclass(slots=True)
class Tally:
    """Counts since the start of the daemon. ``counters`` are those of the workers that run now."""

    sent: int = 0
    resent: int = 0
    skipped: int = 0
    failed: int = 0
    unapproved: int = 0
    restarts: int = 0
    counters: Counters | None = None
    _before: dict[str, int] = field(default_factory=lambda: dict.fromkeys(transmit.COUNTERS, 0))

    def workers_ended(self) -> None:
        """Keep what workers counted that are replaced now."""
        self._before, self.counters = self.figures(), None
        self.restarts += 1

    def figures(self) -> dict[str, int]:
        """What the workers counted."""
        now = self.counters.snapshot() if self.counters else {}
        return {name: value + now.get(name, 0) for name, value in self._before.items()}

    def outcomes(self) -> dict[str, int]:
        """Bundles by what became of them."""
        done = {"sent": self.sent, "resent": self.resent, "skipped": self.skipped, "failed": self.failed}
        return done | {"unapproved": self.unapproved}

    def health(self, waiting: int) -> dict[str, int]:
        """What heartbeats tell of it; ``waiting``: bundles that are queued or in flight."""
        refused = self.figures()["refused"]
        return self.outcomes() | {"refused_datagrams": refused, "waiting": waiting, "worker_restarts": self.restarts}

    def metrics(self, waiting: int) -> Iterable[Metric]:
        """All of it for Prometheus; ``waiting``: bundles that are queued or in flight."""
        figures = self.figures()
        yield counter("diode_sender_datagrams", "Datagrams handed to the kernel", figures["datagrams"])
        yield counter("diode_sender_bytes", "Bytes of UDP payload handed to the kernel", figures["bytes"])
        yield counter("diode_sender_filler_datagrams", "Of them, filler", figures["filler_datagrams"])
        yield counter("diode_sender_refused_datagrams", "Datagrams the kernel refused", figures["refused"])
        yield counter("diode_sender_bundles", "Bundles by outcome", self.outcomes(), "outcome")
        yield counter("diode_sender_worker_restarts", "Pipelines built anew", self.restarts)
        yield gauge("diode_sender_bundles_waiting", "Bundles queued or in flight", waiting)
