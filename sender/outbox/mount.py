"""What the file system of the outbox cannot do: NFS, CIFS and FUSE report no changes that are made elsewhere.

``statfs`` tells which one it is by a number; Python's ``os.statvfs`` does not have it, so the mount table is read.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diode.log import log

MOUNTS: Final = Path("/proc/self/mountinfo")
_BLIND: Final = ("nfs", "cifs", "smb", "fuse", "9p", "ceph", "afs", "virtiofs", "gfs2", "ocfs2", "glusterfs")


@dataclass(frozen=True, slots=True)
class Mount:
    """The file system's type, as mount(8) shows it; empty when it is not known."""

    kind: str

    @property
    def is_blind(self) -> bool:
        """Whether somebody may change files there without this kernel knowing of it."""
        return self.kind.startswith(_BLIND) and self.kind != "fuseblk"


def find_mount(path: Path, mounts: Path = MOUNTS) -> Mount:
    """The mount that ``path`` lies on, by its device number."""
    try:
        device = os.stat(path).st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        with mounts.open(errors="surrogateescape") as lines:
            for line in lines:
                before, _, after = line.partition(" - ")
                if before.split()[2] == wanted:
                    return Mount(after.split()[0])
    except (OSError, IndexError):
        pass
    return Mount("")


def say_mount(path: Path) -> None:
    """Log a file system on which the outbox works otherwise than people expect."""
    mount = find_mount(path)
    if mount.is_blind:
        consequence = "the outbox is scanned at intervals; who writes into a file elsewhere is not seen"
        do = "copy to a name with a leading dot, then rename: docs/operations.md, 'An outbox on NFS, CIFS or FUSE'"
        log.warning("outbox_is_remote", file_system=mount.kind, consequence=consequence, do=do)
