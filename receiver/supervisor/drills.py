"""Knows which drills are due, for the metrics. It asks the ledger now and then."""

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric

from diode.config.receiver import ReceiverConfig
from diode.console.metrics import gauge
from diode.formats.timestamps import now_utc, seconds_of
from receiver.events.happened import DrillEnded, Event, RecallChanged, Ticked
from receiver.ledger.ledgers import LedgerView
from receiver.promotion.drill_due import Due, due_drills
from receiver.spool.disk import DiskHealth

LOOK_S: Final = 60.0


class DrillWatch:
    """Reader: looks up once a minute, and after each drill, when drills are due; and how many recalls count."""

    def __init__(
        self, config: ReceiverConfig, ledger: LedgerView, disk: DiskHealth, now: Callable[[], str] = now_utc
    ) -> None:
        self._days = {name: channel.drill_days for name, channel in config.channels.items()}
        self._ledger = ledger
        self._disk = disk
        self._now = now
        self._look_at = 0.0
        self._due: tuple[Due, ...] = ()  # replaced whole: metrics are asked for by another thread
        self._recalls = 0

    def read(self, event: Event) -> None:
        """Look again when it is time to, or when something changed."""
        match event:
            case Ticked(at):
                if at >= self._look_at:
                    self._look_at = at + LOOK_S
                    self._look()
            case DrillEnded() | RecallChanged():
                self._look()

    def metrics(self) -> Iterable[Metric]:
        """What Prometheus is told of drills and recalls."""
        last = _of_names("last_seconds", "When a drill ended last, since 1970")
        passed = _of_names("passed", "Whether the last drill passed")
        due = _of_names("due_seconds", "When the next drill is due, since 1970")
        over = _of_names("overdue", "Whether a drill is overdue: an alarm")
        for one in self._due:
            place = (one.channel, one.name)
            if one.last is not None:
                last.add_metric(place, seconds_of(one.last.ended))
                passed.add_metric(place, one.last.passed)
            if one.due:
                due.add_metric(place, seconds_of(one.due))
                over.add_metric(place, int(one.is_overdue))
        yield from (last, passed, due, over)
        text = "Recalls that count: an alarm when it rises"
        yield gauge("diode_receiver_recalls", text, self._recalls)

    def _look(self) -> None:
        with self._disk.surviving():
            self._recalls = self._ledger.recalls.counting()
            self._due = tuple(due_drills(self._ledger, self._days, self._now()))


def _of_names(what: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"diode_receiver_drill_{what}", text, labels=("channel", "name"))
