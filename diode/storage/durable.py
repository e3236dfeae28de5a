"""Files that last, and reads that end: what is written is on disk when a call returns, what is read is bounded."""

import ctypes
import errno
import os
import weakref
from pathlib import Path
from typing import Final

from diode.errors import FullError, LostWritesError, StorageError
from diode.storage.folder import Folder

PAGE_BYTES: Final = 4096
NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)
_libc: Final = ctypes.CDLL(None, use_errno=True)


def write_durably(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` by one rename: after a crash or a power loss the old file or the new one is there."""
    with Folder.open(path.parent) as folder:
        folder.replace(path.name, data, 0o666)  # less what the umask takes


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """A regular file's content, which somebody else may have put there. Raises OSError, also when it is larger."""
    with Folder.open(path.parent) as folder:
        return folder.read(path.name, most_bytes)


def sync_folder(folder: Path) -> None:
    """fsync(2) of a directory: its entries are durable afterwards."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class WriteBack:
    """Tells whether what is written to the file system of ``folder`` from now on gets onto the disk.

    A write that fails in the page cache is reported once to each descriptor that was open then, and its pages count as
    clean: a sync by a descriptor opened later succeeds, and what was written is gone (syncfs(2), errseq_t; from Linux
    5.8). So it is opened before the first write. It is closed with the last reference to it, or by :meth:`close`.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder
        self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.close: Final = weakref.finalize(self, os.close, self._fd)

    def sync(self) -> None:
        """syncfs(2): what was written since this was opened, or last synced, is durable when this returns.

        Raises LostWritesError: nobody knows which of it is lost, and no later sync will say so.
        """
        if _libc.syncfs(self._fd) != 0:
            number = ctypes.get_errno()
            raise LostWritesError(
                f"writes to {self._path} are lost ({errno.errorcode.get(number, number)}): what no earlier sync "
                "covers is forgotten, and asked for again"
            )


def drop_cache(fd: int, offset: int = 0, length: int = 0) -> None:
    """Have a stretch of a file read from the disk next time, and not from memory, as far as it is not to be written."""
    first = offset // PAGE_BYTES * PAGE_BYTES
    os.posix_fadvise(fd, first, (length // PAGE_BYTES + 2) * PAGE_BYTES if length else 0, os.POSIX_FADV_DONTNEED)


def disk_error(error: OSError, what: str, kept: str) -> StorageError:
    """``error`` as ours, by its exit code: ``what`` could not be done, ``kept`` is what there still is."""
    kind = FullError if error.errno in NO_SPACE else StorageError
    return kind(f"{what}: {error.strerror} ({error.filename}); {kept}")
