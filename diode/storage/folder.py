"""A folder of ours, held by its descriptor. The daemons make, write, move and remove files only through this.

Strangers choose some names: of an item of the outbox, of a link beside it, of a path in a bundle. A link under such a
name must never redirect a write. So every call is relative to a descriptor, takes one component, and follows no
symbolic link. New files are made with ``O_EXCL``. A file is replaced by writing another one under a name of our own and
renaming it; this replaces a link, and not what the link points to. Paths of several components are resolved by the
kernel, below the folder and through no link (:mod:`diode.storage.openat2`). Where links may be followed, none leads out
of the folder (:mod:`diode.storage.links`).
"""

import ctypes
import errno
import hashlib
import os
import shutil
import stat
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, Self

from diode.storage.openat2 import BENEATH_NO_LINKS, openat2

_LONGEST_NAME_BYTES: Final = 255
_RENAME_NOREPLACE: Final = 1
_NOT_HERE: Final = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)  # a file system that cannot rename so
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_libc: Final = ctypes.CDLL(None, use_errno=True)


class Folder:
    """An open folder. It is closed by :meth:`close`, or with the last reference to it. Every call may raise OSError."""

    def __init__(self, fd: int, path: Path) -> None:
        self.fd = fd
        self.path = path  # for messages alone
        self._closing = weakref.finalize(self, os.close, fd)

    @classmethod
    def open(cls, path: Path, *, create: bool = False, mode: int = 0o700) -> Self:
        """Open the folder that a person named in a configuration or a command. Links in this path are followed."""
        if create:
            path.mkdir(mode, parents=True, exist_ok=True)
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), path)

    def folder(self, name: str, *, create: bool = False, mode: int = 0o700) -> "Folder":
        """Open the folder ``name`` in this one, but not through a link. ``create``: make it when it is missing."""
        self._check(name)
        if create:
            with suppress(FileExistsError):
                os.mkdir(name, mode, dir_fd=self.fd)
        with self._naming(name):
            return Folder(os.open(name, _FOLDER, dir_fd=self.fd), self.path / name)

    def folders(self, path: str, *, create: bool = False, mode: int = 0o700) -> "Folder":
        """Open a folder by a relative path of any depth, through no link and never outside of this one."""
        if not create:
            return Folder(self.beneath(path or ".", os.O_RDONLY | os.O_DIRECTORY), self.path / path)
        folder: Folder = self
        for name in filter(None, path.split("/")):
            folder = folder.folder(name, create=True, mode=mode)
        return folder

    def beneath(self, path: str, flags: int, mode: int = 0) -> int:
        """Open a relative path of any depth by openat2(2), through no link and never outside; a new descriptor."""
        return openat2(self.fd, path, flags | os.O_NOFOLLOW, mode, BENEATH_NO_LINKS, self.path)

    def link(self, name: str) -> str:
        """The target of the symbolic link ``name``."""
        self._check(name)
        with self._naming(name):
            return os.readlink(name, dir_fd=self.fd)

    def create(self, name: str, mode: int = 0o600) -> int:
        """Make a new file, opened for writing. Raises FileExistsError, also when ``name`` is a dangling link."""
        self._check(name)
        with self._naming(name):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            return os.open(name, flags, mode, dir_fd=self.fd)

    def write_new(self, name: str, data: bytes, mode: int = 0o600, *, durably: bool = False) -> None:
        """Make a new file that holds ``data``. Raises FileExistsError. A failure half-way leaves no file."""
        fd = self.create(name, mode)
        try:
            with os.fdopen(fd, "wb") as file, self._naming(name):
                file.write(data)
                file.flush()
                if durably:
                    os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):
                os.unlink(name, dir_fd=self.fd)
            raise

    def replace(self, name: str, data: bytes, mode: int = 0o600) -> None:
        """Put ``data`` at ``name`` by one rename, durably: after a crash either the old or the new file is there.

        Only one process at a time may write a name.
        """
        self._check(name)
        partial = partial_name(name)
        with suppress(FileNotFoundError):
            os.unlink(partial, dir_fd=self.fd)  # of a process that was killed
        self.write_new(partial, data, mode, durably=True)
        with self._naming(name):
            os.rename(partial, name, src_dir_fd=self.fd, dst_dir_fd=self.fd)
        self.sync()

    def put(self, name: str, data: bytes, mode: int = 0o600) -> None:
        """Remove whatever lies at ``name``, then make a new file there. Not durable."""
        self.remove(name)
        self.write_new(name, data, mode)

    def regular(self, name: str) -> BinaryIO:
        """Open a regular file for reading, but not through a link. It does not wait for a pipe."""
        self._check(name)
        with self._naming(name):
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.fd)
        file = os.fdopen(fd, "rb")
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            file.close()
            raise OSError(errno.EINVAL, "Not a regular file", str(self.path / name))
        return file

    def read(self, name: str, most_bytes: int) -> bytes:
        """The content of a regular file, not read through a link. Raises OSError also when it is too large."""
        with self.regular(name) as file:
            data = file.read(most_bytes + 1)
        if len(data) > most_bytes:
            raise OSError(errno.EFBIG, f"Larger than {most_bytes} bytes", str(self.path / name))
        return data

    def names(self) -> list[str]:
        """The names in this folder, sorted."""
        return sorted(os.listdir(self.fd))

    def oldest_first(self) -> list[str]:
        """The names in this folder, by time of last change. Those that are removed meanwhile are left out."""
        found = []
        for name in os.listdir(self.fd):
            with suppress(FileNotFoundError):
                found.append((os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_mtime_ns, name))
        return [name for _, name in sorted(found)]

    def has(self, name: str) -> bool:
        """Whether anything lies at ``name``, even a dangling link."""
        self._check(name)
        try:
            os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def is_folder(self, name: str) -> bool:
        """Whether a folder lies at ``name``. A link to a folder does not count."""
        self._check(name)
        try:
            return stat.S_ISDIR(os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return False

    def is_ours(self, parent: "Folder") -> bool:
        """Whether this user, root or the owner of ``parent`` owns the folder, and nobody else may write into it."""
        status, above = os.fstat(self.fd), os.fstat(parent.fd)
        is_known = status.st_uid in (os.geteuid(), 0, above.st_uid)
        return is_known and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)

    def move(self, name: str, target: "Folder", new_name: str) -> None:
        """Move whatever lies at ``name`` into ``target``, a folder of ours. A link is moved itself.

        Raises FileExistsError rather than replace anything.
        """
        self._check(name)
        self._check(new_name)
        arguments = (self.fd, os.fsencode(name), target.fd, os.fsencode(new_name), _RENAME_NOREPLACE)
        if _libc.renameat2(*arguments) == 0:
            return
        number = ctypes.get_errno()
        if number in _NOT_HERE and not target.has(new_name):  # FUSE, NFS; only we make names in the target
            os.rename(name, new_name, src_dir_fd=self.fd, dst_dir_fd=target.fd)
            return
        number = errno.EEXIST if number in _NOT_HERE else number
        raise OSError(number, os.strerror(number), str(self.path / name), None, str(target.path / new_name))

    def remove(self, name: str) -> None:
        """Remove whatever lies at ``name``, a folder with everything in it. Links are removed, not followed."""
        self._check(name)
        with suppress(FileNotFoundError), self._naming(name):
            if stat.S_ISDIR(os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_mode):
                shutil.rmtree(name, dir_fd=self.fd)
            else:
                os.unlink(name, dir_fd=self.fd)

    def sync(self) -> None:
        """Make the entries of this folder durable."""
        os.fsync(self.fd)

    def close(self) -> None:
        """Close the descriptor. A second call does nothing."""
        self._closing()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _check(self, name: str) -> None:
        """Raise OSError unless ``name`` is a single component that stays in the folder."""
        if not name or "/" in name or "\0" in name or name in (".", ".."):
            raise OSError(errno.EINVAL, "Not one name", str(self.path / name.replace("\0", "?")))

    @contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        """Let an OSError in this block name the whole path, not only the component."""
        try:
            yield
        except OSError as error:
            error.filename = str(self.path / name)
            raise


