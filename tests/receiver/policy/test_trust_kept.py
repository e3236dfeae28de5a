"""A trust document that counted here counts on: no backup, and no rebaseline, brings an older one back."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import structlog
from securesystemslib.signer import CryptoSigner
from typer.testing import CliRunner

from diode.errors import ContentError, DiodeError, IntegrityError, ReplayError, TrustError
from diode.formats.timestamps import now_utc
from diode.trust.document import document_digest
from receiver.cli.main import app
from receiver.ledger.ledgers import StoreLedger
from receiver.messages.pipeline import TrustChanged
from receiver.recovery.backup import back_up, restore
from receiver.recovery.rebaseline import open_ledger, rebaseline
from tests.enclave import Enclave
from tests.link import make_bundle
from tests.receiver.policy.test_trust_channel import ALICE, BOB, NEW, carried, document, sealed

SECOND = sealed(document(2, {BOB.public_key.keyid: "stolen"}, new=NEW), ALICE, BOB, NEW)
MALLORY = CryptoSigner.generate_ed25519()


@pytest.fixture
def enclave(tmp_path: Path) -> Enclave:
    """Two documents were taken; a backup was made before the second one, which revokes Bob's key."""
    made = Enclave(tmp_path / "receiver", {"anybody.pub": NEW})
    first = tmp_path / "first"
    first.write_bytes(sealed(document(1), ALICE, BOB))
    made.stop()
    install(made, first)
    made.start()
    save(made, tmp_path / "old")
    made.take(carried(1, SECOND))
    assert [2] == [message.version for message in made.said(TrustChanged)]
    made.stop()
    return made


def install(enclave: Enclave, path: Path) -> DiodeError | None:
    """As a person does; what went wrong."""
    result = CliRunner().invoke(
        app, ["-c", str(enclave.folder / "receiver.toml"), "trust", "install", str(path), "--yes"]
    )
    structlog.reset_defaults()  # it wrote to what is closed now
    assert result.exception is None or isinstance(result.exception, DiodeError)
    return result.exception


def save(enclave: Enclave, folder: Path) -> None:
    """Back up, signed by nobody: a replay needs no forging."""
    with closing(StoreLedger(enclave.config.state / "ledger.db", read_only=True)) as ledger:
        back_up(ledger, folder, None)


def put_back(enclave: Enclave, folder: Path) -> None:
    """Restore it, and rebaseline."""
    config = enclave.config
    for kept in config.state.glob("replaced-*"):  # made within the same second
        shutil.rmtree(kept)
    restore(folder, config.state, config.audit_folder, force=True, keys=(), is_unsigned=True)
    with pytest.raises(ReplayError):
        open_ledger(config)
    rebaseline(config)


def test_an_older_document_does_not_come_back(enclave: Enclave, tmp_path: Path) -> None:
    """Nothing is published until the newer one is there again; whom it dismissed is not believed meanwhile."""
    put_back(enclave, tmp_path / "old")
    enclave.start()
    assert (2, document_digest(SECOND)) == enclave.store.records.authority.awaited
    bundle, stolen = make_bundle({"a": b"1"}, signer=ALICE), make_bundle({"a": b"2"}, signer=BOB, name="stolen")
    enclave.take(bundle)
    enclave.take(stolen)
    assert [("expired", 15), ("expired", 15)] == enclave.refusals
    enclave.stop()
    (tmp_path / "second").write_bytes(SECOND)
    assert install(enclave, tmp_path / "second") is None
    enclave.start()
    enclave.take(bundle)
    enclave.take(stolen)
    assert (True, False) == (enclave.published(bundle), enclave.published(stolen))


@pytest.mark.long
def test_the_channel_brings_it_back(enclave: Enclave, tmp_path: Path) -> None:
    """Sent once more: what was being received then goes on, and was not refused."""
    put_back(enclave, tmp_path / "old")
    enclave.start()
    enclave.take(carried(2, SECOND))
    assert enclave.store.records.authority.awaited is None
    bundle = make_bundle({"a": b"1"}, signer=ALICE)
    enclave.take(bundle)
    assert enclave.published(bundle)


@pytest.mark.parametrize("version", [2, 3])
def test_no_other_document_is_taken_meanwhile(enclave: Enclave, tmp_path: Path, version: int) -> None:
    """Signed by the old root, of which one has been dismissed since: by the channel, or by hand."""
    put_back(enclave, tmp_path / "old")
    enclave.start()
    other = sealed(document(version, mallory=MALLORY), ALICE, BOB)
    enclave.take(carried(2, other))
    assert [("replay", 15)] == enclave.refusals
    enclave.stop()
    (tmp_path / "other").write_bytes(other)
    assert isinstance(install(enclave, tmp_path / "other"), ReplayError)


