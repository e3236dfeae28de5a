"""Which snapshot is answered from, and what is said where there is none."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from receiver.catalogue.snapshot import SNAPSHOT_FILE
from receiver.gateway.server.newest import Newest, NoSnapshotError


def said(newest: Newest) -> list[tuple[str, str]]:
    """The events that are logged when it is asked for twice, with their levels."""
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(NoSnapshotError):
                newest.get()
    return [(line["event"], line["log_level"]) for line in logs]


def test_before_the_receiver_has_ever_run_nothing_is_wrong(tmp_path: Path) -> None:
    """It is said once, with what to type: there is no error that somebody has to look into."""
    assert [("no_snapshot_yet", "warning")] == said(Newest(tmp_path))


def test_a_snapshot_that_is_none_is_an_error(tmp_path: Path) -> None:
    """Somebody has to look at the daemon."""
    (tmp_path / SNAPSHOT_FILE).write_bytes(b"no database")
    assert [("snapshot_unreadable", "error")] == said(Newest(tmp_path))
