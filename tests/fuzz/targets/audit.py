"""Lines of an audit log: one (an even first byte), or a whole file of them (odd)."""

import os
import tempfile
from pathlib import Path
from typing import Final

from diode.audit.chain import GENESIS, Entry, What, line_hash, read_line
from diode.audit.log import AuditLog
from diode.audit.syslog import syslog_line
from diode.audit.verify import verify
from diode.errors import IntegrityError, StorageError

_FOLDER: Final = Path(tempfile.gettempdir()) / f"diode-fuzz-audit-{os.getpid()}"


def one_input(data: bytes) -> None:
    """A line is an entry in canonical form or none; a file is a chain or not, and is appended to or left as it is."""
    if data[:1] and data[0] % 2:
        _file(data[1:])
        return
    try:
        entry = read_line(data[1:])
    except IntegrityError:
        return
    assert entry.line == data[1:]
    assert b"\n" not in entry.line
    shown = syslog_line(entry)
    assert shown.isprintable()


def _file(data: bytes) -> None:
    _FOLDER.mkdir(exist_ok=True)
    path = _FOLDER / "audit-000001.jsonl"
    for old in _FOLDER.iterdir():
        old.unlink()
    path.write_bytes(data)
    was_good = _is_good(path)
    try:
        AuditLog(_FOLDER, "sender", None).append(What.STARTED)
    except StorageError:
        assert not was_good
        assert path.read_bytes() == data
        return
    assert not was_good or _is_good(path)
    assert read_line(path.read_bytes().splitlines()[-1]).what is What.STARTED


def _is_good(path: Path) -> bool:
    try:
        return verify(path.parent, []).side in ("sender", None)
    except IntegrityError:
        return False


def seeds() -> dict[str, bytes]:
    """Two entries, and one for each way to break a line or a chain."""
    fields = {"at": "2026-01-01T00:00:00Z", "side": "sender", "who": "diode:998", "what": What.SENT}
    first = Entry.model_validate(fields | {"n": 1, "prev": GENESIS, "name": 'a"]\\b'}).line
    second = Entry.model_validate(fields | {"n": 2, "prev": line_hash(first), "again": True, "head": (7, GENESIS)}).line
    return {
        "entry": b"\0" + first,
        "entry_with_a_head": b"\0" + second,
        "file": b"\1" + first + b"\n" + second + b"\n",
        "empty_file": b"\1",
        "torn": b"\1" + first + b"\n" + second[:50],
        "zeros": b"\1" + first + b"\n" + bytes(100),
        "only_torn": b"\1" + first[:50],
        "swapped": b"\1" + second + b"\n" + first + b"\n",
        "last_number": b"\1" + Entry.model_validate(fields | {"n": 1 << 53, "prev": GENESIS}).line + b"\n",
        "deep": b"\0" + b"[" * 2000,
        "long_number": b"\0" + first.replace(b'"n":1', b'"n":' + b"9" * 5000),
        "surrogate": b"\0" + first.replace(b"diode", rb"\ud800"),
        "twice": b"\0" + first.replace(b'"n":1', b'"n":1,"n":1'),
        "not_utf8": b"\0" + first.replace(b"diode", b"\xff"),
    }
