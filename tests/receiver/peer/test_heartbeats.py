"""What is heard is recorded, on a disk that takes it or later, and what is missed is asked for by itself."""

from pathlib import Path
from typing import Any, Literal

import pytest
from structlog.testing import capture_logs

from diode.audit.log import AuditLog
from diode.errors import FullError
from diode.formats.names import MAX_SEQUENCE
from diode.protocol.heartbeat import Heartbeat
from receiver.events.happened import Coming, Noted
from receiver.events.of_link import GapsCounted
from receiver.ledger.bundles import Row
from receiver.ledger.ledgers import StoreLedger, SupervisorLedger
from receiver.ledger.peer import MAX_HEARD, MAX_JUNK_CHANNELS
from receiver.ledger.states import State
from receiver.messages.pipeline import DiskFailing
from receiver.peer.audit_checkpoints import PeerCheckpoints
from receiver.peer.completion import GRACE_S, Endings
from receiver.peer.heartbeats import GAP_S
from receiver.peer.requests import request_bundle
from receiver.spool.disk import DiskHealth
from tests.hearing import Hearing

FAR = (1 << 63) - 1
NONE_LEFT = 0  # no slab waits for store


def beat(number: int, *bundles: tuple[str, str], **channels: int) -> Heartbeat:
    """A heartbeat about ``bundles``: (id, state)."""
    flights = [{"id": i, "pass": 0, "passes": 1, "state": state} for i, state in bundles]
    books = {"clock": min(100 + number, FAR), "sessions": {}, "channels": channels, "bundles": flights}
    return Heartbeat.model_validate({"epoch": 1, "number": number, **books})


def coming(how: Literal["resumed", "progress"]) -> Coming:
    """A bundle whose manifest has arrived."""
    row = Row("a" * 16, "cve", "b", "1", sequence=1, size=1, files=1, slabs=1, content="", signer="",
              state=State.RECEIVING, detail="", changed="")  # fmt: skip
    return Coming(row, how, 0, 1)


def heads(folder: Path) -> PeerCheckpoints:
    """Where heads of the sender's audit log go."""
    return PeerCheckpoints(
        SupervisorLedger(folder / "ledger.db"), AuditLog(folder / "audit", "receiver", None), lambda _: None
    )


def told(ledger: SupervisorLedger) -> list[tuple[str, int]]:
    """The first numbers that heartbeats alone speak of, and of which nothing came."""
    return [(gap.channel, gap.sequence) for gap in ledger.gaps.told(("models",), 9, 0)]


def fill(ledger: SupervisorLedger, patches: pytest.MonkeyPatch) -> None:
    """From now on its disk takes nothing."""

    def execute(*_: object) -> None:
        raise FullError("full")

    patches.setattr(ledger._connection, "execute", execute)


def test_what_a_full_disk_does_not_take_is_recorded_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The alarm is said once, and nothing that was heard is lost."""
    ledger, endings, said = SupervisorLedger(tmp_path / "ledger.db"), Endings(), list[Any]()
    hearing = Hearing(ledger, endings, DiskHealth(said.append), heads(tmp_path))
    fill(ledger, monkeypatch)
    hearing.hear(beat(1, ("a" * 16, "waiting"), models=7), 1.0, {})
    hearing.hear(beat(2, ("b" * 16, "withdrawn"), models=8), 2.0, {})
    monkeypatch.undo()
    assert [DiskFailing] == [type(message) for message in said]
    assert (1, 2) == hearing.newest
    assert ({}, [], {}) == (ledger.peer.link_orders(), ledger.peer.heard(), ledger.peer.high_watermarks())
    hearing.hear(beat(3, models=8), 3.0, {})
    assert ((1, 3), ["a" * 16], {"models": 8}) == (hearing.newest, ledger.peer.heard(), ledger.peer.high_watermarks())
    assert {"": hearing.newest} == {key: order.reached for key, order in ledger.peer.link_orders().items()}


def test_what_was_withdrawn_is_missing_all_the_same(tmp_path: Path) -> None:
    """The sender's word is not signed: it is noted beside what is missing, and reported once as incomplete."""
    ledger = SupervisorLedger(tmp_path / "ledger.db")
    for number, state in enumerate(("sending", "withdrawn", "withdrawn")):
        endings = Endings(ledger.peer.heard())
        hearing = Hearing(ledger, endings, DiskHealth(lambda _: None), heads(tmp_path))
        hearing.hear(beat(1 + number, ("a" * 16, state)), 1.0 + number, {"a" * 16: coming("progress")})
    assert ["a" * 16] == endings.due(99.0, NONE_LEFT, NONE_LEFT)
    assert (["a" * 16], {"a" * 16}) == (ledger.peer.heard(), ledger.peer.cancelled())
    assert "the sender says that it was withdrawn" in request_bundle(ledger, "a" * 16).text


