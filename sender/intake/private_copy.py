"""A copy of an item for programs that read files by themselves: in a folder of our own, equal to what was hashed.

Whoever dropped an item may have it open still, and can show a hook other bytes than those that are signed. So a hook
reads files that nobody else can write: clones where the file system has them (FICLONE, ioctl_ficlone(2)), else copies.
"""

import errno
import fcntl
import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from diode.storage.folder import Folder
from sender.intake.candidate import Candidate, CandidateFile
from sender.intake.verdict import Finding, Reason, RefusedError
from sender.outbox.hashing import PIECE_BYTES

KEPT_FREE_BYTES: Final = 1 << 30  # on the file system of the copies, beside them
_FICLONE: Final = 0x40049409
_CANNOT_CLONE: Final = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM)
_NAME: Final = "item"
_OF_FOLDERS: Final = 0o755  # below one of ours that others cannot pass: a hook may be another user


class PrivateCopy:
    """The step that copies an item, and the folder ``base``, which holds one copy at a time."""

    def __init__(self, base: Path) -> None:
        self._base = base

    def make(self, candidate: Candidate) -> Finding:
        """Copy all files; ``candidate.copied_to`` says where. Raises RefusedError, and leaves what is half done.

        The caller removes that.
        """
        self.remove()
        try:
            with Folder.open(self._base, create=True) as base, base.folder(_NAME, create=True) as top:
                os.fchmod(top.fd, _OF_FOLDERS)
                _check_room(top, candidate)
                cloned = sum(_copy(top, file, candidate) for file in candidate.files.values())
        except OSError as error:
            raise RefusedError(Reason.COPY, f"no copy for the hooks: {error.strerror} ({error.filename})") from error
        candidate.copied_to = self._base / _NAME
        return Finding(counts={"files": len(candidate.files), "cloned": cloned})

    def remove(self) -> None:
        """Remove what is there, also of a run that was killed."""
        with suppress(FileNotFoundError), Folder.open(self._base) as base:
            base.remove(_NAME)


def _check_room(top: Folder, candidate: Candidate) -> None:
    disk = os.fstatvfs(top.fd)
    if disk.f_bavail * disk.f_frsize < candidate.size + KEPT_FREE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(top.path))


def _copy(top: Folder, file: CandidateFile, candidate: Candidate) -> bool:
    """Make one file, proven to be what was hashed; whether it is a clone."""
    *folders, name = file.path.split("/")
    with ExitStack() as stack:
        for part in folders:
            top = stack.enter_context(top.folder(part, create=True))
            os.fchmod(top.fd, _OF_FOLDERS)
        mode = 0o555 if file.entry.executable else 0o444
        with os.fdopen(top.create(name, mode), "wb") as target:
            os.fchmod(target.fileno(), mode)  # whatever our umask is
            is_clone = _clone(file, candidate, target.fileno())
            if not is_clone:
                target.writelines(candidate.chunks(file))
        if is_clone:
            _prove(top, name, file, candidate)
    return is_clone


def _clone(file: CandidateFile, candidate: Candidate, target: int) -> bool:
    with candidate.open_raw(file) as source:
        try:
            fcntl.ioctl(target, _FICLONE, source.fileno())
        except OSError as error:
            if error.errno not in _CANNOT_CLONE:
                raise
            return False
    return True


def _prove(top: Folder, name: str, file: CandidateFile, candidate: Candidate) -> None:
    """Read a clone once: it is what the file was at one moment, and that may have been another one."""
    with os.fdopen(top.beneath(name, os.O_RDONLY), "rb", buffering=0) as raw:
        opened = candidate.prove(file, raw)
        while opened.read(PIECE_BYTES):
            pass
