"""Packed bundles go with the ledger, and come back to where it looks for them."""

import os
import shutil
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from diode.errors import UsageError
from diode.protocol.geometry import PROFILES, stream_geometry
from sender.ledger import Ledger, Row, State
from sender.outbox.hashing import hash_content
from sender.outbox.scan import collect
from sender.pack.writing import Identity, write_packed
from sender.recovery import backup
from sender.recovery.backup import back_up

restore = partial(backup.restore, keys=(), is_unsigned=True)
STRANGER = "b" * 16
STANDARD = PROFILES["standard"]
IDENTITY = Identity("models", "n", "1", 1, None, "2026-01-01T00:00:00Z")


@dataclass
class Staging:
    """A state folder whose ledger knows one packed bundle."""

    state: Path
    bundle: str

    @property
    def packed(self) -> Path:
        """Where that is."""
        return self.state / "bundles" / self.bundle


@pytest.fixture
def staging(tmp_path: Path, signer: CryptoSigner, request: pytest.FixtureRequest) -> Staging:
    """``request.param`` is the state of the bundle; sent, when it is not said."""
    (tmp_path / "model.bin").write_bytes(b"x" * 1000)
    sources = collect([tmp_path / "model.bin"], "refuse")
    content = hash_content(sources, stream_geometry(448, STANDARD).source_bytes)
    bundle = write_packed(tmp_path / "state", IDENTITY, STANDARD, 448, sources, content, [signer]).hex_id
    with closing(Ledger(tmp_path / "state" / "ledger.db")) as ledger:
        state = State(getattr(request, "param", "sent"))
        facts = ("models", "n", "1", 1, "00", 5, 1, 1, 30.0)
        ledger.add(Row(bundle, *facts, state=state, detail="", created=IDENTITY.created, origin=""))
    return Staging(tmp_path / "state", bundle)


def save(state: Path, folder: Path) -> None:
    """Back up."""
    with closing(Ledger(state / "ledger.db", read_only=True)) as ledger:
        back_up(ledger, folder, None)


def content(folder: Path) -> dict[str, bytes]:
    """Files below a folder of packed bundles."""
    bundles = folder / "bundles"
    return {str(path.relative_to(bundles)): path.read_bytes() for path in bundles.rglob("*") if path.is_file()}


def test_packed_bundles_go_with_the_ledger(tmp_path: Path, staging: Staging) -> None:
    """There and back."""
    save(staging.state, tmp_path / "backup")
    before = content(staging.state)
    shutil.rmtree(staging.state)
    assert restore(tmp_path / "backup", staging.state, force=False) is None
    assert before == content(staging.state)
    with closing(Ledger(staging.state / "ledger.db")) as ledger:
        assert ledger.get(staging.bundle) is not None


def test_a_later_backup_brings_what_changed(tmp_path: Path, staging: Staging) -> None:
    """Files that moved are copied anew, a bundle that is not kept any more is gone, others are not written again."""
    save(staging.state, tmp_path / "backup")
    copied = (tmp_path / "backup" / "bundles" / staging.bundle / "slabs.bin").stat().st_ino
    (staging.packed / "sources.json").write_text('["/another/place"]')
    shutil.copytree(staging.packed, tmp_path / "backup" / "bundles" / STRANGER)  # pruned since
    save(staging.state, tmp_path / "backup")
    assert content(staging.state) == content(tmp_path / "backup")
    assert copied == (tmp_path / "backup" / "bundles" / staging.bundle / "slabs.bin").stat().st_ino


def test_what_is_packed_already_stays(tmp_path: Path, staging: Staging) -> None:
    """Its files may have moved since the backup; bundles that the restored ledger does not know are not brought."""
    save(staging.state, tmp_path / "backup")
    shutil.copytree(staging.packed, tmp_path / "backup" / "bundles" / STRANGER)  # of an interrupted backup
    (staging.packed / "sources.json").write_text('["/new/place"]')
    before = content(staging.state)
    restore(tmp_path / "backup", staging.state, force=True)
    assert before == content(staging.state)


@pytest.mark.parametrize("name", ["manifest.dsse.json", "files.jsonl", "slabs.bin", "sources.json", "stats.bin"])
@pytest.mark.parametrize("harm", ["missing", "short", "empty", "other"])
def test_a_damaged_packed_bundle_is_not_put_back(tmp_path: Path, staging: Staging, name: str, harm: str) -> None:
    """Nothing is changed then, and the message names it."""
    save(staging.state, tmp_path / "backup")
    path = tmp_path / "backup" / "bundles" / staging.bundle / name
    data = path.read_bytes()
    path.unlink()
    if harm != "missing":
        path.write_bytes({"short": data[:-1], "empty": b"", "other": b"[" + data[1:] + b"]"}[harm])
    with pytest.raises(UsageError, match=staging.bundle):
        restore(tmp_path / "backup", tmp_path / "fresh", force=False)
    assert [] == [path for path in (tmp_path / "fresh").rglob("*") if path.name != "lock"]


@pytest.mark.parametrize("staging", ["queued"], indirect=True)
def test_a_queued_bundle_that_lacks_is_not_forgotten_silently(tmp_path: Path, staging: Staging) -> None:
    """It would be withdrawn, and its item set aside."""
    save(staging.state, tmp_path / "backup")
    shutil.rmtree(tmp_path / "backup" / "bundles")
    with pytest.raises(UsageError, match=staging.bundle):
        restore(tmp_path / "backup", tmp_path / "fresh", force=False)


def test_a_backup_can_be_put_back_from_a_medium_that_nobody_can_write(tmp_path: Path, staging: Staging) -> None:
    """No file is made beside it."""
    save(staging.state, tmp_path / "backup")
    before = sorted(path.name for path in (tmp_path / "backup").iterdir())
    os.chmod(tmp_path / "backup" / "ledger.db", 0o400)
    os.chmod(tmp_path / "backup", 0o500)
    restore(tmp_path / "backup", tmp_path / "fresh", force=False)
    assert before == sorted(path.name for path in (tmp_path / "backup").iterdir())
