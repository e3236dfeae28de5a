"""Files that last, and reads that end: what is written is on disk when a call returns, what is read is bounded."""

import ctypes
import errno
import os
from pathlib import Path
from typing import Final

from diode.errors import FullError, StorageError
from diode.storage.folder import Folder

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


def sync_file_system(folder: Path) -> None:
    """syncfs(2): everything written to the file system of ``folder`` is durable afterwards. Raises StorageError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(fd) != 0:
            number = ctypes.get_errno()
            raise StorageError(f"{folder} cannot be synced: {errno.errorcode.get(number, number)}")
    finally:
        os.close(fd)


def disk_error(error: OSError, what: str, kept: str) -> StorageError:
    """``error`` as ours, by its exit code: ``what`` could not be done, ``kept`` is what there still is."""
    kind = FullError if error.errno in NO_SPACE else StorageError
    return kind(f"{what}: {error.strerror} ({error.filename}); {kept}")
