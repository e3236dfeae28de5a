"""What an item looks like, by stat(2) alone: when it changed last, and a value that differs with all of it."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b

from diode.storage.folder import Folder


@dataclass(frozen=True, slots=True)
class Look:
    """``seen``: a digest of names, inodes, sizes and times. ``changed_s``: the newest change, in seconds since 1970."""

    seen: bytes
    changed_s: float


def look(channel: Folder, name: str) -> Look:
    """Look at everything in the item ``name``; a folder that cannot be listed counts as itself. Raises OSError."""
    seen, changed_s = blake2b(digest_size=16), 0.0
    for path, status in _stats(channel, name):
        facts = status.st_dev, status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        seen.update(os.fsencode(f"{path}\0{facts}\0"))
        changed_s = max(changed_s, status.st_ctime)
    return Look(seen.digest(), changed_s)


def _stats(channel: Folder, name: str) -> Iterator[tuple[str, os.stat_result]]:
    status = os.stat(name, dir_fd=channel.fd, follow_symlinks=False)
    yield "", status
    if not stat.S_ISDIR(status.st_mode):
        return
    with suppress(PermissionError):  # of a folder that this user may not enter
        for folder, directories, files, fd in os.fwalk(name, dir_fd=channel.fd, follow_symlinks=False):
            directories.sort()
            for inner in (*directories, *sorted(files)):
                yield f"{folder}/{inner}", os.stat(inner, dir_fd=fd, follow_symlinks=False)
