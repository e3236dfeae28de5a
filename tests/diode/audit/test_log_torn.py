"""A log on a disk that fails: a torn line is told of, and what could not be written leaves nothing."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diode.audit.chain import LogCheckpoint, What
from diode.audit.log import AuditLog
from diode.audit.verify import entries_of, verify
from diode.errors import FullError, StorageError
from diode.formats.digest import digest
from tests.diode.audit.lines import lines_of


def failing(number: int) -> Callable[..., Any]:
    """A call that the disk refuses."""

    def fail(*_: Any) -> Any:
        raise OSError(number, os.strerror(number), "audit")

    return fail


def torn_by(folder: Path, tail: bytes) -> AuditLog:
    """A log whose last write left ``tail``."""
    with (folder / "audit-000001.jsonl").open("ab") as file:
        file.write(tail)
    return AuditLog(folder, "sender", None)


@pytest.mark.parametrize("tail", [b"x", bytes(700), b'{"at":"2026', b"{}\n", b"{}\n{}", b"\n", bytes(4000) + b"\n"])
def test_a_torn_line_is_set_aside_and_told_of(tail: bytes, folder: Path) -> None:
    """The bytes are kept, the chain goes on, and the log says what happened."""
    log = torn_by(folder, tail)
    assert log.head() == LogCheckpoint(9, digest(lines_of(folder)[8][:-1]).hex())
    log.append(What.STOPPED)
    [repair] = verify(folder, []).repairs
    kept = folder / "torn-000000010.bin"
    assert (10, tail, digest(tail).hex()) == (repair.n, kept.read_bytes(), repair.digest)
    assert ["repaired", "stopped"] == [entry.what for entry in entries_of(folder)][9:]
    log.append(What.STARTED)
    assert len(verify(folder, []).repairs) == 1


def test_lines_written_at_once_are_whole_or_torn_together(folder: Path) -> None:
    """A page of the first may be lost while the second one is there."""
    size = (folder / "audit-000001.jsonl").stat().st_size
    AuditLog(folder, "sender", None).append_all([(What.PACKED, {}), (What.QUEUED, {})])
    with (folder / "audit-000001.jsonl").open("r+b") as file:
        file.seek(size)
        file.write(bytes(30))
    AuditLog(folder, "sender", None).append(What.STOPPED)
    assert ["repaired", "stopped"] == [entry.what for entry in entries_of(folder)][9:]


def test_a_segment_that_was_begun_and_torn(tmp_path: Path) -> None:
    """Its predecessor says where the chain is."""
    log = AuditLog(tmp_path / "audit", "sender", None, segment_bytes=1)
    log.append(What.STARTED)
    (log.folder / "audit-000002.jsonl").write_bytes(bytes(20))
    log.append(What.STOPPED)
    assert ["started", "repaired", "stopped"] == [entry.what for entry in entries_of(log.folder)]


def test_a_log_that_is_no_log_is_not_written_over(folder: Path) -> None:
    """More than a write can tear is damage, and whoever examines it wants it as it is."""
    log = torn_by(folder, bytes(100_000))
    before = (folder / "audit-000001.jsonl").read_bytes()
    with pytest.raises(StorageError, match="damaged"):
        log.append(What.STOPPED)
    assert before == (folder / "audit-000001.jsonl").read_bytes()
    with (folder / "audit-000001.jsonl").open("wb") as file:
        file.write(bytes(200_000))
    with pytest.raises(StorageError, match="damaged"):
        log.head()


@pytest.mark.parametrize("fails", ["pwrite", "fdatasync"])
def test_a_disk_that_takes_no_entry_takes_no_decision(fails: str, folder: Path) -> None:
    """The error says so, and nothing of the entry stays."""
    log = AuditLog(folder, "sender", None)
    before = lines_of(folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, fails, failing(errno.ENOSPC))
        with pytest.raises(FullError, match="nothing was decided"):
            log.append(What.SENT)
    assert before == lines_of(folder)
    log.append(What.SENT)
    assert len(lines_of(folder)) == 10


@pytest.mark.parametrize("then", ["append", "head"])
def test_a_sync_that_fails_once_leaves_no_entry(then: str, folder: Path) -> None:
    """Not even when it could not be cut off at once: later syncs succeed, and would say that it is on the disk."""
    log = AuditLog(folder, "sender", None)
    before = lines_of(folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fdatasync", failing(errno.EIO))
        patched.setattr(os, "ftruncate", failing(errno.EIO))
        with pytest.raises(StorageError, match="nothing was decided"):
            log.append(What.SENT, bundle="0123456789abcdef")
    if then == "append":
        log.append(What.SENT)
        assert before == lines_of(folder)[:-1]
    else:
        head = log.head()
        assert head is not None
        assert (len(before), before) == (head.n, lines_of(folder))


def test_a_segment_whose_name_could_not_be_synced_is_synced_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is there then, and empty; its name may not be."""
    log = AuditLog(folder / "new", "sender", None)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("diode.audit.log.sync_folder", failing(errno.EIO))
        with pytest.raises(StorageError):
            log.append(What.SENT)
    synced = list[Path]()
    monkeypatch.setattr("diode.audit.log.sync_folder", synced.append)
    log.append(What.SENT)
    assert [folder / "new"] == synced


def test_a_write_that_fell_short_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a line, then a full disk."""
    real, calls = os.pwrite, list[int]()

    def short(fd: int, data: memoryview, offset: int) -> int:
        calls.append(1)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left", "audit")
        return real(fd, data[:50], offset)

    before = lines_of(folder)
    monkeypatch.setattr(os, "pwrite", short)
    with pytest.raises(FullError):
        AuditLog(folder, "sender", None).append(What.SENT)
    assert before == lines_of(folder)
