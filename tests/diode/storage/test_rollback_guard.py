"""A ledger is compared with what its anchor says of it."""

import os
from pathlib import Path

import pytest

from diode.errors import ReplayError, StorageError, UsageError
from diode.storage.rollback_guard import MAX_ANCHOR_BYTES, Anchor, Standing

A, B = "a" * 32, "b" * 32
WRITTEN = Standing(ledger=A, decisions=5, channels={"models": 3}, epoch=7)


@pytest.fixture
def anchor(tmp_path: Path) -> Anchor:
    """One that was written."""
    anchor = Anchor(tmp_path / "anchor.json", "diode-sender")
    anchor.write(WRITTEN)
    return anchor


def test_what_is_written_is_read_and_nothing_lies_beside_it(anchor: Anchor) -> None:
    """Also when it replaces an earlier one."""
    anchor.write(WRITTEN)
    assert anchor.read() == WRITTEN
    assert [anchor.path] == list(anchor.path.parent.iterdir())


def test_no_anchor_is_no_objection(tmp_path: Path) -> None:
    """On the very first start there is none."""
    assert Anchor(tmp_path / "anchor.json", "diode-sender").check(None) is None


@pytest.mark.parametrize("decisions", [5, 6])
def test_a_ledger_may_be_ahead(anchor: Anchor, decisions: int) -> None:
    """A crash between the two leaves it so."""
    assert anchor.check(WRITTEN.model_copy(update={"decisions": decisions})) == WRITTEN


@pytest.mark.parametrize(
    ("ledger", "why"),
    [
        (None, "the ledger is missing"),
        (WRITTEN.model_copy(update={"decisions": 4}), "older than it was, it knows of 4 decisions"),
        (WRITTEN.model_copy(update={"ledger": B, "decisions": 9}), "another ledger"),
    ],
)
def test_anything_else_is_refused_with_what_to_type(anchor: Anchor, ledger: Standing | None, why: str) -> None:
    """Missing, another one, or older: exit code 15."""
    with pytest.raises(ReplayError, match=f"{why}.*nothing was sent.*'diode-sender rebaseline'") as refused:
        anchor.check(ledger)
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
def test_a_damaged_anchor_is_no_anchor_that_fits(anchor: Anchor, content: bytes) -> None:
    """What cannot be read stops the daemon, and is told apart from none at all."""
    anchor.path.write_bytes(content)
    with pytest.raises(ReplayError, match="is damaged"):
        anchor.check(WRITTEN)
    assert anchor.maybe_read() is None


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
        os.truncate(path, MAX_ANCHOR_BYTES + 1)
    with pytest.raises(StorageError, match="cannot be read"):
        Anchor(path, "diode-sender").read()


def test_a_place_that_is_gone_is_said(tmp_path: Path) -> None:
    """A mount that is missing is not made up for."""
    with pytest.raises(StorageError, match=r"cannot be written.*the ledger is kept"):
        Anchor(tmp_path / "mount" / "anchor.json", "diode-sender").write(WRITTEN)


def test_a_newer_versions_anchor_is_no_damage(anchor: Anchor) -> None:
    """Who went back to an older version is told so, and ``rebaseline`` does not write over what that cannot read."""
    anchor.path.write_bytes(WRITTEN.model_dump_json().replace("anchor-2", "anchor-3").encode())
    for read in (anchor.read, anchor.maybe_read):
        with pytest.raises(UsageError, match=r"a newer version of diode-sender.*install the newer"):
            read()


def test_an_older_versions_anchor_is_taken(anchor: Anchor) -> None:
    """It does not know of audit log and trust; the next write does."""
    anchor.path.write_bytes(
        b'{"format":"diode-anchor-1","ledger":"%s","decisions":5,"channels":{"models":3},"epoch":7}' % A.encode()
    )
    assert anchor.check(WRITTEN) == WRITTEN.model_copy(update={"format": "diode-anchor-1"})
    anchor.write(WRITTEN)
    assert anchor.read() == WRITTEN
