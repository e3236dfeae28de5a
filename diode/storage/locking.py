"""One process at a time works on a state folder: a daemon, or a command that must not meet one.

The lock is that of flock(2), and it is exclusive. Whoever only asks takes a shared one for an instant: several may ask
at once, none of them is told of the others, and no file is made. A daemon that starts in that instant tries again.
/proc/locks, which tells without any lock, hides those of processes in other containers, and names other inodes than
stat(2) on some file systems; F_OFD_GETLK does not know locks of flock, which running daemons of older versions hold.
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
    """Take the lock of a state folder until the returned descriptor is closed. Raises LockedError.

    ``pause`` waits so many seconds, before the lock is tried again.
    """
    try:
        with Folder.open(folder, create=True, mode=0o777) as opened:
            return lock_in(opened, folder, pause)
    except OSError as error:
        raise UsageError(f"folder {folder} cannot be used: {error.strerror}") from error


def lock_in(ours: Folder, what: Path, pause: Callable[[float], None] = time.sleep) -> int:
    """Take the lock that lies in a folder of ours until the returned descriptor is closed. Raises LockedError.

    It is the same lock by whatever path, or through whatever link, ``what`` was named.
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
    """Likewise of any folder, without leaving a file in it."""
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
    """Whether a daemon works on ``folder``; a command that must not meet one counts as well. Changes nothing."""
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
