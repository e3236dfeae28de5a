"""Which files an item holds. They are found, and opened, through descriptors: no link in their path is ever followed.

Whoever drops an item may change it at any instant. What is opened later is compared with what was found (inode, size,
times), so that neither another file nor other content is taken for it.
"""

import os
import stat
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import BinaryIO, Final, Literal, NamedTuple

from diode.errors import LimitError, PathError, SourceError
from diode.manifest import MAX_FILES, PathSet, check_component
from diode.storage.folder import Folder

_DEEPEST: Final = 64
_SEVERAL: Final = -1  # no single user: others may write into a folder above
_READ: Final = os.O_RDONLY | os.O_NONBLOCK

Links = Literal["refuse", "follow"]


def fingerprint(status: os.stat_result) -> tuple[int, int, int, int]:
    """What changes when a file changes: inode, size, mtime and ctime in nanoseconds."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class Root(NamedTuple):
    """A file or directory to be packed: ``name`` in an open folder, whose path has no links in it."""

    holder: Folder
    name: str

    @classmethod
    def named(cls, path: Path) -> "Root":
        """What a person named: links above it are theirs, and followed; it is no link itself. Raises OSError."""
        path = path.absolute()
        return cls(Folder.open(Path(os.path.realpath(path.parent))), path.name)

    @property
    def origin(self) -> str:
        """Its path."""
        return os.path.join(self.holder.path, self.name)


@dataclass(frozen=True, slots=True)
class Source:
    """One path of the bundle, and the file or empty directory it comes from: ``below`` the folder ``top``."""

    path: str
    origin: str
    top: Folder
    below: str
    seen: bytes = b""  # what the file looked like

    @property
    def sort_key(self) -> bytes:
        """Tables are sorted by the bytes of the path."""
        return self.path.encode()

    def open(self) -> BinaryIO:
        """Open the file, unbuffered. A link put into its path meanwhile is not followed, a pipe not waited for."""
        return os.fdopen(self.top.beneath(self.below, _READ), "rb", buffering=0)

    def status(self) -> os.stat_result:
        """What lies there now; a link is looked at itself."""
        fd = self.top.beneath(self.below, os.O_PATH)
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    def is_as_found(self, status: os.stat_result) -> bool:
        """Whether this is the file that was found, unchanged."""
        return self.seen == _seen(status)


def open_origin(origin: str) -> BinaryIO:
    """Open the file at an absolute path in which no link is followed, unbuffered."""
    return os.fdopen(_top_of_all().beneath(origin.lstrip("/"), _READ), "rb", buffering=0)


@cache
def _top_of_all() -> Folder:
    return Folder(os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), Path("/"))


def collect(roots: Sequence[Path | Root], links: Links, file_name: str | None = None) -> list[Source]:
    """All files and empty directories below ``roots``, sorted as the table is.

    Of one directory its contents, of one file that file (as ``file_name`` if given), of several roots each under its
    own name. Raises SourceError for anything that cannot cross: links (unless followed within the root), hard links
    that others may have made, devices, sockets, unusable names.
    """
    sources: list[Source] = []
    linked: dict[tuple[int, int], _Linked] = {}
    for root in roots:
        walk = _Walk(links, linked)
        for source in walk.all_of(root, file_name, alone=len(roots) == 1):
            sources.append(source)
            if len(sources) > MAX_FILES:  # counted here: links may name the same files without end
                raise LimitError(f"more than {MAX_FILES} files and empty directories: a bundle holds no more")
    for file in linked.values():
        file.check()
    try:
        paths = PathSet()
        for source in sources:
            paths.add(source.path)
    except PathError as error:
        raise SourceError(str(error)) from error
    return sorted(sources, key=lambda source: source.sort_key)


@dataclass(slots=True)
class _Linked:
    """A file with several names (hard links): which of them lie in the item, and whether its owner alone made them."""

    names: int
    found: set[str] = field(default_factory=set)
    foreign: str = ""

    def check(self) -> None:
        """Raise SourceError when somebody may have linked a file into the item who cannot read it."""
        if self.foreign and self.names > len(self.found):
            raise SourceError(
                f"{self.foreign!r} is a hard link to a file that has names outside of the item, in a folder that is not"
                f" its owner's alone: whoever put it there may not be able to read it. Copy it: cp -p FILE FILE.new &&"
                f" mv FILE.new FILE"
            )


class _Walk:
    """One root. Each folder of it is opened by its name in the one above, so that nothing is found through a link."""

    def __init__(self, links: Links, linked: dict[tuple[int, int], _Linked]) -> None:
        self._links = links
        self._linked = linked

    def all_of(self, root: Path | Root, file_name: str | None, *, alone: bool) -> Iterator[Source]:
        """Its files and empty directories."""
        with _readable(str(root if isinstance(root, Path) else root.origin)):
            root = Root.named(root) if isinstance(root, Path) else root
            self._top, self._path, name = root.holder, root.origin, root.name
            check_component(file_name or name)
            status = os.stat(name, dir_fd=self._top.fd, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                self._target(self._path)
            self._is_folder = stat.S_ISDIR(status.st_mode)
            if self._is_folder:
                self._top = self._top.folder(name)
        self._keeper = _keeper(root.holder, None)
        if self._is_folder:
            self._keeper = _keeper(self._top, self._keeper)
            yield from self._folder(self._top, "", "" if alone else file_name or name, self._keeper, 0)
        else:
            yield self._file(status, name, file_name or name, self._keeper)

    def _folder(self, folder: Folder, below: str, path: str, keeper: int, depth: int) -> Iterator[Source]:
        origin = self._origin(below)
        if depth > _DEEPEST:
            raise SourceError(f"{origin!r} is nested too deeply, or links form a circle")
        with _readable(origin):
            names = folder.names()
        if not names and path:
            yield Source(path + "/", origin, self._top, below)
        for name in names:
            inner = f"{path}/{name}" if path else name
            yield from self._entry(folder, name, f"{below}/{name}" if below else name, inner, keeper, depth)

    def _entry(self, folder: Folder, name: str, below: str, path: str, keeper: int, depth: int) -> Iterator[Source]:
        with _readable(self._origin(below)):
            check_component(name)
            status = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                below = self._target(self._origin(below))
                folder, keeper, name = self._descend(below)
                status = os.stat(name or ".", dir_fd=folder.fd, follow_symlinks=False)
            is_folder = stat.S_ISDIR(status.st_mode)
            child = (folder.folder(name) if name else folder) if is_folder else None
        if child is None:
            yield self._file(status, below, path, keeper)
            return
        yield from self._folder(child, below, path, _keeper(child, keeper), depth + 1)
        if name:
            child.close()

    def _file(self, status: os.stat_result, below: str, path: str, keeper: int) -> Source:
        origin = self._origin(below)
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(f"{origin!r} is neither a file nor a directory")
        if status.st_nlink > 1:
            linked = self._linked.setdefault((status.st_dev, status.st_ino), _Linked(status.st_nlink))
            linked.found.add(origin)
            linked.foreign = linked.foreign or (origin if keeper != status.st_uid else "")
        return Source(path, origin, self._top, below, _seen(status))

    def _target(self, origin: str) -> str:
        """Where a link leads to, below the root; a path without links, as it is now. Raises SourceError."""
        if self._links == "refuse":
            raise SourceError(f'{origin!r} is a symbolic link (outbox.links = "follow" would take what it points to)')
        target = os.path.realpath(origin)
        if os.path.commonpath([target, self._path]) != self._path:
            raise SourceError(f"{origin!r} is a link that leaves its bundle")
        return target[len(self._path) :].lstrip("/")

    def _descend(self, below: str) -> tuple[Folder, int, str]:
        """The folder that holds ``below``, who alone may write on the way to it, and the last name; "" of the root."""
        folder, keeper = self._top, self._keeper
        *above, name = below.split("/")
        for part in above:
            folder = folder.folder(part)
            keeper = _keeper(folder, keeper)
        return folder, keeper, name

    def _origin(self, below: str) -> str:
        return f"{self._path}/{below}" if below and self._is_folder else self._path


@contextmanager
def _readable(origin: str) -> Iterator[None]:
    """Errors name what cannot be read."""
    try:
        yield
    except PathError as error:
        raise SourceError(str(error)) from error
    except OSError as error:
        raise SourceError(f"{origin!r} cannot be read: {error.strerror}") from error


def _keeper(folder: Folder, above: int | None) -> int:
    """The one user who may write into a folder and into those above it, up to the one that holds the item."""
    status = os.fstat(folder.fd)
    is_shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return status.st_uid if not is_shared and above in (None, status.st_uid) else _SEVERAL


def _seen(status: os.stat_result) -> bytes:
    return struct.pack("=QQqq", *fingerprint(status))
