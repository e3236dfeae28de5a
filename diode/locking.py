"""One process at a time works on a state folder: a daemon, or a command that must not meet one."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diode.errors import LockedError, UsageError


def lock_folder(folder: Path) -> int:
    """Take the lock of a state folder until the returned descriptor is closed. Raises LockedError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"folder {folder} cannot be used: {error.strerror}") from error
    return _lock(fd, folder)


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
