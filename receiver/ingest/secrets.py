"""Files with secrets that a configuration names: nobody but their owner may read them."""

import os
import stat
from pathlib import Path

from diode.errors import UsageError
from diode.storage.folder import Folder


def check_secret(path: Path) -> Path:
    """``path``, where it is a regular file of ours or root's that others cannot read. Raises UsageError."""
    try:
        with Folder.open(path.parent) as folder, folder.regular(path.name) as file:
            status = os.fstat(file.fileno())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if status.st_uid not in (os.geteuid(), 0):
        raise UsageError(f"{path} holds a secret and belongs to user {status.st_uid}; type: chown $(id -u) {path}")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise UsageError(f"{path} holds a secret, and others may read it; type: chmod 600 {path}")
    return path


def read_secret(path: Path) -> str:
    """The one line of such a file. Raises UsageError."""
    check_secret(path)
    with Folder.open(path.parent) as folder:
        return folder.read(path.name, 64 << 10).decode(errors="replace").strip()
