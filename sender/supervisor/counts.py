"""Counts the outcomes of bundles and the work of the workers, and gives them to metrics, heartbeats and systemd."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import Metric

from diode.console.metrics import counter, gauge
from diode.process.clock import ClockJumped
from sender.events.happened import (
    BundleResent,
    BundleSent,
    BundleUnapproved,
    BundleWithdrawn,
    ContentSkipped,
    DestinationChanged,
    Event,
    ItemRefused,
    KernelAccepts,
    KernelRefuses,
    ResendFailed,
    WorkerDied,
)


class Counts:
    """Counts since the start of the daemon, a reader of its events. ``figures`` gives the workers' own counters."""

    def __init__(self, figures: Callable[[], Mapping[str, int]]) -> None:
        self.sent = 0
        self.resent = 0
        self.skipped = 0
        self.failed = 0
        self.unapproved = 0
        self.restarts = 0
        self.clock_jumps = 0
        self.moves = 0
        self.is_refused = False  # the kernel takes nothing now
        self._figures = figures

    def hear(self, event: Event) -> None:
        """Count an event, if it is one of those that are counted."""
        match event:
            case BundleSent():
                self.sent += 1
            case BundleResent():
                self.resent += 1
            case ContentSkipped():
                self.skipped += 1
            case ItemRefused() | BundleWithdrawn() | ResendFailed():
                self.failed += 1
            case BundleUnapproved():
                self.unapproved += 1
            case WorkerDied():
                self.restarts += 1
            case ClockJumped():
                self.clock_jumps += 1
            case DestinationChanged():
                self.moves += 1
            case KernelRefuses() | KernelAccepts():
                self.is_refused = isinstance(event, KernelRefuses)

    def figures(self) -> Mapping[str, int]:
        """The counters of the workers, over all their restarts."""
        return self._figures()

    def outcomes(self) -> dict[str, int]:
        """How many bundles were sent, resent, skipped, and so on."""
        done = {"sent": self.sent, "resent": self.resent, "skipped": self.skipped, "failed": self.failed}
        return done | {"unapproved": self.unapproved}

    def status(self, waiting: int) -> str:
        """All counts as one line of text; ``waiting``: bundles that are queued or in flight."""
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self.outcomes().items())
        return f"{waiting} bundles wait; {counts}"

    def health(self, waiting: int) -> dict[str, int]:
        """The counts that heartbeats tell; ``waiting``: bundles that are queued or in flight."""
        refused = self.figures()["refused"]
        return self.outcomes() | {"refused_datagrams": refused, "waiting": waiting, "worker_restarts": self.restarts}

    def metrics(self, waiting: int) -> Iterable[Metric]:
        """All counts for Prometheus; ``waiting``: bundles that are queued or in flight."""
        figures = self.figures()
        yield counter("diode_sender_datagrams", "Datagrams handed to the kernel", figures["datagrams"])
        yield counter("diode_sender_bytes", "Bytes of UDP payload handed to the kernel", figures["bytes"])
        yield counter("diode_sender_padding_datagrams", "Of them, padding", figures["padding_datagrams"])
        yield counter("diode_sender_refused_datagrams", "Datagrams the kernel refused", figures["refused"])
        yield gauge("diode_sender_kernel_refuses", "1 while the kernel takes no datagrams", int(self.is_refused))
        yield counter("diode_sender_bundles", "Bundles by outcome", self.outcomes(), "outcome")
        yield counter("diode_sender_worker_restarts", "Pipelines built anew", self.restarts)
        yield counter("diode_sender_clock_jumps", "Jumps of this host's clock: an alarm", self.clock_jumps)
        yield counter("diode_sender_destination_changes", "Times that link.to had another address", self.moves)
        yield gauge("diode_sender_bundles_waiting", "Bundles queued or in flight", waiting)
