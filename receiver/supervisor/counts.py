"""What is counted of the events, and how it is told: as metrics, as the last line of a run, as systemd's status."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client.core import Metric

from diode.console.metrics import counter, gauge
from diode.process.clock import ClockJumped
from diode.process.supervise import WorkerRefused
from diode.process.systemd import Reports
from receiver.events.happened import (
    Coming,
    DescriptionFailed,
    Dismissed,
    Ended,
    Event,
    Health,
    Incomplete,
    NamesTaken,
    NowHeld,
    WorkerDied,
)
from receiver.events.of_link import BeatHeard, BeatsLeftOut, GapsCounted, OldKeyUsed
from receiver.supervisor.figures import Figures


class Counts:
    """Reads events and keeps their numbers. ``outcomes``: bundles that are over, by what became of them."""

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {"published": 0, "quarantined": 0, "incomplete": 0}
        self.coming: set[str] = set()
        self.heard_at: float | None = None
        self.sender_health: Mapping[str, int] = {}
        self.missing = 0
        self.old_key_sessions = 0
        self.worker_restarts = 0
        self.beats_left_out = 0
        self.clock_jumps = 0
        self.workers_refused: Counter[str] = Counter()
        self.not_described = 0
        self.names_refused = 0

    def read(self, event: Event) -> None:
        """Count an event."""
        match event:
            case Coming() | NowHeld() | Ended() | Incomplete():
                self._read_bundle(event)
            case BeatHeard() | BeatsLeftOut() | OldKeyUsed():
                self._read_link(event)
            case Dismissed(bundle):
                self.coming.discard(bundle)
            case GapsCounted(count):
                self.missing = count
            case WorkerDied():
                self.worker_restarts += 1
            case ClockJumped():
                self.clock_jumps += 1
            case WorkerRefused(worker):
                self.workers_refused[worker] += 1
            case DescriptionFailed():
                self.not_described += 1
            case NamesTaken():
                self.names_refused += event.count

    def _read_link(self, event: BeatHeard | BeatsLeftOut | OldKeyUsed) -> None:
        match event:
            case BeatHeard(at, health):
                self.heard_at, self.sender_health = at, health
            case BeatsLeftOut(count):
                self.beats_left_out += count
            case OldKeyUsed():
                self.old_key_sessions += 1

    def _read_bundle(self, event: Coming | NowHeld | Ended | Incomplete) -> None:
        match event:
            case Coming(row):
                self.coming.add(row.id)
            case NowHeld(row):
                self.coming.discard(row.id)
            case Ended(outcome, bundle, row):
                if row is not None or outcome == "dropped":  # else it says nothing of the bundle whose id it has
                    self.coming.discard(bundle)
                if outcome in self.outcomes:
                    self.outcomes[outcome] += 1
            case Incomplete():
                self.outcomes["incomplete"] += 1

    def status(self, address: str, now: float) -> str:
        """One line for systemd."""
        heard = "never" if self.heard_at is None else f"{now - self.heard_at:.0f} s ago"
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self.outcomes.items())
        return f"listening on {address}; last heartbeat {heard}; {len(self.coming)} bundles coming; {counts}"


def summary(counts: Counts, figures: Figures) -> dict[str, Any]:
    """Figures for the last line of a run."""
    drops = {reason: count for reason, count in figures.drops().items() if count}
    restarts = {"drops": drops, "restarts": counts.worker_restarts}
    return {**counts.outcomes, **figures.losses(), **restarts, "socket_granted": figures.all().get("socket_granted", 0)}


def metrics(counts: Counts, figures: Figures, now: float) -> Iterable[Metric]:
    """Everything that Prometheus is told, at ``now`` of the clock of the events."""
    all_figures, losses = figures.all(), figures.losses()
    yield counter("diode_receiver_bytes", "Bytes received", all_figures.get("bytes", 0))
    yield counter("diode_receiver_datagrams", "Distinct authentic data datagrams", losses["datagrams"])
    yield gauge("diode_receiver_lost_datagrams", "Datagrams sent and not received", losses["lost_before_fec"])
    yield counter("diode_receiver_drops", "Dropped datagrams by reason", figures.drops(), "reason")
    yield counter("diode_receiver_blocks_repaired", "Blocks restored by FEC", losses["blocks_repaired"])
    yield counter("diode_receiver_blocks_lost", "Blocks given up", losses["blocks_lost"])
    yield counter("diode_receiver_slabs_spilled", "Slabs spilled incomplete", all_figures.get("slabs_spilled", 0))
    text = "Slabs of bundles not yet known, given up"
    yield counter("diode_receiver_slabs_given_up", text, all_figures.get("slabs_given_up", 0))
    yield counter("diode_receiver_bundles", "Bundles by outcome", dict(counts.outcomes), "outcome")
    yield counter("diode_receiver_socket_drops", "Datagrams dropped at a full socket", losses["socket_drops"])
    yield gauge("diode_receiver_socket_buffer_bytes", "Socket buffer granted", all_figures.get("socket_granted", 0))
    yield counter("diode_receiver_ring_full", "Times the ring had no free region", all_figures.get("ring_full", 0))
    yield gauge("diode_receiver_arena_used_bytes", "Memory of unfinished slabs", all_figures.get("arena_used", 0))
    yield from _of_events(counts, now)


def _of_events(counts: Counts, now: float) -> Iterable[Metric]:
    text = "Sessions that have spoken under the link key from before the last change"
    yield counter("diode_receiver_old_link_key_sessions", text, counts.old_key_sessions)
    yield counter("diode_receiver_clock_jumps", "Jumps of this host's clock: an alarm", counts.clock_jumps)
    yield counter("diode_receiver_worker_restarts", "Pipelines built anew", counts.worker_restarts)
    text = "Messages of workers refused, each of which ended its worker"
    yield counter("diode_receiver_worker_refused", text, dict(counts.workers_refused), "worker")
    text = "Published bundles that could not be looked into as a whole"
    yield counter("diode_receiver_not_described", text, counts.not_described)
    text = "Names that bundles claimed and that belong to other channels"
    yield counter("diode_receiver_names_refused", text, counts.names_refused)
    yield gauge("diode_receiver_missing_bundles", "Bundles numbered of which nothing arrived", counts.missing)
    text = "What the sender counts, by its own word, which is not signed"
    yield gauge("diode_receiver_sender_health", text, dict(counts.sender_health), "name")
    age = -1 if counts.heard_at is None else int(now - counts.heard_at)
    yield gauge("diode_receiver_heartbeat_age_seconds", "Seconds since the last heartbeat; -1: none yet", age)
    text = "Heartbeats whose words were not recorded, since too many waited for the disk"
    yield counter("diode_receiver_heartbeats_left_out", text, counts.beats_left_out)


class SystemdStatus:
    """Reader: tells systemd that the daemon is ready, how it is, and, as long as that is true, that it is well."""

    def __init__(self, counts: Counts, address: str, reports: Reports, clock: Callable[[], float] = time.monotonic):
        self._counts = counts
        self._address = address
        self._reports = reports
        self._clock = clock

    def read(self, event: Event) -> None:
        """Tell of the daemon's health."""
        match event:
            case Health(at, has_begun, is_well):
                if has_begun:
                    self._reports.ready(self._status())
                self._reports.tick(at, self._status, is_well=is_well)

    def _status(self) -> str:
        return self._counts.status(self._address, self._clock())
