"""How each bundle that is not here ends in what people are shown, and that a person, and nobody else, ends that."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from securesystemslib.signer import CryptoSigner
from typer.testing import CliRunner

from diode.audit.verify import entries_of
from diode.console.budget import PerMinute
from diode.errors import UsageError
from receiver.cli.main import app
from receiver.control.words import WORDS, Dismiss
from receiver.events.happened import Dismissed, Event, Noted
from receiver.events.of_link import GapsCounted
from receiver.ledger.ledgers import SupervisorLedger
from receiver.ledger.pointers import Recall
from receiver.ledger.states import State
from receiver.peer.asking import PROOF_S, Asking
from receiver.peer.dismissing import Dismissing, Subject, read_subject
from receiver.spool.disk import DiskHealth
from tests.enclave import Enclave
from tests.link import Bundle, make_bundle
from tests.receiver.store.test_proofs import ALICE, series

STRANGER = CryptoSigner.generate_ed25519()
ONE, TWO, THREE, FOUR, FIVE = (series(1, 5)[n] for n in range(1, 6))


def hex_of(bundle: Bundle) -> str:
    """Its id."""
    return f"{bundle.number:016x}"


def begun(enclave: Enclave) -> None:
    """Its manifest came, and nothing else."""
    enclave.take_manifest(TWO, TWO.number)


def withdrawn_after_manifest(enclave: Enclave) -> None:
    """A heartbeat says so."""
    begun(enclave)
    enclave.peer.note_cancelled([hex_of(TWO)])


def withdrawn_before_the_first_datagram(enclave: Enclave) -> None:
    """Heartbeats alone spoke of it."""
    enclave.peer.note_heard([hex_of(TWO)])
    enclave.peer.note_cancelled([hex_of(TWO)])


def rejected_at_staging(enclave: Enclave) -> None:
    """Its number was spent, so the bundle after it names it."""
    enclave.take(THREE)
    enclave.peer.note_cancelled([hex_of(TWO)])


def withdrawn_while_there_was_no_room(enclave: Enclave) -> None:
    """Its manifest came, and could not be begun."""
    enclave.store.records.ledger.waiting.note_postponed(hex_of(TWO), "test", 2)
    enclave.peer.note_cancelled([hex_of(TWO)])


def signed_by_a_stranger(enclave: Enclave) -> None:
    """Its manifest came, with a signature that does not count."""
    strange = make_bundle({"a": b"2"}, sequence=2, signer=STRANGER, previous=hex_of(ONE))
    assert strange.number == TWO.number  # signatures are no part of the id
    enclave.peer.note_heard([hex_of(TWO)])
    enclave.take_manifest(strange, TWO.number)


def rejected_here(enclave: Enclave) -> None:
    """By a person."""
    begun(enclave)
    enclave.store.records.ledger.bundles.set_state(hex_of(TWO), State.REFUSED, "a person says no")


def expired(enclave: Enclave) -> None:
    """It was given up."""
    begun(enclave)
    enclave.store.records.ledger.bundles.set_state(hex_of(TWO), State.EXPIRED, "incomplete for too long")


def recalled_by_a_signature(enclave: Enclave) -> None:
    """Before it was whole."""
    begun(enclave)
    recall = Recall(hex_of(TWO), "test", TWO.manifest.name, TWO.manifest.version, "now", "alice", "bad")
    enclave.store.records.ledger.recalls.put(recall)


def held(enclave: Enclave) -> None:
    """It waits for a person."""
    begun(enclave)
    enclave.store.records.ledger.bundles.set_state(hex_of(TWO), State.HELD)


def published(enclave: Enclave) -> None:
    """Nothing is missing of it."""
    enclave.take(TWO)


class End(NamedTuple):
    """What is shown: ``state`` in missing, the word in status, what the sender says; whether an alarm says so."""

    make: Callable[[Enclave], None]
    state: str
    standing: str
    says: str = ""
    is_alarmed: bool = False


ENDS = [
    End(begun, "incomplete", "receiving"),
    End(withdrawn_after_manifest, "incomplete", "receiving", "withdrawn"),
    End(withdrawn_before_the_first_datagram, "told", "", "withdrawn", is_alarmed=True),
    End(rejected_at_staging, "named", "", "withdrawn", is_alarmed=True),
    End(withdrawn_while_there_was_no_room, "waiting", "", "withdrawn", is_alarmed=True),
    End(signed_by_a_stranger, "quarantined", ""),
    End(rejected_here, "", "quarantined"),
    End(expired, "expired", "expired"),
    End(recalled_by_a_signature, "recalled", "recalled"),
    End(held, "", "held"),
    End(published, "", "published"),
]


class Room(NamedTuple):
    """An enclave, and a person at its terminal; the daemon's end of what the person types is called at once."""

    enclave: Enclave
    ledger: SupervisorLedger
    said: list[Event]
    dismissing: Dismissing

    def shown(self, command: str, *arguments: str) -> Any:
        """What a command prints as JSON."""
        toml = str(self.enclave.folder / "receiver.toml")
        return json.loads(CliRunner().invoke(app, ["-c", toml, command, *arguments, "--json"]).stdout)

    def text(self, command: str) -> str:
        """What a command prints."""
        return CliRunner().invoke(app, ["-c", str(self.enclave.folder / "receiver.toml"), command]).output

    def missing(self) -> list[tuple[str, str, str]]:
        """By id or number."""
        listed = self.shown("missing")
        assert all(one["code"] for one in listed)  # nothing takes a code away
        return [
            (one["bundle"] or f"{one['channel']}/{one['sequence']}", one["state"], one["sender_says"]) for one in listed
        ]

    def alarms(self) -> tuple[list[str], int]:
        """Of which bundles a fresh look says that they are missing, and how many the metric counts."""
        said: list[Event] = []
        asking = Asking(self.ledger, DiskHealth(lambda _: None), ("test",), PerMinute(100), said.append)
        asking.look_back(PROOF_S + 1.0)
        missed = [str(one.fields.get("bundle")) for one in said if isinstance(one, Noted)]
        return missed, next(one.count for one in said if isinstance(one, GapsCounted))


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """The first bundle of the channel was published."""
    enclave = Enclave(tmp_path, {"alice.pub": ALICE}, "[channels.test]\nquota = 1000000\n")
    enclave.take(ONE)
    said: list[Event] = []
    with closing(SupervisorLedger(enclave.config.state / "ledger.db")) as ledger:
        dismissing = Dismissing(ledger, enclave.store.records.audit, enclave.config.state, said.append)
        yield Room(enclave, ledger, said, dismissing)