def test_a_second_rebaseline_does_not_lower_it(enclave: Enclave, tmp_path: Path) -> None:
    """Nor one after the rollback guard was damaged, while the audit log tells."""
    put_back(enclave, tmp_path / "old")
    put_back(enclave, tmp_path / "old")
    with closing(StoreLedger(enclave.config.state / "ledger.db")) as ledger:
        assert (2, document_digest(SECOND)) == ledger.trust_checkpoint()
    enclave.config.guard_file.write_bytes(b"{")
    put_back(enclave, tmp_path / "old")
    with closing(StoreLedger(enclave.config.state / "ledger.db")) as ledger:
        assert (2, document_digest(SECOND)) == ledger.trust_checkpoint()


def change(path: Path, statement: str, *values: object) -> None:
    """A ledger, by whoever can write it."""
    with closing(sqlite3.connect(path)) as database:
        database.execute(statement, values)
        database.commit()


def forged() -> bytes:
    """Of a root that nobody here knows, which signed it well."""
    return sealed(document(2, alice=MALLORY, bob=CryptoSigner.generate_ed25519(), new=NEW), MALLORY, NEW)


def test_a_changed_document_in_the_ledger_is_noticed(enclave: Enclave) -> None:
    """The rollback guard knows its digest; decisions and version are the same."""
    path = enclave.config.state / "ledger.db"
    shutil.copy(path, path.with_name("kept"))
    for statement, values in (
        ("UPDATE trust SET sealed = ? WHERE version = 2", (forged(),)),
        ("DELETE FROM trust WHERE version = 2", ()),
        ("DELETE FROM trust", ()),
    ):
        shutil.copy(path.with_name("kept"), path)
        change(path, statement, *values)
        with pytest.raises(ReplayError, match="is not what counted here, trust document 2"):
            open_ledger(enclave.config)


@pytest.mark.parametrize("signers", [(), (ALICE,), (MALLORY, ALICE)])
def test_a_document_that_its_root_has_not_signed_is_none(enclave: Enclave, signers: tuple[CryptoSigner, ...]) -> None:
    """Also where nothing else tells: nobody reads a document out of the ledger unverified."""
    path = enclave.config.state / "ledger.db"
    content = sealed(document(3), *signers)
    change(path, "INSERT INTO trust VALUES (3, ?, '')", content)
    with pytest.raises(TrustError, match="the root of itself"):
        enclave.start()


def test_a_backup_with_another_document_is_refused(enclave: Enclave, tmp_path: Path) -> None:
    """The audit log says which one was taken, whoever signed the backup."""
    save(enclave, tmp_path / "new")
    config = enclave.config
    for content, kind in ((forged(), IntegrityError), (sealed(document(2)), TrustError), (b"", ContentError)):
        change(tmp_path / "new" / "ledger.db", "UPDATE trust SET sealed = ? WHERE version = 2", content)
        before = (config.state / "ledger.db").read_bytes()
        with pytest.raises(kind):
            restore(tmp_path / "new", config.state, config.audit_folder, force=True, keys=(), is_unsigned=True)
        assert before == (config.state / "ledger.db").read_bytes()


def test_the_log_says_which_document_was_taken(enclave: Enclave) -> None:
    """Its digest, beside the bundle that brought it."""
    text = (enclave.config.audit_folder / "audit-000001.jsonl").read_text()
    [line] = [line for line in text.splitlines() if "trust document 2" in line]
    assert document_digest(SECOND) in line
    assert now_utc()[:4] in line


@pytest.mark.parametrize("what", ["older backup", "no ledger"])
def test_a_lost_anchor_brings_no_older_document_back(enclave: Enclave, tmp_path: Path, what: str) -> None:
    """Put back, or gone, together with the guard: the audit log tells, at each start until a rebaseline, and after."""
    config = enclave.config
    if what == "no ledger":
        for path in config.state.glob("ledger.db*"):
            path.unlink()
    else:
        restore(tmp_path / "old", config.state, config.audit_folder, force=True, keys=(), is_unsigned=True)
    config.guard_file.unlink()
    for _ in range(2):
        with pytest.raises(ReplayError, match="says that 2 was taken"):
            open_ledger(config)
    rebaseline(config)
    enclave.start()
    assert (2, document_digest(SECOND)) == enclave.store.records.authority.awaited
