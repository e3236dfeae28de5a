"""Channels of identity material: each version is judged by the one that was published before it, whatever fails."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from diode.formats.timestamps import now_utc
from diode.identity import check as checking
from diode.identity.kept import Kept
from diode.storage.folder import Folder
from receiver.inbox.folder import Inbox
from receiver.messages.pipeline import DiskFailing, Published
from receiver.policy import rules
from receiver.release.decisions import write_decision
from receiver.release.held import decide
from tests.enclave import Enclave
from tests.link import Bundle, make_bundle
from tests.material import CHANNEL, READERS, keys

ALICE = CryptoSigner.generate_ed25519()
HELD = f"[channels.test]\nhold = 1\n{CHANNEL}"
PLACE = ("test", "keys")


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_READERS", READERS)


@pytest.fixture
def enclave(tmp_path: Path) -> Enclave:
    """A receiver whose channel ``test`` takes identity material."""
    return Enclave(tmp_path / "receiver", {"alice.pub": ALICE}, CHANNEL)


def version(sequence: int, number: int, name: str = "keys", **options: Any) -> Bundle:
    """A bundle of this sequence number with material of this number."""
    content = {"a.json": keys(number, **options)}
    return make_bundle(content, signer=ALICE, sequence=sequence, name=name, version=f"v{sequence}")


def kept(enclave: Enclave) -> list[str]:
    """The copies of the name."""
    folder = enclave.config.state / "identity" / "test" / "keys"
    return sorted(path.name.lstrip("0") for path in folder.iterdir()) if folder.exists() else []


def reasons(enclave: Enclave) -> list[str]:
    """Why bundles were refused in this run."""
    return [reason for reason, _ in enclave.refusals]


def release(enclave: Enclave, bundle: Bundle) -> None:
    """A person lets it go."""
    decision = decide(f"{bundle.number:016x}", bundle.manifest.files.blake3, "accept", "", now_utc())
    write_decision(enclave.config.state, decision, [])
    enclave.tick()


def test_each_follows_the_one_before(enclave: Enclave) -> None:
    """Under its own name; one copy is left. What is older is set aside with its reason."""
    taken = [version(1, 10), version(2, 20), version(3, 5, "other")]
    for bundle in taken:
        enclave.take(bundle)
    assert (3, ["2"]) == (len(enclave.said(Published)), kept(enclave))
    late = version(4, 19)
    enclave.take(late)
    assert ([("identity_older", 14)], False) == (enclave.refusals, enclave.published(late))
    quarantine = enclave.config.inbox.path / ".diode" / "quarantine" / f"{late.number:016x}"
    reason = json.loads((quarantine / "reason.json").read_text())
    assert ("identity_older", "a.json: 19 after 20") == (reason["reason"], reason["detail"])
    assert (quarantine / "tree" / "data" / "a.json").exists()
    enclave.restart()
    enclave.take(version(5, 19))
    enclave.take(version(6, 20))
    assert (["identity_older"], ["6"]) == (reasons(enclave), kept(enclave))


def test_a_lower_number_came_too_late(enclave: Enclave) -> None:
    """Whatever it holds: the one that was published after it counts."""
    enclave.take(version(2, 20))
    enclave.take(version(1, 30))
    assert (["identity_older"], ["2"]) == (reasons(enclave), kept(enclave))


def test_what_was_held_meanwhile(tmp_path: Path) -> None:
    """It was examined when it came, and is again when it is let go: by what is published by then, and by that day."""
    enclave = Enclave(tmp_path / "receiver", {"alice.pub": ALICE}, HELD)
    held = {number: version(sequence, number) for sequence, number in ((1, 10), (2, 30), (3, 20), (4, 40))}
    for bundle in held.values():
        enclave.take(bundle)
    assert ([], []) == (enclave.said(Published), reasons(enclave))
    release(enclave, held[30])
    assert (1, ["2"]) == (len(enclave.said(Published)), kept(enclave))
    release(enclave, held[10])  # of a lower number
    release(enclave, held[20])  # of a higher number, and older
    assert ["identity_older"] * 2 == reasons(enclave)
    enclave.restart()
    release(enclave, held[40])
    assert (True, ["4"], []) == (enclave.published(held[40]), kept(enclave), reasons(enclave))


def test_what_ended_while_it_was_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the enclave's clock."""
    enclave = Enclave(tmp_path / "receiver", {"alice.pub": ALICE}, HELD)
    bundle = version(1, 1, until=datetime.now(UTC) + timedelta(days=10))
    enclave.take(bundle)
    later = (datetime.now(UTC) + timedelta(days=11)).strftime("%Y-%m-%dT%H:%M:%SZ")
    monkeypatch.setattr(rules, "now_utc", lambda: later)
    release(enclave, bundle)
    assert (["identity_expired"], []) == (reasons(enclave), kept(enclave))


