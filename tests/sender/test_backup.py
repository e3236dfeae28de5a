"""Packed bundles go with the ledger, and come back to where it looks for them."""

import os
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from sender.backup import back_up, restore
from sender.ledger import Ledger, Row

A, B = "a" * 16, "b" * 16


def pack(state: Path, bundle: str, **files: bytes) -> Path:
    """A packed bundle."""
    folder = state / "bundles" / bundle
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A ledger that knows bundle A, which is packed."""
    with closing(Ledger(tmp_path / "state" / "ledger.db")) as ledger:
        facts = ("models", "n", "1", 1, "00", 5, 1, 1, 30.0, "sent", "", "2026-01-01T00:00:00Z", "")
        ledger.add(Row(A, *facts))
    pack(tmp_path / "state", A, manifest=b"signed", sources=b"old place")
    return tmp_path / "state"


def save(state: Path, folder: Path) -> None:
    """Back up."""
    with closing(Ledger(state / "ledger.db", read_only=True)) as ledger:
        back_up(ledger, folder)


def content(folder: Path) -> dict[str, bytes]:
    """Files below a folder of packed bundles."""
    bundles = folder / "bundles"
    return {str(path.relative_to(bundles)): path.read_bytes() for path in bundles.rglob("*") if path.is_file()}


def test_packed_bundles_go_with_the_ledger(tmp_path: Path, state: Path) -> None:
    """There and back."""
    save(state, tmp_path / "backup")
    shutil.rmtree(state)
    assert restore(tmp_path / "backup", state, force=False) is None
    assert {f"{A}/manifest": b"signed", f"{A}/sources": b"old place"} == content(state)
    with closing(Ledger(state / "ledger.db")) as ledger:
        assert ledger.get(A) is not None


def test_a_later_backup_brings_what_changed(tmp_path: Path, state: Path) -> None:
    """Files that moved are copied anew, a bundle that is not kept any more is gone, others are not written again."""
    save(state, tmp_path / "backup")
    copied = (tmp_path / "backup" / "bundles" / A / "manifest").stat().st_ino
    (state / "bundles" / A / "sources").write_bytes(b"another place")
    pack(tmp_path / "backup", B, manifest=b"pruned since")
    save(state, tmp_path / "backup")
    assert {f"{A}/manifest": b"signed", f"{A}/sources": b"another place"} == content(tmp_path / "backup")
    assert copied == (tmp_path / "backup" / "bundles" / A / "manifest").stat().st_ino


def test_what_is_packed_already_stays(tmp_path: Path, state: Path) -> None:
    """Its files may have moved since the backup; bundles that the restored ledger does not know are not brought."""
    save(state, tmp_path / "backup")
    pack(tmp_path / "backup", B, manifest=b"of an interrupted backup")
    (state / "bundles" / A / "sources").write_bytes(b"new place")
    restore(tmp_path / "backup", state, force=True)
    assert {f"{A}/manifest": b"signed", f"{A}/sources": b"new place"} == content(state)


def test_a_backup_can_be_put_back_from_a_medium_that_nobody_can_write(tmp_path: Path, state: Path) -> None:
    """No file is made beside it."""
    save(state, tmp_path / "backup")
    before = sorted(path.name for path in (tmp_path / "backup").iterdir())
    os.chmod(tmp_path / "backup" / "ledger.db", 0o400)
    os.chmod(tmp_path / "backup", 0o500)
    restore(tmp_path / "backup", tmp_path / "fresh", force=False)
    assert before == sorted(path.name for path in (tmp_path / "backup").iterdir())
