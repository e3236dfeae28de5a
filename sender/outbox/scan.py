"""Finds the files of an item, and opens them. Both are done through descriptors, by paths with no link in them.

Somebody who drops an item may change it at any instant. So a file that is opened later is compared with what was found
(inode, size, times). Neither another file nor other content can then take its place.
"""

import os
import stat
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from diode.bundle.files import FileEntry, PathSet
from diode.bundle.links import PathList, bad_links
from diode.bundle.manifest import MAX_LINKS
from diode.errors import LimitError, PathError, SourceError
from diode.formats.names import MAX_FILES, check_new_name
from diode.storage.folder import Folder, real_path
from sender.outbox.hub_cache import Hub, find_hub, is_cache, is_unfinished
from sender.outbox.links import Follower, Links, Spot, identity, keeper_of
from sender.outbox.refusals import Refusals

MAX_WHOLE_PATH_BYTES: Final = 4095  # PATH_MAX without the NUL: what any program of the enclave can open by its path
_DEEPEST: Final = 64
_READ: Final = os.O_RDONLY | os.O_NONBLOCK
_SEEN: Final = "=QQqq"  # a fingerprint
MTIME: Final = 2  # where the time of the last change of content is in one


def fingerprint(status: os.stat_result) -> tuple[int, int, int, int]:
    """Values that change when a file changes: inode, size, and mtime and ctime in nanoseconds."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class Root(NamedTuple):
    """A file or directory to be packed: ``name`` in an open folder, whose path has no links in it.

    ``hub`` is the Hugging Face cache around a path that a person named. An item of the outbox never has one.
    """

    holder: Folder
    name: str
    hub: Hub | None = None

    @classmethod
    def named(cls, path: Path) -> "Root":
        """Make a root of a path that a person named. Links among the folders above are followed. Raises OSError."""
        path = path.absolute()
        holder = Folder.open(path.parent)
        holder.path = real_path(holder.fd)
        return cls(holder, path.name, find_hub(holder, path.name))

    @property
    def origin(self) -> str:
        """Its path."""
        return os.path.join(self.holder.path, self.name)


@dataclass(frozen=True, slots=True)
class Source:
    """One path of the bundle, and the file, link or empty directory it comes from: ``below`` the folder ``top``.

    ``link``: what a link says that is sent as one. ``mtime_ns``: of a link or directory; that of a file is in ``seen``.
    """

    path: str
    origin: str
    top: Folder
    below: str
    seen: bytes = b""  # what the file looked like
    link: str | None = None
    mtime_ns: int = 0

    @property
    def is_file(self) -> bool:
        """Whether it has content."""
        return self.link is None and not self.path.endswith("/")

    @property
    def sort_key(self) -> bytes:
        """Tables are sorted by the bytes of the path."""
        return self.path.encode()

    @property
    def size(self) -> int:
        """The size of the file when it was found, in bytes; 0 for a directory."""
        return int(struct.unpack(_SEEN, self.seen)[1]) if self.seen else 0

    def open(self) -> BinaryIO:
        """Open the file, unbuffered. A link that was put into its path is not followed; a named pipe does not block."""
        return os.fdopen(self.top.beneath(self.below, _READ), "rb", buffering=0)

    def status(self) -> os.stat_result:
        """What stat(2) says of the path now. A link is not followed."""
        fd = self.top.beneath(self.below, os.O_PATH)
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    def is_as_found(self, status: os.stat_result) -> bool:
        """Whether ``status`` is that of the file that was found, unchanged."""
        return self.seen == _seen(status)


def open_origin(origin: str) -> BinaryIO:
    """Open the file at an absolute path in which no link is followed, unbuffered."""
    return os.fdopen(_top_of_all().beneath(origin.lstrip("/"), _READ), "rb", buffering=0)


def open_places(places: Iterable[str]) -> Iterator[int]:
    """Open each absolute path without following a link. Paths that cannot be opened so are left out.

    The caller closes the descriptors.
    """
    for place in places:
        try:
            fd = _top_of_all().beneath(place.lstrip("/") or ".", os.O_PATH)
        except OSError:
            continue
        if stat.S_ISLNK(os.fstat(fd).st_mode):  # O_PATH opens a link itself
            os.close(fd)
        else:
            yield fd


@cache
def _top_of_all() -> Folder:
    return Folder(os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), Path("/"))


class Found(NamedTuple):
    """What an item holds, sorted as in the files table. ``folders``: when each folder that was entered changed last."""

    sources: list[Source]
    folders: dict[str, int]


def collect(roots: Sequence[Path | Root], links: Links, file_name: str | None = None) -> list[Source]:
    """The sources that :func:`find` finds."""
    return find(roots, links, file_name).sources


def find(roots: Sequence[Path | Root], links: Links, file_name: str | None = None, place: str = "") -> Found:
    """All files and empty directories below ``roots``, sorted as in the files table.

    One directory gives its contents. One file gives that file, under ``file_name`` if that is given. Several roots are
    each put under their own names. ``place``: the folder of the enclave in which they will lie, if that is known.

    Raises SourceError with everything that cannot cross the diode: links (unless they are followed within the root),
    hard links that others may have made, devices, sockets, unusable names, and what cannot be read.
    """
    sources: list[Source] = []
    linked: dict[tuple[int, int], _Linked] = {}
    folders: dict[str, int] = {}
    refusals = Refusals()
    for root in roots:
        with refusals.noting():
            walk = _Walk(links, linked, refusals, folders)
            sources += walk.all_of(root, file_name, alone=len(roots) == 1)
        if len(sources) > MAX_FILES:
            raise LimitError(f"more than {MAX_FILES} files and empty directories: a bundle holds no more")
    paths = PathSet()
    for source in sources:
        with refusals.noting():
            check_length(place, source.path)
            paths.add(source.path)
    for file in linked.values():
        with refusals.noting():
            file.check()
    sources.sort(key=lambda source: source.sort_key)
    _check_links(sources, refusals)
    refusals.check()
    return Found(sources, folders)


def _check_links(sources: Sequence[Source], refusals: Refusals) -> None:
    kept = [FileEntry(source.path, link=source.link) for source in sources if source.link is not None]
    if len(kept) > MAX_LINKS:
        raise LimitError(f"{len(kept)} symbolic links: a bundle holds no more than {MAX_LINKS}")
    for error in bad_links(PathList([source.path for source in sources]), kept) if kept else ():
        with refusals.noting():
            raise error


def check_length(place: str, path: str) -> None:
    """Raise SourceError for a path that no program of the enclave could open below the folder ``place``."""
    if (size := len(f"{place}/{path}".encode())) > MAX_WHOLE_PATH_BYTES:
        raise SourceError(
            f"path {path[:60]!r}... would have {size} bytes in the inbox, more than {MAX_WHOLE_PATH_BYTES}: "
            "shorten names of folders, or send an archive"
        )


@dataclass(slots=True)
class _Linked:
    """A file with several names (hard links): which names lie in the item, and whether its owner alone made them."""

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
    """A walk through one root. Each folder is opened by its name in the folder above, so no link is followed."""

    def __init__(
        self, links: Links, linked: dict[tuple[int, int], _Linked], refusals: Refusals, folders: dict[str, int]
    ) -> None:
        self._links = links
        self._folders = folders
        self._refusals = refusals
        self._linked = linked
        self._above: list[tuple[int, int]] = []  # the folders that are being walked
        self._caches: set[str] = set()

    def all_of(self, root: Path | Root, file_name: str | None, *, alone: bool) -> list[Source]:
        """Its files and empty directories; of a cache, no blob that is there under the name of a snapshot's file."""
        with _readable(str(root if isinstance(root, Path) else root.origin)):
            root = Root.named(root) if isinstance(root, Path) else root
            name = file_name or root.name
            check_new_name(name)
            spot = Spot(root.holder, root.name, root.holder, root.name, keeper_of(root.holder, None))
            status = spot.status()
            if not stat.S_ISDIR(status.st_mode):
                self._follower = Follower(self._links, root.holder, spot.keeper, root.hub)
                is_link = stat.S_ISLNK(status.st_mode)
                return [self._file(self._follower.follow_named(spot) if is_link else spot, name)]
            top = spot.open_folder()
            keeper = keeper_of(top, spot.keeper)
        self._follower = Follower(self._links, top, keeper, root.hub)
        prefix = "" if alone else name
        found: list[Source] = []
        for source in self._folder(Spot(top, "", top, "", keeper), top, prefix, 0):
            found.append(source)
            if len(found) > 2 * MAX_FILES:  # counted here already, because links may lead to the same files without end
                raise LimitError(f"more than {2 * MAX_FILES} files, empty directories and links: a bundle holds fewer")
        return [source for source in found if not self._is_double(source, prefix)]

    def _is_double(self, source: Source, prefix: str) -> bool:
        """Whether a file would be sent twice: under its own path, and under that of a cache's link to it."""
        place = source.path.removeprefix(f"{prefix}/") if prefix else source.path
        return self._follower.is_sent_elsewhere(place)

    def _folder(self, spot: Spot, folder: Folder, path: str, depth: int) -> Iterator[Source]:
        if depth > _DEEPEST:
            raise SourceError(f"{spot.origin!r} is nested too deeply, or links form a circle")
        with _readable(spot.origin):
            names, status = folder.names(), os.fstat(folder.fd)
            self._above.append(identity(status))
        self._folders[path] = status.st_mtime_ns
        if is_cache(names):
            self._caches.add(spot.below)
        if not names and path:
            yield Source(path + "/", spot.origin, spot.top, spot.below, mtime_ns=status.st_mtime_ns)
        for name in names:
            inner = f"{path}/{name}" if path else name
            with self._refusals.noting():
                yield from self._entry(spot.inner(folder, name, spot.keeper), inner, depth)
        self._above.pop()

    def _entry(self, spot: Spot, path: str, depth: int) -> Iterator[Source]:
        with _readable(spot.origin):
            check_new_name(spot.name)
            status = spot.status()
            if stat.S_ISLNK(status.st_mode) and (words := self._follower.maybe_kept(spot)) is not None:
                yield Source(path, spot.origin, spot.top, spot.below, link=words, mtime_ns=status.st_mtime_ns)
                return
            if stat.S_ISLNK(status.st_mode):
                origin, spot = spot.origin, self._follower.follow(spot)
                status = spot.status()
                if identity(status) in self._above:
                    raise SourceError(f"{origin!r} is a link to a folder above itself")
            child = spot.open_folder() if stat.S_ISDIR(status.st_mode) else None
        if child is None:
            yield self._file(spot, path, status)
            return
        inside = spot._replace(keeper=keeper_of(child, spot.keeper))
        yield from self._folder(inside, child, path, depth + 1)
        if child is not spot.top:
            child.close()

    def _file(self, spot: Spot, path: str, status: os.stat_result | None = None) -> Source:
        status = spot.status() if status is None else status
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(f"{spot.origin!r} is neither a file nor a directory")
        if is_unfinished(spot.below, self._caches):
            raise SourceError(f"{spot.origin!r} is a download that has not ended: end it, or remove the file")
        with _readable(spot.origin):
            _prove_readable(spot)
        if status.st_nlink > 1:
            linked = self._linked.setdefault(identity(status), _Linked(status.st_nlink))
            linked.found.add(spot.origin)
            linked.foreign = linked.foreign or (spot.origin if spot.keeper != status.st_uid else "")
        return Source(path, spot.origin, spot.top, spot.below, _seen(status))


@contextmanager
def _readable(origin: str) -> Iterator[None]:
    """Errors name what cannot be read."""
    try:
        yield
    except PathError as error:
        raise SourceError(f"{origin!r}: {error}") from error
    except OSError as error:
        raise SourceError(f"{origin!r} cannot be read: {error.strerror}") from error


def _prove_readable(spot: Spot) -> None:
    """Raise OSError for a file that this process may not read. Only one that seems to be such is opened."""
    if not os.access(spot.name, os.R_OK, dir_fd=spot.holder.fd, effective_ids=True):
        os.close(spot.holder.beneath(spot.name, _READ))


def _seen(status: os.stat_result) -> bytes:
    return struct.pack(_SEEN, *fingerprint(status))
