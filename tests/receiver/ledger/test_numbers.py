"""A number alone never decides for good: what lies too far away waits for a person, and comes in afterwards."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from typer.testing import CliRunner

from diode.audit.verify import entries_of
from diode.errors import ReplayError, RevokedKeyError
from diode.formats.names import MAX_SEQUENCE
from receiver.cli.main import app
from receiver.ledger.ledgers import StoreLedger
from receiver.ledger.numbers import FLOOR_DEPTH, MAX_JUMP
from receiver.ledger.states import State
from receiver.ledger.waiting import MAX_AHEAD
from receiver.messages.pipeline import MoreNotSaid, NumberWaits
from receiver.peer.channels import begin_channel
from receiver.peer.requests import request_gaps
from tests.enclave import Enclave
from tests.link import Bundle, make_bundle

ALICE = CryptoSigner.generate_ed25519()
LAST = MAX_SEQUENCE


def numbered(sequence: int, **fields: Any) -> Bundle:
    """A bundle with this number, lawfully signed."""
    return make_bundle({"a": b"%d" % sequence}, sequence=sequence, signer=ALICE, **fields)


@pytest.fixture
def enclave(tmp_path: Path) -> Enclave:
    """Nothing was ever received."""
    return Enclave(tmp_path, {"alice.pub": ALICE})


def waiting(enclave: Enclave) -> list[str]:
    """What people are told to type."""
    return [message.do for message in enclave.said(NumberWaits)]


@pytest.mark.parametrize(("first", "waits"), [(1, False), (MAX_JUMP, False), (MAX_JUMP + 1, True), (LAST - 1, True)])
def test_the_first_number_of_a_channel(enclave: Enclave, first: int, waits: bool) -> None:
    """Up to ten thousand it is taken; one above is neither taken nor refused, and names what to type."""
    bundle = numbered(first)
    enclave.take(bundle)
    assert (not waits, []) == (enclave.published(bundle), enclave.refusals)
    assert [f"if that is right: diode-receiver channel begin test {first}"] * waits == waiting(enclave)


@pytest.mark.parametrize("first", [MAX_JUMP + 1, LAST])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_person_lets_it_in(enclave: Enclave, first: int, restarted: bool) -> None:
    """Beside the running daemon, or before it starts anew: with the next pass."""
    bundle = numbered(first)
    enclave.take(bundle)
    begin_channel(enclave.config, "test", first)
    if restarted:
        enclave.restart()
    enclave.take(bundle)
    assert enclave.published(bundle)
    assert "channel_begun" in [entry.what for entry in entries_of(enclave.config.audit_folder)]


def test_what_waits_closes_nothing(enclave: Enclave) -> None:
    """The real channel begins at 1, whatever was sent before."""
    enclave.take(numbered(LAST))
    real = numbered(1)
    enclave.take(real)
    assert enclave.published(real)


def test_a_later_jump_waits_as_well(enclave: Enclave) -> None:
    """And goes on from there."""
    near, far, beyond = numbered(1), numbered(1 + MAX_JUMP + 1), numbered(2 + MAX_JUMP + 1)
    for bundle in (near, far):
        enclave.take(bundle)
    assert (True, False, []) == (enclave.published(near), enclave.published(far), enclave.refusals)
    begin_channel(enclave.config, "test", far.manifest.sequence)
    for bundle in (far, beyond):
        enclave.take(bundle)
    assert (True, True) == (enclave.published(far), enclave.published(beyond))


def test_a_channel_that_was_run_up_comes_back(enclave: Enclave) -> None:
    """By a stolen key, in steps that are each allowed: the real sender's number lies far below, and is begun again."""
    enclave.take(numbered(1))
    for step in range(FLOOR_DEPTH // MAX_JUMP + 1):
        thief = numbered((step + 1) * MAX_JUMP)
        enclave.take_manifest(thief, thief.number)
    real = [numbered(n, previous=None) for n in (2, 3, 9000)]
    enclave.take(real[0])
    assert (False, []) == (enclave.published(real[0]), enclave.refusals)
    begin_channel(enclave.config, "test", 2)
    enclave.restart()
    for bundle in real:
        enclave.take(bundle)
    assert [True] * 3 == [enclave.published(bundle) for bundle in real]


def test_a_ledger_that_an_earlier_version_left_poisoned(enclave: Enclave) -> None:
    """Its first bundle had the last number there is, and the real ones were refused for good."""
    real = numbered(7)
    with sqlite3.connect(enclave.config.state / "ledger.db") as database:
        rows = [("f" * 16, "n", "1", LAST, "published", ""), (f"{real.number:016x}", "bundle", "7", 7, "refused")]
        rows[1] = (*rows[1], "sequence 7 lies below the floor of its channel")
        for bundle, name, version, sequence, state, detail in rows:
            values = (bundle, "test", name, version, sequence, 1, 1, 1, "0" * 64, "s", state, detail, "now")
            database.execute(f"INSERT INTO bundle VALUES ({', '.join('?' * len(values))})", values)
    begin_channel(enclave.config, "test", 1)
    enclave.restart()
    enclave.take(real)
    assert enclave.published(real)


def test_a_hundred_that_wait_cost_nothing(enclave: Enclave) -> None:
    """No folder, no row of a bundle, few alarms and entries; all are listed, and none is forgotten by a restart."""
    for n in range(100):
        bundle = numbered(50_000 + n)
        enclave.take_manifest(bundle, bundle.number)
    for _ in range(10):
        enclave.tick()
    assert [] == list((enclave.config.inbox.path / ".diode" / "spool").iterdir())
    assert (20, [80]) == (len(waiting(enclave)), [m.count for m in enclave.said(MoreNotSaid)])
    assert 21 == len([e for e in entries_of(enclave.config.audit_folder) if e.what == "postponed"])
    enclave.restart()
    with closing(StoreLedger(enclave.config.state / "ledger.db", read_only=True)) as ledger:
        assert ([], 100) == (ledger.bundles.recent(9), len(ledger.waiting.ahead()))
        asked = request_gaps(ledger)
    assert 100 == len([request for request in asked if "channel begin test" in request.what])


def test_what_waits_is_bounded(tmp_path: Path) -> None:
    """The newest are remembered."""
    ledger = StoreLedger(tmp_path / "ledger.db")
    for n in range(MAX_AHEAD + 50):
        ledger.waiting.note_ahead(f"{n:016x}", "test", 50_000 + n)
    assert (MAX_AHEAD, f"{MAX_AHEAD + 49:016x}") == (len(ledger.waiting.ahead()), next(iter(ledger.waiting.ahead())))


def test_the_command(enclave: Enclave) -> None:
    """It says what is taken, and by which code what waited is asked for; nonsense changes nothing."""
    enclave.take(numbered(20_000))
    config = str(enclave.folder / "receiver.toml")
    for wrong in (["Te/st", "1"], ["test", "0"], ["test", str(LAST + 1)]):
        assert 0 != CliRunner().invoke(app, ["-c", config, "channel", "begin", *wrong]).exit_code
    result = CliRunner().invoke(app, ["-c", config, "channel", "begin", "test", "20000"])
    assert (0, True) == (result.exit_code, "diode-sender resend " in result.output)


def test_a_number_held_by_what_is_on_its_way_waits(enclave: Enclave) -> None:
    """A stolen key announces every number to come: the real ones are not refused, and come in when it is revoked."""
    thief = numbered(1, name="thief")
    enclave.take_manifest(thief, thief.number)
    real = numbered(1)
    enclave.take(real)
    assert ([], False, 1) == (enclave.refusals, enclave.published(real), len(waiting(enclave)))
    enclave.peer.note_heard([f"{real.number:016x}"])
    asked = [request for request in request_gaps(enclave.store.records.ledger) if f"{real.number:016x}" in request.what]
    assert [(True, True)] == [(request.is_signed, "waited, for another bundle" in request.what) for request in asked]
    enclave.store.refusing.refuse(enclave.store.bundles[thief.number], RevokedKeyError("revoked"))
    enclave.take(real)
    assert enclave.published(real)


OLD = """
DROP TABLE channel_begin; DROP TABLE predecessor; DROP TABLE ahead;
DROP INDEX used_sequence; DROP INDEX used_version;
CREATE UNIQUE INDEX one_sequence ON bundle (channel, sequence) WHERE state != 'refused';
CREATE UNIQUE INDEX one_version ON bundle (channel, name, version) WHERE state != 'refused';
"""


def test_a_ledger_of_an_earlier_version(tmp_path: Path) -> None:
    """A command reads it before any daemon opened it; then it is brought up, and numbers are still taken once."""
    path = tmp_path / "ledger.db"
    StoreLedger(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.executescript(OLD)
    with closing(StoreLedger(path, read_only=True)) as ledger:
        assert [] == request_gaps(ledger)
    with closing(StoreLedger(path)) as ledger:
        ledger.bundles.accept("1" * 16, numbered(1).manifest, "signer")
        ledger.bundles.set_state("1" * 16, State.PUBLISHING)
        ledger.bundles.set_state("1" * 16, State.PUBLISHED)
        with pytest.raises(ReplayError, match="sequence number already used"):
            ledger.bundles.accept("2" * 16, numbered(1, name="other").manifest, "signer")
        with pytest.raises(ReplayError, match="name and version already used"):
            ledger.bundles.accept("2" * 16, numbered(2, version="1").manifest, "signer")