def test_a_withdrawn_bundle_may_come_after_all(tmp_path: Path) -> None:
    """A later word counts more, also after a restart; others are asked for first."""
    ledger, endings = SupervisorLedger(tmp_path / "ledger.db"), Endings()
    hearing = Hearing(ledger, endings, DiskHealth(lambda _: None), heads(tmp_path))
    hearing.hear(beat(1, ("a" * 16, "sending"), ("b" * 16, "sending")), 1.0, {})
    hearing.hear(beat(2, ("a" * 16, "withdrawn")), 2.0, {})
    assert ["b" * 16, "a" * 16] == ledger.peer.heard()
    hearing = Hearing(ledger, endings, DiskHealth(lambda _: None), heads(tmp_path))
    hearing.hear(beat(3, ("a" * 16, "sending")), 3.0, {})
    assert (["a" * 16, "b" * 16], set()) == (ledger.peer.heard(), ledger.peer.cancelled())


def test_made_up_channels_are_forgotten_and_real_ones_come_back(tmp_path: Path) -> None:
    """Of channels that are neither configured nor signed the newest are kept; the sender names its own again."""
    ledger = SupervisorLedger(tmp_path / "ledger.db")
    hearing = Hearing(ledger, Endings(), DiskHealth(lambda _: None), heads(tmp_path), ("models",))
    hearing.hear(beat(1, models=3, other=2), 1.0, {})
    for number in range(2, 12):
        hearing.hear(beat(number, **{f"junk{number}x{n}": 1 for n in range(20)}), 1.0 * number, {})
    assert (MAX_JUNK_CHANNELS + 1, False) == (
        len(ledger.peer.high_watermarks()),
        "other" in ledger.peer.high_watermarks(),
    )
    hearing.hear(beat(12, models=3, other=2), 12.0, {})
    assert {"models": 3, "other": 2}.items() <= ledger.peer.high_watermarks().items()
    assert len(hearing.recording._numbers.books.high_watermarks) <= MAX_JUNK_CHANNELS + 2


