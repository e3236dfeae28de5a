"""The lock by which one process at a time works on a state folder: a daemon, or a command that must not meet one.

It is an exclusive lock by flock(2). Whoever only asks whether a folder is locked takes a shared lock for an instant. So
several may ask at once without seeing each other, and no file is made. A daemon that starts in that instant tries
again.

Other ways to ask were rejected. /proc/locks hides locks of processes in other containers, and on some file systems
names other inodes than stat(2). F_OFD_GETLK does not see flock locks, which running daemons of older versions hold.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from diode.errors import LockedError, UsageError
from diode.storage.folder import Folder

PAUSE_S: Final = 0.01
OWNED_TRIES: Final = 10  # while somebody holds it alone; older versions asked so, for an instant
ASKED_TRIES: Final = 1000  # while others only ask: each does so for an instant, unless the machine is busy


def lock_folder(folder: Path, pause: Callable[[float], None] = time.sleep) -> int:
    """Take the lock of a state folder, and hold it until the returned descriptor is closed. Raises LockedError.

    ``pause`` is called with seconds to wait before each new try.
    """
    try:
        with Folder.open(folder, create=True, mode=0o777) as opened:
            return lock_in(opened, folder, pause)
    except OSError as error:
        raise UsageError(f"folder {folder} cannot be used: {error.strerror}") from error


def lock_in(ours: Folder, what: Path, pause: Callable[[float], None] = time.sleep) -> int:
    """Take the lock in a folder of ours, and hold it until the returned descriptor is closed. Raises LockedError.

    ``what`` is for messages. The lock is the same by whatever path or link the folder was named.
    """
    try:
        fd = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=ours.fd)
    except OSError as error:
        raise UsageError(f"folder {what} cannot be used: {error.strerror}: {ours.path / 'lock'}") from error
    return _lock(fd, what, pause)


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
    """Hold the lock of any folder during the block, without making a file in it. Raises LockedError."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"folder {folder} cannot be used: {error.strerror}") from error
    fd = _lock(fd, folder, time.sleep)
    try:
        yield
    finally:
        os.close(fd)


def is_locked(folder: Path) -> bool:
    """Whether a daemon works on ``folder``, or a command that must not meet one. Changes nothing."""
    try:
        with Folder.open(folder) as ours:
            fd = os.open("lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=ours.fd)
    except FileNotFoundError:
        return False  # nobody ever worked on it
    except OSError as error:
        raise UsageError(f"folder {folder} cannot be used: {error.strerror}") from error
    try:
        return not _try(fd, fcntl.LOCK_SH)
    except OSError as error:
        raise UsageError(f"folder {folder} cannot be locked: {error.strerror}") from error
    finally:
        os.close(fd)


def _lock(fd: int, folder: Path, pause: Callable[[float], None]) -> int:
    """Take the lock behind ``fd``, which is closed when that fails."""
    try:
        if _is_taken(fd, pause):
            return fd
    except OSError as error:
        os.close(fd)
        raise UsageError(f"folder {folder} cannot be locked: {error.strerror}") from error
    os.close(fd)
    raise LockedError(f"another process works on {folder}; stop it first, or use another folder")


def _is_taken(fd: int, pause: Callable[[float], None]) -> bool:
    """Whether the lock is ours alone now. False: another process owns it, or has been asking for too long."""
    owned = asked = 0
    while owned < OWNED_TRIES and asked < ASKED_TRIES:
        if _try(fd, fcntl.LOCK_EX):
            return True
        if _try(fd, fcntl.LOCK_SH):  # nobody owns it: others ask, or did a moment ago
            asked += 1
            _try(fd, fcntl.LOCK_UN)
        else:
            owned += 1
        pause(PAUSE_S)
    return False


def _try(fd: int, how: int) -> bool:
    """Whether a lock of ``fd`` is to be had without waiting; then it is held."""
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
