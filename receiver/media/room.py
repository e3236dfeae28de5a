"""Whether the inbox's disk has room for what an import would still bring, in bytes and in inodes."""

import os
from pathlib import Path

from diode.bundle.manifest import Manifest
from diode.errors import FullError
from receiver.spool.disk import free_inodes, inodes_of


def check_room(inbox: Path, manifest: Manifest, missing_bytes: int, reserve_bytes: int) -> None:
    """Raise FullError when it has not. ``reserve_bytes`` must stay free, as ``limits.reserve`` says."""
    disk = os.statvfs(inbox)
    needed = missing_bytes + manifest.files.size + manifest.slabs.size
    free = disk.f_bavail * disk.f_frsize - reserve_bytes
    if needed > free:
        raise FullError(
            f"{manifest.label}: {needed} bytes are needed below {inbox}, and {max(0, free)} are free beside "
            "limits.reserve; nothing was begun"
        )
    inodes, left = inodes_of(manifest.files.entries), free_inodes(disk)
    if left is not None and inodes > left:
        raise FullError(
            f"{manifest.label}: {inodes} inodes are needed below {inbox}, and {left} are free; nothing was begun"
        )