def test_words_of_bundles_are_bounded_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the link key may name any number of them."""
    ledger = SupervisorLedger(tmp_path / "ledger.db")
    hearing = Hearing(ledger, Endings(), DiskHealth(lambda _: None), heads(tmp_path))
    fill(ledger, monkeypatch)
    with capture_logs() as said:
        for number in range(2 * MAX_HEARD // 8):
            names = [(f"{8 * number + i:016x}", "withdrawn") for i in range(8)]
            hearing.hear(beat(1 + number, *names), 1.0, {})
    assert len(hearing.recording._bundles._cancelled) <= MAX_HEARD + 8
    assert 10 == len([line for line in said if line["event"] == "bundle_cancelled"])


def test_a_new_key_begins_with_nothing_that_the_old_one_said(tmp_path: Path) -> None:
    """Numbers, bundles and words of the old key's holder count for nothing once the new one has spoken."""
    ledger = SupervisorLedger(tmp_path / "ledger.db")
    keys, endings = ("new", "old"), Endings()
    hearing = Hearing(ledger, endings, DiskHealth(lambda _: None), heads(tmp_path), keys=keys)
    lies = {"models": MAX_SEQUENCE, "invented": MAX_SEQUENCE}
    hearing.hear(beat(1, ("a" * 16, "sending"), models=1), 1.0, {}, "old")
    hearing.hear(beat(FAR, ("a" * 16, "withdrawn"), ("b" * 16, "sending"), **lies), 2.0, {}, "old")
    assert 9 == len(told(ledger))
    hearing = Hearing(ledger, endings, DiskHealth(lambda _: None), heads(tmp_path), keys=keys)
    hearing.hear(beat(1, models=3), 3.0, {}, "new", has_mac=True)
    assert [("models", 1), ("models", 2), ("models", 3)] == told(ledger)
    assert ([], set()) == (ledger.peer.heard(), ledger.peer.cancelled())
    assert {"old": (1, FAR), "new": (1, 1)} == {key: order.reached for key, order in ledger.peer.link_orders().items()}
    assert (True, False) == (ledger.peer.link_orders()["new"].has_mac, ledger.peer.link_orders()["old"].has_mac)
    again = Hearing(ledger, endings, DiskHealth(lambda _: None), heads(tmp_path), keys=keys)
    again.hear(beat(2, ("c" * 16, "sending"), models=3), 4.0, {}, "new", has_mac=True)
    again.hear(beat(3, models=4), 5.0, {}, "new", has_mac=True)
    assert (["c" * 16], 4) == (ledger.peer.heard(), len(told(ledger)))


def test_a_key_that_comes_back_forgets_what_was_said_meanwhile(tmp_path: Path) -> None:
    """A, B and A again: what B's holder claimed counts for nothing, and A's order goes on where it was."""
    ledger = SupervisorLedger(tmp_path / "ledger.db")

    def hear(heartbeat: Heartbeat, key: str) -> None:
        hearing = Hearing(ledger, Endings(), DiskHealth(lambda _: None), heads(tmp_path), keys=("a", "b"))
        hearing.hear(heartbeat, 1.0, {}, key)

    hear(beat(5, models=1), "a")
    hear(beat(1, ("b" * 16, "withdrawn"), ("c" * 16, "sending"), models=MAX_SEQUENCE, invented=7), "b")
    hear(beat(6, models=2), "a")
    assert [("models", 1), ("models", 2)] == told(ledger)
    assert ([], set()) == (ledger.peer.heard(), ledger.peer.cancelled())
    assert {"a": ((1, 6), True), "b": ((1, 1), False)} == {
        key: (order.reached, order.has_spoken) for key, order in ledger.peer.link_orders().items()
    }


def test_an_update_keeps_the_order_and_what_was_said(tmp_path: Path) -> None:
    """Earlier versions kept one order for all keys: it goes on for those that are held, and is taken over once."""
    ledger = SupervisorLedger(tmp_path / "ledger.db")
    ledger._connection.execute("INSERT INTO heartbeat VALUES (1, 7, 9)")
    ledger.peer.note_high_watermarks({"models": 5})
    ledger.peer.note_heard(["a" * 16])
    hearing = Hearing(ledger, Endings(), DiskHealth(lambda _: None), heads(tmp_path), keys=("new", "old"))
    assert {"new": (7, 9), "old": (7, 9)} == {key: order.reached for key, order in hearing.orders.items()}
    hearing.hear(beat(10, models=5), 1.0, {}, "new")
    assert ([("models", 5)], ["a" * 16]) == (told(ledger), ledger.peer.heard())
    later = Hearing(ledger, Endings(), DiskHealth(lambda _: None), heads(tmp_path), keys=("third",))
    assert {"new", "old"} == later.orders.keys()


def test_many_bundles_that_end_at_once_are_all_reported(tmp_path: Path) -> None:
    """A heartbeat names a few; what gained something in this run is over when the sender rests."""
    endings = Endings()
    hearing = Hearing(SupervisorLedger(tmp_path / "ledger.db"), endings, DiskHealth(lambda _: None), heads(tmp_path))
    receiving = {f"{n:016x}": coming("progress" if n else "resumed") for n in range(20)}
    for second in range(int(GAP_S) + 1):
        hearing.hear(beat(1 + second), 1.0 + second, receiving)
    due = endings.due(1.0 + GAP_S + GRACE_S, NONE_LEFT, NONE_LEFT)
    assert [f"{n:016x}" for n in range(1, 20)] == due


