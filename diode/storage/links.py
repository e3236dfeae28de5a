"""Opens paths through symbolic links that a stranger made, without ever leaving a folder."""

import os
from contextlib import suppress
from typing import Final

from diode.storage.folder import Folder, real_path
from diode.storage.openat2 import BENEATH, openat2

_MOST_TRIES: Final = 32  # of a path with ".." in it, while folders are renamed: the kernel then says EAGAIN


def open_following(folder: Folder, path: str, flags: int) -> int:
    """Open a relative path of any depth; links must stay below ``folder``.

    Returns a new descriptor, which is the caller's.

    Absolute links are refused, and links that lead out and in again. Links of the kernel itself, such as those in
    /proc, are not followed. Raises OSError: EXDEV for a path that leads out.
    """
    for _ in range(_MOST_TRIES - 1):
        with suppress(BlockingIOError):
            return openat2(folder.fd, path, flags, 0, BENEATH, folder.path)
    return openat2(folder.fd, path, flags, 0, BENEATH, folder.path)


def folder_above(folder: Folder, levels: int) -> Folder:
    """The folder ``levels`` above, as the kernel knows it. Names in it can be opened, but not listed."""
    fd = os.open("/".join([".."] * levels) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder.fd)
    return Folder(fd, real_path(fd))
