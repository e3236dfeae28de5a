"""When a channel's content is beyond its budget, the daemon says so once, and again only after it was over."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from diode.config.receiver import Channel
from diode.formats.timestamps import moment, seconds_of
from receiver.catalogue.lag import DAY_S, Arrival
from receiver.events.happened import Event, LagBreached, LagRecovered, Ticked
from receiver.spool.disk import DiskHealth
from receiver.supervisor.lag import LOOK_S, SOON_S, LagWatch
from tests.receiver.events.happenings import PUBLISHED

DATED = "2026-11-01T00:00:00Z"


class Watched:
    """A watch over one channel, ``cve``, and what it says. ``days``: how far the clock is after its content's date."""

    def __init__(self) -> None:
        self.days = 1.0
        self.looks = 0
        self.dated = DATED
        self.said: list[Event] = []
        ledger: Any = SimpleNamespace(catalogue=self)
        config: Any = SimpleNamespace(channels={"cve": Channel()})
        self.watch = LagWatch(config, ledger, DiskHealth(lambda _: None), self.said.append, self.now)

    def now(self) -> str:
        """The time of the receiver."""
        return moment(seconds_of(DATED) + self.days * DAY_S)

    def arrivals(self) -> Iterator[Arrival]:
        """As the ledger has them."""
        self.looks += 1
        yield Arrival("cve", "published", True, self.dated, self.dated, "dnf")

    def tick(self, at: float, days: float) -> list[type[Event]]:
        """What is said at this time of the daemon's clock, with content so old."""
        self.days = days
        self.said.clear()
        self.watch.read(Ticked(at))
        return [type(event) for event in self.said]


def test_a_breach_is_said_once() -> None:
    """And its end; then the next one is said, too."""
    watched = Watched()
    said: list[type[Event]] = []
    for hour, days in enumerate([1, 29, 31, 32, 40]):
        said += watched.tick(hour * LOOK_S, days)
    watched.dated = "2026-12-09T00:00:00Z"
    for hour, days in enumerate([41, 42, 70], start=5):
        said += watched.tick(hour * LOOK_S, days)
    assert [LagBreached, LagRecovered, LagBreached] == said


def test_a_clock_that_is_behind_ends_no_breach() -> None:
    """What it says is believed neither way."""
    watched = Watched()
    assert [[LagBreached], [], []] == [watched.tick(n * LOOK_S, days) for n, days in enumerate([31, -5, 31])]


def test_it_looks_once_an_hour_and_a_minute_after_arrivals() -> None:
    """Many that arrive together cost one look."""
    watched = Watched()
    for at in range(int(LOOK_S)):
        watched.tick(float(at), 1)
    assert 1 == watched.looks
    watched.tick(LOOK_S, 1)
    for _ in range(100):
        watched.watch.read(PUBLISHED)
    for at in range(int(SOON_S) + 10):
        watched.tick(LOOK_S + at, 1)
    assert 3 == watched.looks


def test_metrics_have_each_channel() -> None:
    """Its age, its budget, and whether that is exceeded."""
    watched = Watched()
    watched.tick(0.0, 31.5)
    samples = [sample for metric in watched.watch.metrics() for sample in metric.samples]
    assert {
        "diode_receiver_lag_days": 31.5,
        "diode_receiver_lag_budget_days": 30.0,
        "diode_receiver_lag_breached": 1.0,
        "diode_receiver_last_bundle_days": 31.5,
    } == {sample.name: sample.value for sample in samples}
    assert {"cve"} == {sample.labels["channel"] for sample in samples}
