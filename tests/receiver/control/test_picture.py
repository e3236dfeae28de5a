"""What the receiver says of itself."""

from typing import Any

from diode.process.clock import ClockJumped
from receiver.control.picture import Picture
from receiver.events.happened import Event, Health, ScanFailed, Scanned
from tests.receiver.events.happenings import (
    ACCEPTED,
    BUNDLE,
    DIED,
    DROPPED,
    EXPIRED,
    HELD,
    OLD,
    PARTLY,
    PROGRESS,
    PUBLISHED,
    REFUSED,
    ROW,
    STRANGE,
)

LINK: dict[str, Any] = {"state": "alive", "since": None, "got": {}, "do": ""}


class Bench:
    """A picture with a clock that a test sets."""

    def __init__(self) -> None:
        self.at = 0.0
        self.picture = Picture("host:1", lambda: LINK, lambda: [OLD], lambda: self.at)

    def now(self, *events: Event, most: int = 9) -> dict[str, Any]:
        for event in events:
            self.picture.read(event)
        return self.picture.now(most)


UNANSWERED = ScanFailed(BUNDLE, "it hangs", "scanned/a/1")
ANSWERED = Scanned(BUNDLE, "accept", "", "scanned/a/1")


def test_what_comes_has_a_rate_and_a_time_to_its_end() -> None:
    """Both of the last seconds; a quarter of 1000 bytes came in ten of them."""
    bench = Bench()
    assert None is bench.now(ACCEPTED)["on_the_way"][0]["eta_s"]
    bench.at = 10.0
    (one,) = bench.now(PROGRESS)["on_the_way"]
    told = {name: one[name] for name in ("id", "label", "done_bytes", "total_bytes", "missing", "bytes_per_s", "eta_s")}
    figures = {"done_bytes": 250, "total_bytes": 1000, "missing": 3, "bytes_per_s": 25, "eta_s": 30}
    assert {"id": BUNDLE, "label": ROW.label, **figures} == told
    bench.at = 100.0
    (one,) = bench.now()["on_the_way"]
    assert (0, None) == (one["bytes_per_s"], one["eta_s"])


def test_it_is_on_its_way_until_it_is_over() -> None:
    """Whatever a stranger sends under its id."""
    assert [0, 0, 0, 0, 0] == [
        Bench().now(PROGRESS, over)["coming"] for over in (HELD, PUBLISHED, REFUSED, EXPIRED, DROPPED)
    ]
    assert 1 == Bench().now(PROGRESS, STRANGE)["coming"]
    assert {"published": 1, "quarantined": 2, "expired": 0} == Bench().now(PUBLISHED, REFUSED, STRANGE)["since_start"]


def test_what_nothing_more_comes_of_is_incomplete() -> None:
    """Until more does."""
    bench = Bench()
    assert bench.now(PROGRESS, PARTLY)["on_the_way"][0]["incomplete"]
    assert not bench.now(PROGRESS)["on_the_way"][0]["incomplete"]
    assert [] == bench.now(PARTLY, PUBLISHED)["on_the_way"]


def test_an_answer_is_bounded() -> None:
    """However many bundles come."""
    said = Bench().now(PROGRESS, most=0)
    assert ([], 1) == (said["on_the_way"], said["coming"])


def test_the_host_is_told_as_it_is() -> None:
    """Its clock, its workers, the age of what it serves, and scanners that gave no answer."""
    said = Bench().now(ClockJumped(60.5, is_undone=False), DIED, Health(1.0, has_begun=True, is_well=False))
    assert (1, 60, False) == tuple(said["clock"][name] for name in ("jumps", "seconds", "right_again"))
    assert {"begun": True, "well": False, "restarts": 1} == said["workers"]
    assert ("cve", 31) == (said["worst_lag"]["channel"], said["worst_lag"]["lag_days"])
    assert {BUNDLE: "it hangs"} == Bench().now(UNANSWERED)["unanswered"]
    assert {} == Bench().now(UNANSWERED, ANSWERED)["unanswered"]
    assert {} == Bench().now(UNANSWERED, REFUSED)["unanswered"]
