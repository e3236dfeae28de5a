"""The end of a complete bundle: in the inbox once, whatever step is the last before something fails."""

from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from diode.audit.log import AuditLog
from diode.audit.verify import entries_of
from diode.errors import Drop, StorageError
from receiver.inbox.folder import Inbox
from receiver.ledger.bundles import BundleWriter
from receiver.messages.pipeline import BundleRefused, DiskFailing, Finished, Published
from receiver.spool.tree import Tree
from receiver.store import publish
from tests.enclave import Enclave
from tests.link import Bundle, make_bundle

ALICE = CryptoSigner.generate_ed25519()
FILES = {"a": b"content", "b/c": b"more", "empty": b""}


@pytest.fixture
def enclave(tmp_path: Path) -> Enclave:
    """A receiver that trusts Alice."""
    return Enclave(tmp_path / "receiver", {"alice.pub": ALICE})


@pytest.fixture
def bundle() -> Bundle:
    """Three files by Alice."""
    return make_bundle(FILES, signer=ALICE)


def state_of(enclave: Enclave, bundle: Bundle) -> str | None:
    """What the ledger says of it."""
    row = enclave.store.records.ledger.bundles.get(f"{bundle.number:016x}")
    return row.state if row else None


def decisions(enclave: Enclave) -> list[str]:
    """What the audit log has, in order."""
    return [entry.what for entry in entries_of(enclave.config.audit_folder)]


def ends(enclave: Enclave) -> list[Any]:
    """What assemble was told of ends."""
    return [message for message in enclave._slabs.sent if isinstance(message, Finished)]


def spooled(enclave: Enclave) -> list[str]:
    """What lies in the spool."""
    return enclave.store.records.spool.names()


def test_it_is_published_once(enclave: Enclave, bundle: Bundle) -> None:
    """Everybody is told, and nothing stays behind; when it comes again it is redundant."""
    for _ in range(2):
        enclave.take(bundle)
    assert ([Published(f"{bundle.number:016x}")], []) == (enclave.said(Published), spooled(enclave))
    assert (True, "published") == (enclave.published(bundle), state_of(enclave, bundle))
    assert {Finished(bundle.number, Drop.REDUNDANT)} == set(ends(enclave))


def test_it_is_recorded_before_anybody_can_see_it(
    enclave: Enclave, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the ledger and in the audit log."""
    seen: list[tuple[str | None, str]] = []
    real = Inbox.publish

    def move(self: Inbox, *arguments: Any) -> Path:
        seen.append((state_of(enclave, bundle), decisions(enclave)[-1]))
        return real(self, *arguments)

    monkeypatch.setattr(Inbox, "publish", move)
    enclave.take(bundle)
    assert [("publishing", "published")] == seen


def test_a_place_that_is_taken(enclave: Enclave, bundle: Bundle) -> None:
    """What lies there stays; what arrived is set aside with its content."""
    place = enclave.store.records.inbox.version_folder(bundle.manifest)
    place.mkdir(parents=True)
    (place / "mine").write_text("a person's")
    enclave.take(bundle)
    assert ([("replay", 15)], ["mine"]) == (enclave.refusals, [path.name for path in place.iterdir()])
    kept = enclave.config.inbox.path / ".diode" / "quarantine" / f"{bundle.number:016x}"
    assert FILES["a"] == (kept / "tree" / "data" / "a").read_bytes()
    assert ([], "refused") == (spooled(enclave), state_of(enclave, bundle))


def test_a_rename_that_is_not_durable_is_not_done_again(
    enclave: Enclave, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk refuses to sync the folder: until it does the bundle is not said to be published."""
    moves: list[str] = []
    real = Inbox.publish

    def move(self: Inbox, hex_id: str, *arguments: Any) -> Path:
        moves.append(hex_id)
        return real(self, hex_id, *arguments)

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error", "inbox")

    monkeypatch.setattr(Inbox, "publish", move)
    with monkeypatch.context() as patches:
        patches.setattr(Inbox, "sync", fail)
        enclave.take(bundle)
    assert ([], "publishing") == (enclave.said(Published), state_of(enclave, bundle))
    assert enclave.said(DiskFailing)
    enclave.tick()
    assert (1, "published") == (len(enclave.said(Published)), state_of(enclave, bundle))
    assert [f"{bundle.number:016x}"] == moves


@pytest.mark.parametrize("step", ["publishing", "published"])
def test_a_ledger_that_fails_holds_it_up(
    enclave: Enclave, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Before the rename nothing is to be seen; after it, it is there, and not said to be."""
    real = BundleWriter.set_state

    def set_state(self: BundleWriter, hex_id: str, state: Any, detail: str = "") -> None:
        if state == step:
            raise StorageError("full")
        real(self, hex_id, state, detail)

    with monkeypatch.context() as patches:
        patches.setattr(BundleWriter, "set_state", set_state)
        enclave.take(bundle)
        enclave.tick()
        assert ([], step == "published") == (enclave.said(Published), enclave.published(bundle))
    enclave.tick()
    assert (1, True) == (len(enclave.said(Published)), enclave.published(bundle))


def test_an_audit_log_that_fails_holds_it_up(enclave: Enclave, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is published that is not written down."""
    real = AuditLog.append

    def append(self: AuditLog, what: Any, **facts: Any) -> None:
        if what == "published":
            raise StorageError("full")
        real(self, what, **facts)

    with monkeypatch.context() as patches:
        patches.setattr(AuditLog, "append", append)
        enclave.take(bundle)
        assert not enclave.published(bundle)
    enclave.tick()
    assert (True, 1) == (enclave.published(bundle), decisions(enclave).count("published"))


def test_its_time_is_over_when_it_is_complete(
    enclave: Enclave, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was in time when its manifest came, and is judged once more by the clock of its end."""
    late = make_bundle(FILES, signer=ALICE, expires="2199-01-01T00:00:00Z")
    monkeypatch.setattr(publish, "now_utc", lambda: "2199-01-01T00:00:00Z")
    enclave.take(late)
    assert ([BundleRefused(f"{late.number:016x}", "expired")], False) == (
        enclave.said(BundleRefused),
        enclave.published(late),
    )
    enclave.take(bundle)
    assert enclave.published(bundle)


@pytest.mark.parametrize("mode", ["slabs", "at-rest"])
def test_a_file_that_the_disk_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """At rest it is read once more and noticed; by its slabs nobody looks again."""
    enclave = Enclave(tmp_path / "receiver", {"alice.pub": ALICE}, f'[channels.test]\nverify = "{mode}"\n')
    bundle = make_bundle(FILES, signer=ALICE)
    real = Tree.finish

    def finish(self: Tree) -> None:
        real(self)
        (enclave.store.bundles[bundle.number].spool.path / "data" / "a").write_bytes(b"CONTENT")

    monkeypatch.setattr(Tree, "finish", finish)
    enclave.take(bundle)
    assert (["integrity"] if mode == "at-rest" else []) == [reason for reason, _ in enclave.refusals]
    assert (mode == "slabs") == enclave.published(bundle)