@pytest.mark.parametrize("end", ENDS, ids=[end.make.__name__ for end in ENDS])
def test_each_end_is_shown_as_what_it_is(room: Room, end: End) -> None:
    """In missing, status, alarms and the metric alike; a heartbeat's word stands apart, and takes nothing away."""
    end.make(room.enclave)
    missing = room.missing()
    assert ([(hex_of(TWO), end.state, end.says)] if end.state else []) == missing
    rows = {row["id"]: row for row in room.shown("status")["bundles"]}
    standing = rows.get(hex_of(TWO), {"standing": "", "sender_says": end.says})
    assert (end.standing, end.says) == (standing["standing"], standing["sender_says"])
    alarmed, counted = room.alarms()
    assert ([hex_of(TWO)] if end.is_alarmed else [], int(end.is_alarmed)) == (alarmed, counted)
    if end.state == "quarantined":
        assert [hex_of(TWO)] == [one["bundle"] for one in room.shown("status")["quarantined"]]
        assert "quarantined: trust: not signed by a trusted key" in room.text("missing")
        assert "not even its manifest" not in room.text("missing")


@pytest.mark.parametrize("end", [end for end in ENDS if end.state], ids=lambda end: end.make.__name__)
def test_a_person_ends_it_and_takes_that_back(room: Room, end: End) -> None:
    """Whatever is missing can be dismissed; it is in the audit log with who said it, and kept in the ledger."""
    end.make(room.enclave)
    before, subject = room.missing(), read_subject(room.ledger, hex_of(TWO)[:6].upper())
    assert room.dismissing.dismiss(subject, "nobody needs it", "alice:1000")
    assert not room.dismissing.dismiss(subject, "once more", "alice:1000")
    assert ([], ([], 0)) == (room.missing(), room.alarms())
    (kept,) = room.shown("missing", "--dismissed")
    assert (hex_of(TWO), "alice:1000", "nobody needs it") == (kept["bundle"], kept["who"], kept["reason"])
    rows = {row["id"]: row["standing"] for row in room.shown("status")["bundles"]}
    assert rows.get(hex_of(TWO), "dismissed") == "dismissed"
    assert room.dismissing.undo(subject, "", "bob:1001")
    assert before == room.missing()
    entries = entries_of(room.enclave.config.audit_folder)
    noted = [(entry.what, entry.who) for entry in entries if entry.what.startswith("dismiss")]
    assert [("dismissed", "alice:1000"), ("dismissal_undone", "bob:1001")] == noted
    assert [False, True] == [one.is_undone for one in room.said if isinstance(one, Dismissed)]


