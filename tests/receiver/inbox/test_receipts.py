"""What lies in the inbox is read within bounds, and what is no receipt does no harm."""

import json
import os
from pathlib import Path

import pytest

from diode.bundle.receipt import MAX_RECEIPT_BYTES
from receiver.inbox.receipts import find_unknown, row_of

SIZES = {"files": 2, "bytes": 10, "slabs": 1, "content": "ab" * 32}
NAMES = {"bundle": "0" * 15 + "1", "channel": "models", "name": "llm", "version": "7", "sequence": 3}
GOOD = NAMES | SIZES | {"signer": "s", "published": "2026-01-01T00:00:00Z"}


def put(inbox: Path, content: bytes, place: str = "models/llm/7") -> Path:
    """A receipt in the inbox."""
    folder = inbox / place
    folder.mkdir(parents=True)
    (folder / "receipt.json").write_bytes(content)
    return folder / "receipt.json"


def test_a_receipt_is_known_or_not(tmp_path: Path) -> None:
    """By its bundle's id; what else is written there is for people."""
    put(tmp_path, json.dumps(GOOD | {"verify": "slabs"}).encode())
    assert ([], []) == find_unknown(tmp_path, lambda bundle: bundle == GOOD["bundle"])
    [unknown] = find_unknown(tmp_path, lambda bundle: False).unknown
    assert (GOOD["bundle"], 3, "published") == (row_of(unknown).id, row_of(unknown).sequence, row_of(unknown).state)
    assert "models/llm/7" == unknown.label


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff",
        b"not json",
        b"[" * 50_000,
        json.dumps({name: value for name, value in GOOD.items() if name != "bundle"}).encode(),
        json.dumps(GOOD | {"bundle": "../etc"}).encode(),
        json.dumps(GOOD | {"sequence": "3"}).encode(),
        json.dumps(GOOD | {"sequence": 1 << 60}).encode(),
        json.dumps(GOOD | {"name": "a\u001b[2Jb"}).encode(),
        json.dumps(GOOD | {"version": "../.."}).encode(),
        json.dumps(GOOD | {"note": "x" * MAX_RECEIPT_BYTES}).encode(),
    ],
)
def test_what_is_no_receipt_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    """With its place; others beside it are found."""
    path = put(tmp_path, content)
    put(tmp_path, json.dumps(GOOD).encode(), "models/llm/8")
    findings = find_unknown(tmp_path, lambda bundle: False)
    assert 1 == len(findings.unknown)
    [strange] = findings.strange
    assert strange.startswith(f"{path}: ")
    assert "\n" not in strange


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    """Nothing is waited for or followed."""
    path = put(tmp_path, b"")
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    assert ([], 1) == (find_unknown(tmp_path, lambda b: False).unknown, len(find_unknown(tmp_path, bool).strange))


def test_what_else_lies_in_an_inbox_is_none_of_ours(tmp_path: Path) -> None:
    """Hidden folders (spool, quarantine), links to folders, loose files, versions without a receipt."""
    put(tmp_path, b"no", ".diode/quarantine/x")
    put(tmp_path, b"no", "models/.hidden/7")
    (tmp_path / "models" / "llm" / "7" / "data").mkdir(parents=True)
    (tmp_path / "models" / "llm" / "current").symlink_to("7")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "README").touch()
    assert ([], []) == find_unknown(tmp_path, lambda bundle: False)
