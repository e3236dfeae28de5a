"""Who took what: only content counts, and no line that a stranger could shape does harm."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from receiver.catalogue.takers import MAX_LINE_BYTES, TAKEN_FILE, last_taken, read_takes, takers_of

ONE, OTHER = "00000000000000aa", "00000000000000bb"


def line(**changes: Any) -> bytes:
    """A line of the access log."""
    usual = {
        "at": "2026-11-28T12:00:00Z",
        "peer": "10.0.0.1",
        "method": "GET",
        "protocol": "pypi",
        "path": "/files/x.whl",
        "status": 200,
        "bundle": ONE,
        "bytes": 10,
        "agent": "pip/24.0",
    }
    return json.dumps(usual | changes).encode() + b"\n"


def log(folder: Path, *lines: bytes, name: str = "2026-11-28.jsonl") -> Path:
    """A folder with a log."""
    (folder / name).write_bytes(b"".join(lines))
    return folder


def test_takers_are_told_apart(tmp_path: Path) -> None:
    """By peer and program; with the first and the last time, and all that they took."""
    later = {"at": "2026-11-28T13:00:00Z"}
    log(tmp_path, line(), line(**later, status=206), line(peer="10.0.0.2"), line(bundle=OTHER), name="a.jsonl")
    log(tmp_path, line(agent="uv/0.4", bytes=0), name="b.jsonl")
    found = takers_of(read_takes(tmp_path), ONE)
    assert [("10.0.0.1", "pip/24.0", 2, 20), ("10.0.0.1", "uv/0.4", 1, 0), ("10.0.0.2", "pip/24.0", 1, 10)] == sorted(
        (one.peer, one.agent, one.takes, one.bytes) for one in found.listed
    )
    assert ("2026-11-28T12:00:00Z", "2026-11-28T13:00:00Z") == (found.listed[0].first, found.listed[0].last)


def test_what_carries_no_content_is_no_taking(tmp_path: Path) -> None:
    """HEAD, not modified, refused, and answers that are about no bundle."""
    log(tmp_path, line(method="HEAD"), line(status=304), line(status=410), line(status=404), line(bundle=""))
    assert [] == list(read_takes(tmp_path))


def test_broken_lines_are_counted_and_skipped(tmp_path: Path) -> None:
    """Whatever is in them; what comes behind them is read."""
    bad = [
        b"\xff\n",
        b"[]\n",
        b"{\n",
        line(bundle="../../etc"),
        line(at="now"),
        line(bytes=-1),
        b"\n",
        line(bytes=True),
    ]
    long = b'{"at":"' + b"a" * 3 * MAX_LINE_BYTES + b'"}\n'
    log(tmp_path, *bad, long, line(), line()[:-20])
    skipped: list[None] = []
    takes = list(read_takes(tmp_path, lambda: skipped.append(None)))
    assert (1, len(bad) + 2) == (len(takes), len(skipped))


def test_only_files_of_the_log_are_read(tmp_path: Path) -> None:
    """No link, no pipe, no other file; and no folder is nothing taken."""
    assert [] == list(read_takes(tmp_path / "missing"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(line())
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "notes.txt").write_bytes(line())
    log(tmp_path / "log", line(), name="good.jsonl")
    assert 1 == len(list(read_takes(tmp_path / "log")))
    os.mkfifo(tmp_path / "log" / "pipe.jsonl")
    (tmp_path / "log" / "link.jsonl").symlink_to(elsewhere)
    assert 1 == len(list(read_takes(tmp_path / "log")))


def test_the_gateway_remembers_when_something_was_last_taken(tmp_path: Path) -> None:
    """No folder and no file: nothing was taken. What is damaged is an error, since then nobody knows."""
    assert {} == last_taken(tmp_path / "none") == last_taken(tmp_path)
    at = "2026-11-28T12:00:00Z"
    (tmp_path / TAKEN_FILE).write_text(json.dumps({ONE: at}))
    assert {ONE: at} == last_taken(tmp_path)
    for damaged in ("", "[]", '{"x": 1}', json.dumps({ONE: "zzz"}), json.dumps({"../x": at})):
        (tmp_path / TAKEN_FILE).write_text(damaged)
        with pytest.raises(ValueError, match=""):
            last_taken(tmp_path)
