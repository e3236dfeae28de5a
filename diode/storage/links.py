"""Where symbolic links lead that a stranger made: followed below one folder, and never out of it."""

import os
from contextlib import suppress
from typing import Final

from diode.storage.folder import Folder, real_path
from diode.storage.openat2 import BENEATH, openat2

_MOST_TRIES: Final = 32  # of a path with ".." in it, while folders are renamed: the kernel then says EAGAIN


def open_following(folder: Folder, path: str, flags: int) -> int:
    """Open a relative path of any depth through links that stay below ``folder``; a new descriptor, the caller's.

    Absolute links do not, nor do links that lead out and in again. Links of the kernel's own, as those of /proc, are
    not followed. Raises OSError: EXDEV for what leads out.
    """
    for _ in range(_MOST_TRIES - 1):
        with suppress(BlockingIOError):
            return openat2(folder.fd, path, flags, 0, BENEATH, folder.path)
    return openat2(folder.fd, path, flags, 0, BENEATH, folder.path)


def folder_above(folder: Folder, levels: int) -> Folder:
    """The folder that lies ``levels`` above, as the kernel knows it. Names below it can be opened, not listed."""
    fd = os.open("/".join([".."] * levels) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder.fd)
    return Folder(fd, real_path(fd))
