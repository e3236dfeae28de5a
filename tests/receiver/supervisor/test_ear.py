"""Heartbeats are recorded beside the event loop: a disk that hangs stops nothing, and their order is kept."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from diode.audit.log import AuditLog
from diode.errors import DiodeError, IntegrityError
from diode.protocol.heartbeat import Heartbeat
from diode.protocol.link_order import LinkOrder
from receiver.events.happened import Event, Noted
from receiver.ledger.ledgers import SupervisorLedger
from receiver.peer.completion import GRACE_S, Endings
from receiver.supervisor import ear as ears
from receiver.supervisor.ear import MOST_WAITING, Ear
from tests.patience import PATIENCE_S


class HangingLedger(SupervisorLedger):
    """Its disk takes nothing until ``goes_on`` is set. ``recorded``: of the heartbeats that were recorded, in order."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.goes_on, self.hangs = threading.Event(), threading.Event()
        self.recorded: list[int] = []
        self.raises: Exception | None = None
        self._note_order = self.peer.note_order
        setattr(self.peer, "note_order", self._note_when_it_goes_on)  # noqa: B010 - a method of one object

    def _note_when_it_goes_on(self, key: str, order: LinkOrder) -> None:
        """Record the newest heartbeat, when the disk goes on."""
        self.hangs.set()
        self.goes_on.wait(PATIENCE_S)
        if self.raises is not None:
            raise self.raises
        self._note_order(key, order)
        self.recorded.append(order.number)


class Heard:
    """An ear with its ledger, and what it said."""

    def __init__(self, folder: Path) -> None:
        self.ledger = HangingLedger(folder / "ledger.db")
        self.endings = Endings()
        self.events: list[Event] = []
        self.failures: list[DiodeError] = []
        audit = AuditLog(folder / "audit", "receiver", None)
        self.ear = Ear(self.ledger, audit, (), ("key",), self.endings, self.events.append, self.failures.append)

    def hear(self, number: int, **channels: int) -> None:
        """One heartbeat, about bundle ``number``."""
        bundle = {"id": f"{number:016x}", "pass": 0, "passes": 1, "state": "sending"}
        books = {"clock": 10_000 - 10 * number, "sessions": {}, "channels": channels, "bundles": [bundle]}
        beat = Heartbeat.model_validate({"epoch": 1, "number": number, **books})
        self.ear.hearing.hear(beat, float(number), {}, "key")


@pytest.fixture
async def heard(tmp_path: Path) -> AsyncIterator[Heard]:
    """An ear whose disk hangs; it goes on in the end."""
    made = Heard(tmp_path)
    yield made
    made.ledger.goes_on.set()
    await made.ear.close()


async def test_a_disk_that_hangs_does_not_stop_the_loop(heard: Heard) -> None:
    """While one heartbeat waits for the disk, others are taken, and what is over is known."""
    heard.hear(1)
    assert await asyncio.to_thread(heard.ledger.hangs.wait, PATIENCE_S)
    for number in range(2, 12):
        heard.hear(number)
        await asyncio.sleep(0)
    assert ((1, 11), []) == (heard.ear.hearing.newest, heard.ledger.recorded)
    heard.endings.over(f"{5:016x}", 20.0, receiving=False)
    assert [f"{5:016x}"] == heard.endings.due(20.0 + GRACE_S, 0, 0)
    heard.ledger.goes_on.set()
    assert await heard.ear.close()
    assert list(range(1, 12)) == heard.ledger.recorded


async def test_alarms_come_in_the_order_of_heartbeats(heard: Heard) -> None:
    """Each is said in the thread of the loop, after those of earlier heartbeats."""
    heard.ledger.goes_on.set()
    for number in range(1, 6):
        heard.hear(number, **{"models": 100 - number, f"only-{number}": 1})
    assert await heard.ear.close()
    clocks = [event.fields for event in heard.events if isinstance(event, Noted) and "clock" in event.event]
    falls = [event.fields for event in heard.events if isinstance(event, Noted) and "sequence" in event.event]
    assert ([{"seconds": 10}] * 4, [{"channel": "models", "was": 99, "now": 98}]) == (clocks, falls)


async def test_what_waits_is_bounded_and_what_is_left_out_counted(heard: Heard) -> None:
    """However long the disk hangs, and however many heartbeats come."""
    heard.hear(1)
    assert await asyncio.to_thread(heard.ledger.hangs.wait, PATIENCE_S)
    for number in range(2, 2 + MOST_WAITING + 7):
        heard.hear(number)
    assert 7 == heard.ear.left_out
    heard.ledger.goes_on.set()
    assert await heard.ear.close()
    assert list(range(1, 2 + MOST_WAITING)) == heard.ledger.recorded


async def test_a_thread_that_hangs_holds_up_no_end(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for it is bounded, and its ledger stays open."""
    monkeypatch.setattr(ears, "GRACE_S", 0.01)
    heard.hear(1)
    assert await asyncio.to_thread(heard.ledger.hangs.wait, PATIENCE_S)
    assert not await heard.ear.close()
    assert {} == heard.ledger.peer.link_orders()
    monkeypatch.setattr(ears, "GRACE_S", PATIENCE_S)


async def test_what_cannot_be_survived_ends_the_daemon(heard: Heard) -> None:
    """Such as an audit log that was cut."""
    heard.ledger.raises = error = IntegrityError("cut")
    heard.ledger.goes_on.set()
    heard.hear(1)
    await heard.ear.close()
    assert ([error], []) == (heard.failures, heard.events)


async def test_a_mistake_of_ours_costs_one_heartbeat(heard: Heard) -> None:
    """It is said, and the next one is recorded."""
    heard.ledger.raises = KeyError("ours")
    heard.hear(1)
    heard.ledger.goes_on.set()
    await asyncio.to_thread(heard.ear._background._waiting.join)
    heard.ledger.raises = None
    heard.hear(2)
    await heard.ear.close()
    assert ([2], []) == (heard.ledger.recorded, heard.failures)
    assert ["heartbeat_not_recorded"] == [event.event for event in heard.events if isinstance(event, Noted)][:1]
