"""Watches how old the content of each channel is: says when one is beyond its budget, and tells the metrics."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric

from diode.config.receiver import ReceiverConfig
from diode.formats.timestamps import now_utc
from receiver.catalogue.lag import Lag, State, lags
from receiver.events.happened import Ended, Event, LagBreached, LagRecovered, Ticked
from receiver.ledger.ledgers import LedgerView
from receiver.spool.disk import DiskHealth

LOOK_S: Final = 3600.0
SOON_S: Final = 60.0  # after an arrival: by then it was looked into, and many that arrive together are judged once


class LagWatch:
    """Reader: looks up the lags at the start, once an hour, and a minute after a bundle was published.

    A breach is said once, when it is first seen, and again only after it was over. A restart forgets what was said.
    """

    def __init__(
        self,
        config: ReceiverConfig,
        ledger: LedgerView,
        disk: DiskHealth,
        say: Callable[[Event], None],
        now: Callable[[], str] = now_utc,
    ) -> None:
        self._channels = config.channels
        self._ledger = ledger
        self._disk = disk
        self._say = say
        self._now = now
        self._look_at: float | None = None  # None: at the next tick
        self._at = 0.0
        self._rows: tuple[Lag, ...] = ()  # replaced whole: metrics are asked for by another thread
        self._breached: set[str] = set()

    def read(self, event: Event) -> None:
        """Look when it is time to."""
        match event:
            case Ticked(at):
                self._at = at
                if self._look_at is None or at >= self._look_at:
                    self._look_at = at + LOOK_S
                    self._look()
            case Ended("published"):
                self._look_at = min(self._at + SOON_S, self._at if self._look_at is None else self._look_at)

    @property
    def rows(self) -> Sequence[Lag]:
        """Every channel, as it was found last."""
        return self._rows

    def metrics(self) -> Iterable[Metric]:
        """What Prometheus is told of each channel that has content with a date."""
        days = _of_channels(
            "lag_days", "Age of the newest content by its own date, in days; negative: a clock is wrong"
        )
        budget = _of_channels("lag_budget_days", "From this age on it is a breach")
        breached = _of_channels("lag_breached", "Whether the budget is exceeded: an alarm")
        since = _of_channels("last_bundle_days", "Days since the last bundle was published")
        for row in self._rows:
            if row.days is not None:
                days.add_metric((row.channel,), row.days)
            if row.since_days is not None:
                since.add_metric((row.channel,), row.since_days)
            budget.add_metric((row.channel,), row.budget.breach_days)
            breached.add_metric((row.channel,), int(row.state == State.BREACH))
        yield from (days, budget, breached, since)

    def _look(self) -> None:
        with self._disk.surviving():
            self._rows = tuple(lags(self._ledger.catalogue.arrivals(), self._channels, self._now()))
            for row in self._rows:
                self._tell(row)

    def _tell(self, row: Lag) -> None:
        was, is_now = row.channel in self._breached, row.state == State.BREACH
        if is_now and not was:
            self._breached.add(row.channel)
            self._say(LagBreached(row))
        elif was and row.state in (State.WITHIN, State.WARN):
            self._breached.discard(row.channel)
            self._say(LagRecovered(row))


def _of_channels(what: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"diode_receiver_{what}", text, labels=("channel",))
