"""Writes files so that they are on disk when a call returns, and reads files of bounded size."""

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
_SYNC_FILE_RANGE_WRITE: Final = 2
_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]


def write_durably(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` by one rename. After a crash or a power loss, the old or the new file is there."""
    with Folder.open(path.parent) as folder:
        folder.replace(path.name, data, 0o666)  # less what the umask takes


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """The content of a regular file that a stranger may have put there. Raises OSError, also when it is too large."""
    with Folder.open(path.parent) as folder:
        return folder.read(path.name, most_bytes)


def sync_folder(folder: Path) -> None:
    """Make the entries of a folder durable, by fsync(2)."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class WriteBack:
    """Tells whether everything that is written to the file system of ``folder`` from now on reaches the disk.

    When a write fails in the page cache, the kernel reports it once to each descriptor that was open then, and its
    pages count as clean. A sync by a descriptor that is opened later succeeds, although the data is lost (syncfs(2),
    errseq_t; from Linux 5.8). So open this before the first write. It is closed with the last reference to it, or by
    :meth:`close`.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder
        self._fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.close: Final = weakref.finalize(self, os.close, self._fd)

    def sync(self) -> None:
        """Make everything durable that was written since this was opened, or last synced (syncfs(2)).

        Raises LostWritesError when some of it is lost. Nobody knows which part, and no later sync will report it.
        """
        if _libc.syncfs(self._fd) != 0:
            number = ctypes.get_errno()
            raise LostWritesError(
                f"writes to {self._path} are lost ({errno.errorcode.get(number, number)}): what no earlier sync "
                "covers is forgotten, and asked for again"
            )


def begin_write_back(fd: int, offset: int, length: int) -> None:
    """Have the disk begin to write a stretch of a file (sync_file_range(2)), so that a later sync has less to wait for.

    It is a hint. Nothing is durable by it, and it takes no error away from who syncs.
    """
    _libc.sync_file_range(fd, offset, length, _SYNC_FILE_RANGE_WRITE)


def drop_cache(fd: int, offset: int = 0, length: int = 0) -> None:
    """Have a stretch of a file read from the disk, not from memory, next time. Data not yet written is kept."""
    first = offset // PAGE_BYTES * PAGE_BYTES
    os.posix_fadvise(fd, first, (length // PAGE_BYTES + 2) * PAGE_BYTES if length else 0, os.POSIX_FADV_DONTNEED)


def disk_error(error: OSError, what: str, kept: str) -> StorageError:
    """Turn an OSError into one of ours with its exit code.

    ``what`` could not be done, and ``kept`` is what still exists.
    """
    kind = FullError if error.errno in NO_SPACE else StorageError
    return kind(f"{what}: {error.strerror} ({error.filename}); {kept}")
