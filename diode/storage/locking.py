"""One process at a time works on a state folder: a daemon, or a command that must not meet one."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diode.errors import LockedError, UsageError
from diode.storage.folder import Folder


def lock_folder(folder: Path) -> int:
    """Take the lock of a state folder until the returned descriptor is closed. Raises LockedError."""
    try:
        with Folder.open(folder, create=True, mode=0o777) as opened:
            return lock_in(opened, folder)
    except OSError as error:
        raise UsageError(f"folder {folder} cannot be used: {error.strerror}") from error


def lock_in(ours: Folder, what: Path) -> int:
    """Take the lock that lies in a folder of ours until the returned descriptor is closed. Raises LockedError.

    It is the same lock by whatever path, or through whatever link, ``what`` was named.
    """
    try:
        fd = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=ours.fd)
    except OSError as error:
        raise UsageError(f"folder {what} cannot be used: {error.strerror}: {ours.path / 'lock'}") from error
    return _lock(fd, what)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a state folder during the block. Raises LockedError."""
    fd = lock_folder(folder)
    try:
        yield
    finally:
        os.close(fd)


@contextmanager
def locked_as_it_is(folder: Path) -> Iterator[None]:
    """Likewise of any folder, without leaving a file in it."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"folder {folder} cannot be used: {error.strerror}") from error
    fd = _lock(fd, folder)
    try:
        yield
    finally:
        os.close(fd)


def is_locked(folder: Path) -> bool:
    """Whether a daemon works on ``folder``."""
    try:
        os.close(lock_folder(folder))
    except LockedError:
        return True
    return False


def _lock(fd: int, folder: Path) -> int:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise LockedError(f"another process works on {folder}; stop it first, or use another folder") from None
    return fd
