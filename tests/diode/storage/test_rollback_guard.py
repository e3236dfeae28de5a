"""A ledger is compared with what its rollback guard says of it."""

import os
from pathlib import Path

import pytest

from diode.errors import ReplayError, StorageError, UsageError
from diode.storage.rollback_guard import MAX_GUARD_BYTES, Checkpoint, RollbackGuard

A, B = "a" * 32, "b" * 32
WRITTEN = Checkpoint(ledger=A, decisions=5, channels={"models": 3}, epoch=7)


@pytest.fixture
def guard(tmp_path: Path) -> RollbackGuard:
    """One that was written."""
    guard = RollbackGuard(tmp_path / "anchor.json", "diode-sender")
    guard.write(WRITTEN)
    return guard


def test_what_is_written_is_read_and_nothing_lies_beside_it(guard: RollbackGuard) -> None:
    """Also when it replaces an earlier one."""
    guard.write(WRITTEN)
    assert guard.read() == WRITTEN
    assert [guard.path] == list(guard.path.parent.iterdir())


def test_no_anchor_is_no_objection(tmp_path: Path) -> None:
    """On the very first start there is none."""
    assert RollbackGuard(tmp_path / "anchor.json", "diode-sender").check(None) is None


@pytest.mark.parametrize("decisions", [5, 6])
def test_a_ledger_may_be_ahead(guard: RollbackGuard, decisions: int) -> None:
    """A crash between the two leaves it so."""
    assert guard.check(WRITTEN.model_copy(update={"decisions": decisions})) == WRITTEN


@pytest.mark.parametrize(
    ("ledger", "why"),
    [
        (None, "the ledger is missing"),
        (WRITTEN.model_copy(update={"decisions": 4}), "older than it was, it knows of 4 decisions"),
        (WRITTEN.model_copy(update={"ledger": B, "decisions": 9}), "another ledger"),
    ],
)
def test_anything_else_is_refused_with_what_to_type(guard: RollbackGuard, ledger: Checkpoint | None, why: str) -> None:
    """Missing, another one, or older: exit code 15."""
    with pytest.raises(ReplayError, match=f"{why}.*nothing was sent.*'diode-sender rebaseline'") as refused:
        guard.check(ledger)
    assert 15 == refused.value.exit_code


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"{" * 100_000,
        WRITTEN.model_dump_json()[:-1].encode(),
        WRITTEN.model_dump_json().replace("anchor-2", "anchor-0").encode(),
        WRITTEN.model_dump_json().replace("5", "-5").encode(),
        WRITTEN.model_dump_json().replace("models", "../x").encode(),
    ],
)
def test_a_damaged_anchor_is_no_anchor_that_fits(guard: RollbackGuard, content: bytes) -> None:
    """What cannot be read stops the daemon, and is told apart from none at all."""
    guard.path.write_bytes(content)
    with pytest.raises(ReplayError, match="is damaged"):
        guard.check(WRITTEN)
    assert guard.maybe_read() is None


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "large"])
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    """Nothing is waited for, followed, or read without end."""
    path = tmp_path / "anchor.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        os.truncate(path, MAX_GUARD_BYTES + 1)
    with pytest.raises(StorageError, match="cannot be read"):
        RollbackGuard(path, "diode-sender").read()


def test_a_place_that_is_gone_is_said(tmp_path: Path) -> None:
    """A mount that is missing is not made up for."""
    with pytest.raises(StorageError, match=r"cannot be written.*the ledger is kept"):
        RollbackGuard(tmp_path / "mount" / "anchor.json", "diode-sender").write(WRITTEN)


def test_a_newer_versions_anchor_is_no_damage(guard: RollbackGuard) -> None:
    """Who went back to an older version is told so, and ``rebaseline`` does not write over what that cannot read."""
    guard.path.write_bytes(WRITTEN.model_dump_json().replace("anchor-2", "anchor-3").encode())
    for read in (guard.read, guard.maybe_read):
        with pytest.raises(UsageError, match=r"a newer version of diode-sender.*install the newer"):
            read()


def test_an_older_versions_anchor_is_taken(guard: RollbackGuard) -> None:
    """It does not know of audit log and trust; the next write does."""
    guard.path.write_bytes(
        b'{"format":"diode-anchor-1","ledger":"%s","decisions":5,"channels":{"models":3},"epoch":7}' % A.encode()
    )
    assert guard.check(WRITTEN) == WRITTEN.model_copy(update={"format": "diode-anchor-1"})
    guard.write(WRITTEN)
    assert guard.read() == WRITTEN
