"""What is heard is recorded, on a disk that takes it or later, and what is missed is asked for by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

from diode.audit import AuditLog
from diode.errors import FullError
from diode.heartbeat import Heartbeat
from receiver.disk import DiskHealth
from receiver.endings import GRACE_S, Endings
from receiver.events import Coming
from receiver.heads import PeerHeads
from receiver.hearing import GAP_S, Hearing
from receiver.ledger import Ledger, Row
from receiver.messages import DiskFailing

NONE_LEFT = 0  # no slab waits for store


def beat(number: int, *bundles: tuple[str, str], **channels: int) -> Heartbeat:
    """A heartbeat about ``bundles``: (id, state)."""
    flights = [{"id": i, "pass": 0, "passes": 1, "state": state} for i, state in bundles]
    books = {"clock": 100 + number, "sessions": {}, "channels": channels, "bundles": flights}
    return Heartbeat.model_validate({"epoch": 1, "number": number, **books})


def coming(how: Literal["resumed", "progress"]) -> Coming:
    """A bundle whose manifest has arrived."""
    row = Row("a" * 16, "cve", "b", "1", sequence=1, size=1, files=1, slabs=1, content="", signer="",
              state="receiving", detail="", changed="")  # fmt: skip
    return Coming(row, how, 0, 1)


def heads(folder: Path) -> PeerHeads:
    """Where heads of the sender's audit log go."""
    return PeerHeads(Ledger(folder / "ledger.db"), AuditLog(folder / "audit", "receiver", None))


@contextmanager
def full(ledger: Ledger) -> Iterator[None]:
    """Its disk takes nothing."""
    with patch.object(ledger, "_execute", side_effect=FullError("full")):
        yield


def test_what_a_full_disk_does_not_take_is_recorded_later(tmp_path: Path) -> None:
    """The alarm is said once, and nothing that was heard is lost."""
    ledger, endings, said = Ledger(tmp_path / "ledger.db"), Endings(), list[Any]()
    hearing = Hearing(ledger, endings, DiskHealth(said.append), heads(tmp_path))
    with full(ledger):
        hearing.hear(beat(1, ("a" * 16, "waiting"), models=7), 1.0, {})
        hearing.hear(beat(2, ("b" * 16, "withdrawn"), models=8), 2.0, {})
    assert [DiskFailing] == [type(message) for message in said]
    assert (1, 2) == hearing.order
    assert ((-1, 0), [], {}) == (ledger.heartbeat_order(), ledger.heard(), ledger.issued())
    hearing.hear(beat(3, models=8), 3.0, {})
    assert ((1, 3), ["a" * 16], {"models": 8}) == (ledger.heartbeat_order(), ledger.heard(), ledger.issued())


def test_what_was_withdrawn_is_not_asked_for(tmp_path: Path) -> None:
    """Staging could not answer; not now, and not after a restart."""
    ledger, endings = Ledger(tmp_path / "ledger.db"), Endings()
    for number, state in enumerate(("sending", "withdrawn", "withdrawn")):
        hearing = Hearing(ledger, endings, DiskHealth(lambda _: None), heads(tmp_path))
        hearing.hear(beat(1 + number, ("a" * 16, state)), 1.0 + number, {"a" * 16: coming("progress")})
    assert [] == endings.due(99.0, NONE_LEFT, NONE_LEFT)
    assert ([], {"a" * 16}) == (ledger.heard(), ledger.withdrawn())


def test_many_bundles_that_end_at_once_are_all_reported(tmp_path: Path) -> None:
    """A heartbeat names a few; what gained something in this run is over when the sender rests."""
    endings = Endings()
    hearing = Hearing(Ledger(tmp_path / "ledger.db"), endings, DiskHealth(lambda _: None), heads(tmp_path))
    receiving = {f"{n:016x}": coming("progress" if n else "resumed") for n in range(20)}
    for second in range(int(GAP_S) + 1):
        hearing.hear(beat(1 + second), 1.0 + second, receiving)
    due = endings.due(1.0 + GAP_S + GRACE_S, NONE_LEFT, NONE_LEFT)
    assert [f"{n:016x}" for n in range(1, 20)] == due


def test_what_waits_for_room_is_asked_for_once(tmp_path: Path) -> None:
    """By its id, since its manifest told the number."""
    ledger = Ledger(tmp_path / "ledger.db")
    hearing = Hearing(ledger, Endings(), DiskHealth(lambda _: None), heads(tmp_path))
    ledger.note_postponed("a" * 16, "models", 1)
    for second in range(12):
        hearing.hear(beat(1 + second, ("a" * 16, "over"), models=1), 1.0 + second, {})
    assert [f"bundle {'a' * 16}: everything: there was no room for it"] == [gap.what for gap in hearing.gaps]


def test_what_is_missed_is_asked_for_when_the_sender_rests(tmp_path: Path) -> None:
    """Not while anything is on its way."""
    ledger = Ledger(tmp_path / "ledger.db")
    hearing = Hearing(ledger, Endings(), DiskHealth(lambda _: None), heads(tmp_path))
    for second in range(30):
        hearing.hear(beat(1 + second, ("a" * 16, "sending"), models=1), 1.0 + second, {})
    assert [] == hearing.gaps
    for second in range(30, 42):
        hearing.hear(beat(1 + second, models=1), 1.0 + second, {})
    assert ["channel models, sequence 1", f"bundle {'a' * 16}"] == [gap.what.split(":")[0] for gap in hearing.gaps]
