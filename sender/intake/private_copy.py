"""Copies an item for programs that open files by themselves, into a folder that only the daemon can write.

Somebody who dropped an item may still have its files open, and could change them while a hook reads them. The hook
would then judge other bytes than those that are signed. So hooks read a private copy, which is proven to be what was
hashed, and so does the child that judges identity material. Files are cloned where the file system can do that
(FICLONE, ioctl_ficlone(2)), and copied elsewhere.
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

KEPT_FREE_BYTES: Final = 1 << 30  # the file system keeps at least this much free beside the copy
_FICLONE: Final = 0x40049409
_CANNOT_CLONE: Final = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM)
_OF_FOLDERS: Final = 0o755  # a hook may run as another user; the folder above them lets nobody else in


class PrivateCopy:
    """The step of the pipeline that copies an item into the folder ``name`` of ``base``: one copy at a time."""

    def __init__(self, base: Path, name: str = "item") -> None:
        self._base = base
        self._name = name

    def make(self, candidate: Candidate) -> Finding:
        """Copy all files, and set ``candidate.copied_to`` to the folder of the copy.

        Raises RefusedError. A copy that is half done then stays, until the caller calls :meth:`remove`.
        """
        self.remove()
        try:
            with Folder.open(self._base, create=True) as base, base.folder(self._name, create=True) as top:
                os.fchmod(top.fd, _OF_FOLDERS)
                _wait_for_room(top, candidate)
                cloned = sum(_copy(top, file, candidate) for file in candidate.files.values())
        except OSError as error:
            raise RefusedError(Reason.COPY, f"there is no private copy: {error.strerror} ({error.filename})") from error
        candidate.copied_to = self._base / self._name
        return Finding(counts={"files": len(candidate.files), "cloned": cloned})

    def remove(self) -> None:
        """Remove the copy, if there is one. It may be left from a run that was killed."""
        with suppress(FileNotFoundError), Folder.open(self._base) as base:
            base.remove(self._name)


def _wait_for_room(top: Folder, candidate: Candidate) -> None:
    """Wait until there is room beside the copies of items that are less urgent. Raises OSError when none of these is.

    These items are stopped, so they are let go on until one of them is done.
    """
    while (disk := os.fstatvfs(top.fd)).f_bavail * disk.f_frsize < candidate.size + KEPT_FREE_BYTES:
        if not candidate.progress.stand_aside():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(top.path))


def _copy(top: Folder, file: CandidateFile, candidate: Candidate) -> bool:
    """Copy one file, and prove that it is what was hashed. Returns whether it was cloned."""
    *folders, name = file.path.split("/")
    with ExitStack() as stack:
        for part in folders:
            top = stack.enter_context(top.folder(part, create=True))
            os.fchmod(top.fd, _OF_FOLDERS)
        mode = 0o555 if file.entry.executable else 0o444
        with os.fdopen(top.create(name, mode), "wb") as target:
            os.fchmod(target.fileno(), mode)  # the umask must not take bits away
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
    """Read a clone once and compare it with what was hashed: the file may have changed before it was cloned."""
    with os.fdopen(top.beneath(name, os.O_RDONLY), "rb", buffering=0) as raw:
        opened = candidate.prove(file, raw)
        while opened.read(PIECE_BYTES):
            pass