@pytest.mark.parametrize("step", ["copy", "move", "sync", "prune"])
def test_a_disk_that_fails_at_a_step(enclave: Enclave, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """The next start goes on from there: published once, with one copy, and what is older is refused after that."""
    enclave.take(version(1, 10))

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error", "a disk")

    bundle = version(2, 20)
    where = {"copy": (Kept, "put"), "move": (Inbox, "publish"), "sync": (Inbox, "sync"), "prune": (Kept, "prune")}
    with monkeypatch.context() as patches:
        patches.setattr(*where[step], fail)
        enclave.take(bundle)
    assert enclave.said(DiskFailing)
    assert (step in ("sync", "prune")) == enclave.published(bundle)
    assert {"copy": ["1"]}.get(step, ["1", "2"]) == kept(enclave)
    enclave.restart()
    enclave.tick()
    assert (True, []) == (enclave.published(bundle), reasons(enclave))
    enclave.take(version(3, 15))
    assert ["identity_older"] == reasons(enclave)
    enclave.take(version(4, 20))
    assert ["4"] == kept(enclave)


def test_a_place_that_is_taken(enclave: Enclave) -> None:
    """What was not published has no copy that others would have to follow."""
    taken = version(1, 50)
    enclave.store.records.inbox.version_folder(taken.manifest).mkdir(parents=True)
    enclave.take(taken)
    assert (["replay"], []) == (reasons(enclave), kept(enclave))
    enclave.take(version(2, 20))
    assert ["2"] == kept(enclave)


def test_a_state_folder_without_copies(enclave: Enclave) -> None:
    """As of an older release: the first one follows nothing, but never a number that was published."""
    enclave.take(version(2, 20))
    shutil.rmtree(enclave.config.state / "identity")
    enclave.restart()
    enclave.take(version(1, 30))
    assert ["identity_older"] == reasons(enclave)
    enclave.take(version(3, 10))
    assert ["3"] == kept(enclave)


def test_a_copy_outlives_the_power(enclave: Enclave, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each folder on the way to its files is synced, and that before the bundle is moved."""
    synced: list[str] = []
    top = enclave.config.state / "identity"
    real_sync, real_move = Folder.sync, Inbox.publish

    def sync(self: Folder) -> None:
        real_sync(self)
        synced.append(str(self.path))

    def move(self: Inbox, *arguments: Any) -> Path:
        synced.append("moved")
        return real_move(self, *arguments)

    monkeypatch.setattr(Folder, "sync", sync)
    monkeypatch.setattr(Inbox, "publish", move)
    bundle = make_bundle({"a/b/c.json": keys(1)}, signer=ALICE, sequence=1, name="keys", version="v1")
    enclave.take(bundle)
    new = top / "test" / "keys" / "unfinished"
    places = [top, top / "test", top / "test" / "keys", new, *(new / "files" / path for path in ("", "a", "a/b"))]
    assert set(map(str, places)) <= set(synced[: synced.index("moved")])


def test_other_channels_keep_no_copies(tmp_path: Path) -> None:
    """And take any order."""
    enclave = Enclave(tmp_path / "receiver", {"alice.pub": ALICE})
    for sequence in (2, 1):
        enclave.take(version(sequence, sequence))
    assert 2 == len(enclave.said(Published))
    assert not (enclave.config.state / "identity").exists()
