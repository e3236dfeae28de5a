"""What a log says of one bundle is found without reading every line of it as an entry."""

from pathlib import Path

from diode.audit.chain import What
from diode.audit.entries_of import entries_of
from diode.audit.log import AuditLog
from diode.audit.segments import segments

ONE, OTHER = "0123456789abcdef", "fedcba9876543210"


def test_only_the_entries_of_a_bundle_are_found(tmp_path: Path) -> None:
    """In their order, over all segments. A bundle's id within a text is no mention."""
    log = AuditLog(tmp_path / "audit", "sender", None, segment_bytes=1)
    for what, bundle in ((What.PACKED, ONE), (What.PACKED, OTHER), (What.QUEUED, ONE), (What.SENT, ONE)):
        log.append(what, bundle=bundle, detail=f'"bundle":"{ONE}"')
    assert 4 == len(segments(log.folder))
    assert [What.PACKED, What.QUEUED, What.SENT] == [entry.what for entry in entries_of(log.folder, ONE)]


def test_segments_from_before_a_bundle_are_left_out(tmp_path: Path) -> None:
    """Those that were over when it was first known."""
    log = AuditLog(tmp_path / "audit", "sender", None, segment_bytes=1)
    for _ in range(3):
        log.append(What.PACKED, bundle=ONE)
    assert [3] == [entry.n for entry in entries_of(log.folder, ONE, since="9999-01-01T00:00:00Z")]


def test_torn_and_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    """A log that does not verify still shows what it holds."""
    log = AuditLog(tmp_path / "audit", "sender", None)
    log.append(What.PACKED, bundle=ONE)
    (path,) = segments(log.folder)
    text = path.read_bytes()
    path.write_bytes(b'{"bundle":"' + ONE.encode() + b'"}\n' + text + text[:-20])
    assert [1] == [entry.n for entry in entries_of(log.folder, ONE)]


def test_no_log_says_nothing(tmp_path: Path) -> None:
    """As before the first start."""
    assert [] == entries_of(tmp_path / "audit", ONE)
