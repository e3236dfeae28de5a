"""At the start: file and ledger agree, whichever of them an accident has put back, and links are repaired."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from diode.formats.timestamps import now_utc
from receiver.catalogue.pointer import read_pointer, write_pointer
from receiver.catalogue.snapshot import Snapshot
from receiver.promotion.files import MAX_POINTER_BYTES, POINTER_FILE
from receiver.promotion.shown import Shown
from receiver.recovery.rebaseline import rebaseline
from tests.enclave import Enclave
from tests.receiver.promotion.promoting import (
    CHANNEL,
    NAME,
    current,
    enclave_with,
    logged,
    order,
    outcome,
    pointer,
    shown,
)


def file_of(enclave: Enclave) -> Path:
    """The pointer's file."""
    return enclave.config.inbox.path / ".diode" / "pointers" / CHANNEL / NAME / "pointer.json"


def forget_pointers(enclave: Enclave) -> None:
    """As a ledger from before there were pointers."""
    connection = enclave.store.records.ledger._connection
    for table in ("pointer", "moved", "ordered"):
        connection.execute(f"DELETE FROM {table}")


def test_an_older_inbox_gets_pointers(tmp_path: Path) -> None:
    """The newest version of each name is in use, and the others were not."""
    enclave = enclave_with(tmp_path)
    forget_pointers(enclave)
    shutil.rmtree(file_of(enclave).parents[2])
    (enclave.config.inbox.path / CHANNEL / NAME / "current").unlink()
    enclave.restart()
    assert ("v3", ["v3"]) == (current(enclave), [one.version for one in pointer(enclave).deployed])


def test_a_file_that_is_ahead_is_taken_up(tmp_path: Path) -> None:
    """The ledger was put back: what people decided since stands in the file, and it is said where it came from."""
    enclave = enclave_with(tmp_path)
    order(enclave, "promote", "v1")
    kept = file_of(enclave).read_bytes()
    forget_pointers(enclave)
    enclave.restart()
    assert ("v1", kept) == (current(enclave), write_pointer(pointer(enclave)))
    assert "taken from its pointer file" in str(logged(enclave, "current")[-1].detail)
    assert {"v1", "v2", "v3"} == {one.version for one in shown(enclave) if one.was_current}


def test_a_ledger_that_is_ahead_is_followed(tmp_path: Path) -> None:
    """A crash came between the two."""
    enclave = enclave_with(tmp_path)
    before = file_of(enclave).read_bytes()
    order(enclave, "promote", "v1")
    after = file_of(enclave).read_bytes()
    file_of(enclave).write_bytes(before)
    enclave.restart()
    assert ("v1", after) == (current(enclave), file_of(enclave).read_bytes())


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff" * 100])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    """By the ledger."""
    enclave = enclave_with(tmp_path)
    file_of(enclave).write_bytes(damage)
    enclave.restart()
    assert "v3" == current(enclave)


def test_a_link_that_was_moved_is_repaired(tmp_path: Path) -> None:
    """It follows the pointer, and nothing follows it."""
    enclave = enclave_with(tmp_path)
    link = enclave.config.inbox.path / CHANNEL / NAME / "current"
    link.unlink()
    link.symlink_to("/etc")
    enclave.restart()
    assert "v3" == current(enclave)


def test_a_ledger_that_was_lost_finds_its_pointers_again(tmp_path: Path) -> None:
    """``rebaseline`` takes the bundles from their receipts, and the next start the pointers from their files."""
    enclave = enclave_with(tmp_path)
    order(enclave, "promote", "v2")
    order(enclave, "pin", "v1")
    enclave.stop()
    for path in enclave.config.state.glob("ledger.db*"):
        path.unlink()
    rebaseline(enclave.config)
    enclave.start()
    assert ("v2", ("v1",)) == (current(enclave), pointer(enclave).pinned)
    assert read_pointer(file_of(enclave).read_bytes()) == pointer(enclave)


def _edit(path: Path, **changes: Any) -> None:
    fields = json.loads(path.read_text())
    path.write_text(json.dumps(fields | {"number": fields["number"] + 5} | changes))


def _replaced(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def put(path: Path) -> None:
        path.unlink()
        make(path)

    return put


def _folder_is_a_link(path: Path) -> None:
    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to(path.parent.parent)


def _version(version: str) -> dict[str, Any]:
    return {"deployed": [{"version": version, "bundle": "f" * 16, "sequence": 99}]}


STRANGE: Mapping[str, Callable[[Path], object]] = {
    "a link out of the inbox": lambda path: _edit(path, **_version("../../../etc")),
    "a version that is too long": lambda path: _edit(path, **_version("x" * 300)),
    "a number at the end": lambda path: _edit(path, number=(1 << 53) - 1),
    "a number beyond": lambda path: _edit(path, number=(1 << 63) - 1),
    "no text": lambda path: path.write_bytes(b"\xff\xfe"),
    "too large": lambda path: path.write_bytes(b" " * (MAX_POINTER_BYTES + 1)),
    "a folder": _replaced(Path.mkdir),
    "a link": _replaced(lambda path: path.symlink_to("/etc/passwd")),
    "a pipe": _replaced(os.mkfifo),
    "a linked folder": _folder_is_a_link,
    "others beside it": lambda path: os.makedirs(bytes(path.parents[2]) + b"/odd\xff/na\xffme/pointer.json"),
    "a file beside it": lambda path: (path.parents[2] / "file").write_text("x"),
}


@pytest.mark.parametrize("strange", STRANGE)
def test_what_somebody_put_in_a_pointers_place_stops_nothing(tmp_path: Path, strange: str) -> None:
    """The ledger's pointer stays; orders are read, and the link follows them."""
    enclave = enclave_with(tmp_path, versions=2)
    inbox = enclave.config.inbox.path
    STRANGE[strange](inbox / ".diode" / "pointers" / CHANNEL / NAME / POINTER_FILE)
    enclave.restart()
    for version in ("v2", "v1"):
        assert version == str((inbox / CHANNEL / NAME / "current").readlink())
        assert [version] == [one.version for one in shown(enclave) if one.is_current]
        assert "applied" == outcome(enclave, order(enclave, "promote", "v1")).outcome


def test_a_start_writes_a_snapshot_only_for_what_was_decided(tmp_path: Path) -> None:
    """A move that is not in it is shown before anything is received; otherwise the one that lies there is right."""
    enclave = enclave_with(tmp_path)
    enclave.tick()
    folder, ledger = enclave.config.gateway.index, enclave.store.records.ledger
    with Snapshot(folder) as snapshot:
        before = snapshot.generation
    Shown(ledger, folder, now_utc).write_decided()
    with Snapshot(folder) as snapshot:
        assert before == snapshot.generation
    ledger._connection.execute("DELETE FROM moved WHERE number = 1")
    Shown(ledger, folder, now_utc).write_decided()
    with Snapshot(folder) as snapshot:
        assert snapshot.generation > before
