"""Which file systems report no changes that were made elsewhere."""

from pathlib import Path

import pytest
import structlog

from sender.outbox import mount
from sender.outbox.mount import Mount, find_mount, say_mount


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "smb3", "fuse.sshfs", "9p"])
def test_it_is_said_at_the_start(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do."""
    monkeypatch.setattr(mount, "find_mount", lambda _: Mount(kind))
    with structlog.testing.capture_logs() as lines:
        say_mount(tmp_path)
    assert [("outbox_is_remote", kind)] == [(line["event"], line["file_system"]) for line in lines]


def test_the_mount_of_a_path() -> None:
    """By the kernel's own table; of a path that is not there nothing is known."""
    assert ("proc", "") == (find_mount(Path("/proc")).kind, find_mount(Path("/not/there")).kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuseblk"])
def test_local_ones_need_no_word(kind: str) -> None:
    """Their changes are reported."""
    assert not Mount(kind).is_blind
