"""Reads files as the disk has them, not as memory has them: to prove what lies on a medium that will be pulled.

By ``O_DIRECT`` the kernel reads around its page cache. Where a file system does not take it (tmpfs, some FUSE ones),
the file's pages are dropped instead, by a descriptor that was opened after the file was synced.
"""

import errno
import mmap
import os
from collections.abc import Iterator
from typing import Final

from diode.storage.durable import drop_cache
from diode.storage.folder import Folder

CHUNK_BYTES: Final = 4 << 20


def read_past_cache(folder: Folder, name: str) -> Iterator[memoryview]:
    """The content of a synced file in chunks, each good until the next. Raises OSError, also for a link."""
    fd, is_direct = open_past_cache(folder, name)
    try:
        yield from _chunks(fd, is_direct=is_direct)
    finally:
        os.close(fd)


def open_past_cache(folder: Folder, name: str) -> tuple[int, bool]:
    """A descriptor for reading, which its caller closes, and whether it reads by ``O_DIRECT``. Raises OSError."""
    try:
        return folder.beneath(name, os.O_RDONLY | os.O_NONBLOCK | os.O_DIRECT), True
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    return folder.beneath(name, os.O_RDONLY | os.O_NONBLOCK), False


def _chunks(fd: int, *, is_direct: bool) -> Iterator[memoryview]:
    """A file's chunks. Memory of mmap(2) begins at a page, as ``O_DIRECT`` wants."""
    room = memoryview(mmap.mmap(-1, CHUNK_BYTES))
    if not is_direct:
        drop_cache(fd)
    at = 0
    while count := os.preadv(fd, [room], at):
        yield room[:count]
        at += count
        if is_direct and count % mmap.PAGESIZE:
            return  # the end of the file; from here on no read would begin where O_DIRECT may