def replace_link(folder: Folder, name: str, target: str) -> None:
    """Put a symbolic link to ``target`` at ``name`` by one rename, durably, in the place of another link.

    Raises FileExistsError for what is no link: that stays as it is. Only one process at a time may write a name.
    """
    partial = partial_name(name)
    folder.remove(partial)  # of a process that was killed
    if folder.has(name) and not stat.S_ISLNK(os.stat(name, dir_fd=folder.fd, follow_symlinks=False).st_mode):
        raise FileExistsError(errno.EEXIST, "It is no link", str(folder.path / name))
    os.symlink(target, partial, dir_fd=folder.fd)
    if folder.has(name):
        os.rename(partial, name, src_dir_fd=folder.fd, dst_dir_fd=folder.fd)
    else:
        folder.move(partial, folder, name)
    folder.sync()


def make_link(folder: Folder, name: str, target: str) -> None:
    """Have a symbolic link to ``target`` at ``name``, in the place of whatever else lies there. Not durable."""
    with suppress(OSError):
        if folder.link(name) == target:
            return
    folder.remove(name)
    os.symlink(target, name, dir_fd=folder.fd)


def set_modified(folder: Folder, name: str, time_ns: int) -> None:
    """Set the time of the last change of content (mtime); of a link, its own. The time of last access stays."""
    status = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
    os.utime(name, ns=(status.st_atime_ns, time_ns), dir_fd=folder.fd, follow_symlinks=False)


def real_path(fd: int) -> Path:
    """The path without links at which an open file or folder lies now.

    It is for messages, or for opening without links.
    """
    return Path(os.readlink(f"/proc/self/fd/{fd}"))


def fitting(name: str, ending: str) -> str:
    """``name`` with ``ending``. If that is too long for a name, it is cut, and made unique by a digest."""
    raw = os.fsencode(name)
    if len(raw) + len(os.fsencode(ending)) <= _LONGEST_NAME_BYTES:
        return name + ending
    unique = f"~{hashlib.sha256(raw).hexdigest()[:16]}"
    return os.fsdecode(raw[: _LONGEST_NAME_BYTES - len(os.fsencode(ending)) - len(unique)]) + unique + ending


def partial_name(name: str) -> str:
    """The name under which a file is written before it gets ``name``. It is never longer than a name may be."""
    return f".{os.fsdecode(os.fsencode(name)[:200])}.partial"
