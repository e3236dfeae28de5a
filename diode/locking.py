"""One daemon at a time works on a state folder."""

import fcntl
import os
from pathlib import Path

from diode.errors import LockedError, UsageError


def lock_folder(folder: Path) -> int:
    """Take the lock of ``folder`` until the returned descriptor is closed. Raises LockedError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"folder {folder} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise LockedError(f"another daemon works on {folder}; stop it first, or use another folder") from None
    return fd


def is_locked(folder: Path) -> bool:
    """Whether a daemon works on ``folder``."""
    try:
        os.close(lock_folder(folder))
    except LockedError:
        return True
    return False
