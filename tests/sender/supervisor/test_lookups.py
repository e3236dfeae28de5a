"""What heartbeats tell of the ledger and the audit log, while the disk answers and while it does not."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

import pytest

from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.errors import StorageError
from sender.events.happened import Event, LookupLate
from sender.ledger import Ledger, Row, State
from sender.supervisor.lookups import LATE_S, Known, Lookups, look_into

ROW = Row("0" * 15 + "1", "cve", "n", "1", 1, "ab" * 32, 1, 1, 1, 0.0, State.QUEUED, "", "2026-01-01T00:00:00Z", "")


@dataclass
class Disk:
    """A ledger on a disk that answers when it is told to. An answer is what it finds, or what it fails with."""

    answers: SimpleQueue[Known | Exception] = field(default_factory=SimpleQueue)
    asked: int = 0

    def look(self, _ledger: Ledger, _audit: AuditLog) -> Known:
        """Wait for the next answer."""
        self.asked += 1
        answer = self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Bench:
    """Lookups, their disk, what they said, and the time."""

    lookups: Lookups
    disk: Disk
    said: list[Event]
    now: list[float]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Opened, with the first answer known. A heartbeat waits for no more than one turn of the loop."""
    Ledger(tmp_path / "ledger.db").close()
    disk, now = Disk(), [0.0]
    said: list[Event] = []
    audit = AuditLog(tmp_path / "audit", "sender", None)
    lookups = Lookups(tmp_path / "ledger.db", audit, said.append, look=disk.look, patience_s=0.0, clock=lambda: now[0])
    disk.answers.put(Known({"cve": 1}, None))
    lookups.open()
    yield Bench(lookups, disk, said, now)
    disk.answers.put(Known({}, None))  # whatever the thread waits for
    lookups.close()


async def answered(lookups: Lookups) -> Known:
    """What is known when the answer has come."""
    assert lookups._pending is not None
    await asyncio.wait({lookups._pending})
    return await lookups.refresh()


async def test_a_disk_that_does_not_answer_holds_nothing_up(bench: Bench) -> None:
    """Each heartbeat tells what was known, and there is never more than one question."""
    for _ in range(50):
        assert Known({"cve": 1}, None) == await bench.lookups.refresh()
    assert 2 >= bench.disk.asked
    bench.disk.answers.put(Known({"cve": 2}, None))
    assert Known({"cve": 2}, None) == await answered(bench.lookups)


async def test_somebody_is_told_once_that_it_is_late(bench: Bench) -> None:
    """And once more when it is late again."""
    for _ in range(2):
        await bench.lookups.refresh()
        for _ in range(5):
            bench.now[0] += LATE_S
            await bench.lookups.refresh()
        bench.disk.answers.put(Known({"cve": 2}, None))
        await answered(bench.lookups)
    assert [LookupLate(LATE_S), LookupLate(LATE_S)] == bench.said


async def test_what_the_disk_fails_with_is_raised(bench: Bench) -> None:
    """On the event loop, to whoever wants to know; the next question is asked anew."""
    await bench.lookups.refresh()
    bench.disk.answers.put(StorageError("no disk"))
    with pytest.raises(StorageError, match="no disk"):
        await answered(bench.lookups)
    await bench.lookups.refresh()
    bench.disk.answers.put(Known({"cve": 3}, None))
    assert Known({"cve": 3}, None) == await answered(bench.lookups)


def test_the_end_waits_for_no_disk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that is held up is left behind."""
    monkeypatch.setattr("sender.supervisor.lookups.CLOSE_S", 0.0)
    asyncio.run(_ask_once(bench.lookups))
    bench.lookups.close()


async def _ask_once(lookups: Lookups) -> None:
    await lookups.refresh()


def test_only_what_is_committed_is_told(tmp_path: Path) -> None:
    """The thread has a connection of its own: a number that a transaction is about to take is not seen."""
    audit = AuditLog(tmp_path / "audit", "sender", None)
    with (
        closing(Ledger(tmp_path / "ledger.db")) as ledger,
        closing(Ledger(tmp_path / "ledger.db", read_only=True)) as own,
    ):
        assert Known({}, None) == look_into(own, audit)
        with ledger._connection.transaction():
            ledger._connection.execute("INSERT INTO channel VALUES ('cve', 7, NULL)")
            assert {} == look_into(own, audit).channels
        audit.append(What.STARTED)
        known = look_into(own, audit)
        assert ({"cve": 7}, audit.head(), False) == (known.channels, known.audit, known.is_asked)


def test_what_commands_left_is_noticed(tmp_path: Path) -> None:
    """A request to send slabs again, and a bundle that enough people signed."""
    audit = AuditLog(tmp_path / "audit", "sender", None)
    with closing(Ledger(tmp_path / "ledger.db")) as ledger:
        ledger.add(ROW)
        ledger.add(ROW._replace(id="0" * 15 + "2", sequence=2, version="2", state=State.UNAPPROVED))
        assert not look_into(ledger, audit).is_asked
        resend = ledger.resends.ask(ROW.id, ((0, 1),))
        assert look_into(ledger, audit).is_asked
        ledger.resends.end(resend.number, "sent")
        ledger.set_state("0" * 15 + "2", State.APPROVED)
        assert look_into(ledger, audit).is_asked