def test_what_waits_for_room_is_asked_for_once(tmp_path: Path) -> None:
    """By its id, since its manifest told the number."""
    ledger = SupervisorLedger(tmp_path / "ledger.db")
    hearing = Hearing(ledger, Endings(), DiskHealth(lambda _: None), heads(tmp_path))
    StoreLedger(ledger.path).waiting.note_postponed("a" * 16, "models", 1)
    for second in range(12):
        hearing.hear(beat(1 + second, ("a" * 16, "over"), models=1), 1.0 + second, {})
    assert [f"bundle {'a' * 16}: everything: there was no room for it"] == [gap.what for gap in hearing.gaps]


def test_what_is_missed_is_asked_for_when_the_sender_rests(tmp_path: Path) -> None:
    """Not while anything is on its way."""
    ledger = SupervisorLedger(tmp_path / "ledger.db")
    hearing = Hearing(ledger, Endings(), DiskHealth(lambda _: None), heads(tmp_path))
    for second in range(30):
        hearing.hear(beat(1 + second, ("a" * 16, "sending"), models=1), 1.0 + second, {})
    assert [] == hearing.gaps
    for second in range(30, 42):
        hearing.hear(beat(1 + second, models=1), 1.0 + second, {})
    assert ["channel models, sequence 1", f"bundle {'a' * 16}"] == [gap.what.split(":")[0] for gap in hearing.gaps]


def test_what_found_no_room_is_not_lost_for_good(tmp_path: Path) -> None:
    """That another key speaks, and that a bundle was begun, is handed on with the next heartbeat that finds room."""
    ledger, endings = SupervisorLedger(tmp_path / "ledger.db"), Endings()
    hearing = Hearing(ledger, endings, DiskHealth(lambda _: None), heads(tmp_path), keys=("new", "old"))
    hearing.hear(beat(1, ("a" * 16, "sending"), models=7), 1.0, {}, "old")
    hearing.has_room = False
    hearing.hear(beat(1, models=2), 2.0, {}, "new")
    assert ((1, 1), ["a" * 16]) == (hearing.newest, ledger.peer.heard())
    hearing.has_room = True
    hearing.hear(beat(2, models=2), 3.0, {}, "new")
    assert ([], {"models": 2}) == (ledger.peer.heard(), ledger.peer.high_watermarks())
    assert (1, 2) == ledger.peer.link_orders()["new"].reached


def test_what_is_over_is_known_whatever_the_record_waits_for(tmp_path: Path) -> None:
    """A disk that hangs delays no report of an incomplete bundle."""
    endings = Endings()
    hearing = Hearing(SupervisorLedger(tmp_path / "ledger.db"), endings, DiskHealth(lambda _: None), heads(tmp_path))
    hearing.has_room = False
    hearing.hear(beat(1, ("a" * 16, "over")), 1.0, {"a" * 16: coming("progress")})
    assert ["a" * 16] == endings.due(1.0 + GRACE_S, NONE_LEFT, NONE_LEFT)


def test_alarms_of_heartbeats_are_events(tmp_path: Path) -> None:
    """What is missing is counted, and said once; a clock that goes back is said."""
    hearing = Hearing(SupervisorLedger(tmp_path / "ledger.db"), Endings(), DiskHealth(lambda _: None), heads(tmp_path))
    for second in range(12):
        hearing.hear(beat(1 + second, models=1), 1.0 + second, {})
    hearing.hear(beat(20, models=1).model_copy(update={"clock": 50}), 14.0, {})
    assert [GapsCounted(1)] == [event for event in hearing.events if isinstance(event, GapsCounted)]
    noted = [event.event for event in hearing.events if isinstance(event, Noted)]
    assert ["bundle_missing", "sender_clock_backwards"] == noted