@pytest.mark.parametrize("end", [end for end in ENDS if end.state], ids=lambda end: end.make.__name__)
def test_what_was_dismissed_is_published_when_it_comes(room: Room, end: End) -> None:
    """It trusts nothing and stops nothing."""
    end.make(room.enclave)
    room.dismissing.dismiss(Subject(hex_of(TWO), "", 0), "nobody needs it", "alice:1000")
    room.enclave.restart()
    room.enclave.take(TWO)
    assert room.enclave.published(TWO)


def test_a_stranger_is_not_trusted_for_being_dismissed(room: Room) -> None:
    """Its manifest is refused as before."""
    signed_by_a_stranger(room.enclave)
    room.dismissing.dismiss(Subject(hex_of(TWO), "", 0), "why", "alice:1000")
    signed_by_a_stranger(room.enclave)
    assert (False, []) == (room.enclave.published(TWO), room.missing())


def test_a_number_without_an_id_is_dismissed_by_its_number(room: Room) -> None:
    """One that a signature proves; a number to come, or a bundle's, is none."""
    room.enclave.take(FIVE)
    assert [(hex_of(FOUR), "named", ""), ("test/2", "numbered", ""), ("test/3", "numbered", "")] == room.missing()
    room.dismissing.dismiss(read_subject(room.ledger, "test/2"), "never sent", "alice:1000")
    room.dismissing.dismiss(read_subject(room.ledger, hex_of(FOUR)), "never sent", "alice:1000")
    assert [("test/3", "numbered", "")] == room.missing()
    for typed in ("test/6", "test/5", "other/1"):
        with pytest.raises(UsageError, match="nothing was changed"):
            room.dismissing.dismiss(read_subject(room.ledger, typed), "why", "alice:1000")
    room.dismissing.undo(read_subject(room.ledger, "test/2"), "", "alice:1000")
    assert [("test/2", "numbered", ""), ("test/3", "numbered", "")] == room.missing()


def test_another_bundle_under_a_dismissed_number_is_missed(room: Room) -> None:
    """What was said was about one bundle, or about one numbering of the channel."""
    room.enclave.take(FIVE)
    room.dismissing.dismiss(Subject("", "test", 3), "never sent", "alice:1000")
    room.enclave.store.records.ledger.numbers.begin("test", 2)
    assert ("test/3", "numbered", "") in room.missing()


def test_what_lies_below_the_beginning_of_a_channel_is_not_missed(room: Room) -> None:
    """Also what waited, or had no room."""
    for table in ("ahead", "postponed"):
        note = getattr(room.enclave.store.records.ledger.waiting, f"note_{table}")
        note(f"{table:0<16}"[:16].encode().hex()[:16], "test", 20_000)
    assert 2 == len(room.missing())
    room.enclave.store.records.ledger.numbers.begin("test", 30_000)
    assert [] == room.missing()


@pytest.mark.parametrize("typed", ["", "zz", "f" * 17, "../x", "Test/1", "test/0", "test/-1", "test/1/2", "f"])
def test_what_names_nothing_that_is_missed(room: Room, typed: str) -> None:
    """It is refused, and nothing is guessed."""
    begun(room.enclave)
    with pytest.raises(UsageError, match="missing"):
        read_subject(room.ledger, typed if typed != "f" else "f" if not hex_of(TWO).startswith("f") else "e")


def test_a_published_bundle_is_not_dismissed(room: Room) -> None:
    """Nor one of which nobody ever heard: whoever asks the daemon without the command."""
    published(room.enclave)
    for bundle in (hex_of(TWO), "f" * 16):
        with pytest.raises(UsageError, match="nobody misses it"):
            room.dismissing.dismiss(Subject(bundle, "", 0), "why", "alice:1000")
    assert WORDS.decode(WORDS.encode(Dismiss("", "test", 3, "why"))) == Dismiss("", "test", 3, "why")


def test_without_a_daemon_nothing_is_changed(room: Room) -> None:
    """The command says what to type."""
    begun(room.enclave)
    toml = str(room.enclave.folder / "receiver.toml")
    result = CliRunner().invoke(app, ["-c", toml, "dismiss", hex_of(TWO), "--reason", "why"])
    assert isinstance(result.exception, UsageError)
    assert "diode-receiver run" in str(result.exception)
