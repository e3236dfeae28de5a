"""Files that last, and reads that end: what is written is on disk when a call returns, what is read is bounded."""

import ctypes
import errno
import os
import stat
from pathlib import Path
from typing import Final

from diode.errors import FullError, StorageError

NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)
_libc: Final = ctypes.CDLL(None, use_errno=True)


def write_durably(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` by one rename: after a crash or a power loss the old file or the new one is there."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """A regular file's content, which somebody else may have put there. Raises OSError, also when it is larger."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        with open(fd, "rb", closefd=False) as file:
            data = file.read(most_bytes + 1)
    finally:
        os.close(fd)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"Larger than {most_bytes} bytes", str(path))
    return data


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
