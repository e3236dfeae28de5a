"""What is coming, and the report of what stays incomplete."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from receiver.events.happened import Coming, Ended, Event, HintsLeftOut, Incomplete, ResendNeeded
from receiver.ledger.ledgers import StoreLedger
from receiver.ledger.states import State
from receiver.peer.completion import GRACE_S, Endings
from receiver.spool.disk import DiskHealth
from receiver.supervisor.figures import Figures
from receiver.supervisor.on_the_way import HINTS_A_MINUTE, OnTheWay
from tests.link import make_bundle
from tests.receiver.events.happenings import BUNDLE, DIED, DROPPED, EXPIRED, HELD, PROGRESS, PUBLISHED, ROW, STRANGE

MANIFEST = make_bundle({"a": b"content"}).manifest


class Way:
    """What is coming, with a ledger that knows the bundle, and what was said."""

    def __init__(self, folder: Path) -> None:
        self.said: list[Event] = []
        self.state = folder
        self.endings = Endings()
        self.ledger = StoreLedger(folder / "ledger.db")
        self.ledger.bundles.record(BUNDLE, MANIFEST, "alice")
        disk = DiskHealth(lambda message: pytest.fail(message.detail))
        self.on_the_way = OnTheWay(
            self.ledger, self.endings, folder, Figures(), disk, self.said.append, clock=lambda: 50.0
        )

    def read(self, *events: Event) -> None:
        """Take these events."""
        for event in events:
            self.on_the_way.read(event)

    def report(self, now: float, completed: int = 0, freed: int = 0) -> list[Event]:
        """What is said at this time."""
        self.said.clear()
        self.on_the_way.report(now, completed, freed)
        return [*self.said]

    def codes(self) -> Iterable[str]:
        """Names of the files of codes."""
        return sorted(path.name for path in self.state.rglob("*.txt"))


@pytest.fixture
def way(tmp_path: Path) -> Way:
    """Nothing is coming yet."""
    return Way(tmp_path)


def test_a_bundle_that_stays_incomplete_is_reported_once_with_its_code(way: Way) -> None:
    """When all that has arrived is stored; the code lies in the state folder until it is published after all."""
    way.read(PROGRESS)
    way.on_the_way.sender_gone(1.0)
    assert [] == way.report(1.0 + GRACE_S, completed=2, freed=1)
    needed, incomplete = way.report(2.0 + GRACE_S, completed=3, freed=2)
    assert isinstance(needed, ResendNeeded)
    assert isinstance(incomplete, Incomplete)
    assert (BUNDLE, ROW, "3 of 4 slabs are missing") == (incomplete.bundle, incomplete.row, incomplete.detail)
    assert f"diode-sender resend {incomplete.resend_code}" == needed.do
    assert [f"{BUNDLE}.txt"] == way.codes()
    assert [] == way.report(90.0)
    way.read(PUBLISHED)
    assert [] == way.codes()


def test_a_bundle_of_which_nothing_was_begun(way: Way) -> None:
    """It was announced, so its end is worth a report."""
    way.endings.more("b" * 16)
    way.endings.over("b" * 16, 0.0, receiving=False)
    (incomplete,) = (event for event in way.report(GRACE_S) if isinstance(event, Incomplete))
    assert (None, "no manifest arrived, or none that could be begun") == (incomplete.row, incomplete.detail)


def test_what_is_complete_or_over_is_not_reported(way: Way) -> None:
    """It is being published; or a heartbeat brings up an old one."""
    way.read(replace(PROGRESS, missing=0))
    way.on_the_way.sender_gone(1.0)
    assert [] == way.report(1.0 + GRACE_S)
    way.ledger.bundles.set_state(BUNDLE, State.PUBLISHING)
    way.ledger.bundles.set_state(BUNDLE, State.PUBLISHED)
    way.read(PROGRESS)
    way.endings.more(BUNDLE)
    way.on_the_way.sender_gone(20.0)
    assert [] == way.report(20.0 + GRACE_S)


def test_reports_of_what_heartbeats_alone_name_are_few(way: Way) -> None:
    """So many a minute, then their number."""
    for number in range(50):
        way.endings.more(f"{number:016x}")
        way.endings.over(f"{number:016x}", 0.0, receiving=False)
    said = way.report(GRACE_S)
    assert HINTS_A_MINUTE == sum(isinstance(event, Incomplete) for event in said)
    assert [HintsLeftOut(50 - HINTS_A_MINUTE)] == way.report(GRACE_S + 61.0)


@pytest.mark.parametrize("over", [HELD, PUBLISHED, EXPIRED, DROPPED])
def test_what_is_over_is_not_coming_any_more(way: Way, over: Event) -> None:
    """Whatever became of it."""
    way.read(PROGRESS, over)
    assert {} == way.on_the_way.coming


def test_a_manifest_that_nobody_signed_hides_nothing(way: Way) -> None:
    """Whoever sends one under a bundle's id does not hide that it is on its way."""
    way.read(PROGRESS, STRANGE)
    assert {BUNDLE: PROGRESS} == way.on_the_way.coming
    way.on_the_way.sender_gone(1.0)
    assert any(isinstance(event, Incomplete) for event in way.report(1.0 + GRACE_S))


@pytest.mark.parametrize("over", [HELD, PUBLISHED, Ended("quarantined", BUNDLE, ROW, {}), EXPIRED])
def test_what_is_over_is_not_reported(way: Way, over: Event) -> None:
    """Also when the sender speaks of it once more."""
    way.read(PROGRESS)
    way.on_the_way.sender_gone(1.0)
    way.read(over)
    way.endings.over(BUNDLE, 2.0, receiving=True)
    assert [] == way.report(99.0)


def test_what_is_resumed_is_reported_again(way: Way) -> None:
    """Something of it is missing, whatever was reported before; its grace begins at that time."""
    way.read(PROGRESS)
    way.on_the_way.sender_gone(1.0)
    assert way.report(1.0 + GRACE_S)
    way.read(Coming(ROW, "resumed", 250, 3))
    assert [] == way.report(50.0 + GRACE_S / 2)
    assert way.report(50.0 + GRACE_S)


def test_workers_that_begin_anew_count_from_nothing(way: Way) -> None:
    """What the earlier ones had assembled is not waited for."""
    way.read(PROGRESS)
    way.on_the_way.sender_gone(1.0)
    assert [] == way.report(1.0 + GRACE_S, completed=100, freed=90)
    way.read(DIED)
    assert [] == way.report(DIED.at + GRACE_S / 2)
    assert way.report(DIED.at + GRACE_S)
