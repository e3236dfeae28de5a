"""Follows a symbolic link of an item. The kernel resolves the link below a folder that is held open, never out of it.

The target is then named by its path below that folder, with no link in the path. It is proven that this path leads to
what the kernel found. The file is opened by that path later, and who may write the folders on the way is checked.
"""

import errno
import os
import stat
from typing import Final, Literal, NamedTuple

from diode.bundle.files import MAX_TARGET_BYTES, is_target
from diode.errors import SourceError
from diode.storage.folder import Folder, real_path
from diode.storage.links import open_following
from sender.outbox.hub_cache import Hub, blob_of, complain, shared_of

_SEVERAL: Final = -1  # no single user: others may write into a folder above

Links = Literal["refuse", "follow", "keep"]


class Spot(NamedTuple):
    """One file or folder. It is called ``name`` in the folder ``holder``, and ``below`` is its path from ``top``.

    No link is on that path. The user ``keeper`` alone may write into ``holder`` and the folders above it. For ``top``
    itself, ``name`` and ``below`` are empty.
    """

    top: Folder
    below: str
    holder: Folder
    name: str
    keeper: int

    @property
    def origin(self) -> str:
        """Its path."""
        return os.path.join(self.top.path, self.below) if self.below else str(self.top.path)

    def status(self) -> os.stat_result:
        """What stat(2) says of it now. A link is not followed."""
        return os.stat(self.name or ".", dir_fd=self.holder.fd, follow_symlinks=False)

    def open_folder(self) -> Folder:
        """Open it as a folder. A link to a folder is not one."""
        return self.holder.folder(self.name) if self.name else self.top

    def inner(self, folder: Folder, name: str, keeper: int) -> "Spot":
        """The spot called ``name`` within this one, which is open as ``folder``; ``keeper`` alone may write into it."""
        return Spot(self.top, f"{self.below}/{name}" if self.below else name, folder, name, keeper)


class Follower:
    """Follows the links of one item. Links of a Hugging Face cache are always followed, others if ``links`` says so.

    ``top`` is the folder of the item. If a person named a part of a cache, its links may lead into the ``hub`` around.
    """

    def __init__(self, links: Links, top: Folder, keeper: int, hub: Hub | None) -> None:
        self._links = links
        self._top, self._keeper = top, keeper
        self._reach, self._prefix = (hub.folder, hub.prefix) if hub else (top, "")
        self._reach_keeper = keeper_of(hub.folder, None) if hub else keeper
        self._named: set[str] = set()

    def follow(self, link: Spot) -> Spot:
        """The spot that the link leads to. Raises SourceError, OSError."""
        words = link.holder.link(link.name)
        found = self._in_cache(self._place(link.below), words, link.origin)
        if found is not None:
            return found
        if self._links != "follow":
            complain(link.origin, words)
            raise SourceError(
                f'{link.origin!r} is a symbolic link (links = "follow" of its channel would take what it points to,'
                f' and "keep" the link)'
            )
        return self._in_item(link, words)

    def maybe_kept(self, link: Spot) -> str | None:
        """What the link says, if it is sent as a link. None: it is followed, as those of a cache always are."""
        if self._links != "keep":
            return None
        words, place = link.holder.link(link.name), self._place(link.below)
        if blob_of(place, words) is not None or shared_of(place, words) is not None:
            return None
        if not is_target(words):
            raise SourceError(f"{link.origin!r} is a link that is absolute, or says more than {MAX_TARGET_BYTES} bytes")
        return words

    def follow_named(self, link: Spot) -> Spot:
        """As :meth:`follow`, for a path that a person named, and that is itself a link. Only a cache's is followed."""
        found = self._in_cache(self._prefix, link.holder.link(link.name), link.origin) if self._prefix else None
        if found is None:
            raise SourceError(f"{link.origin!r} is itself a symbolic link: give what it leads to")
        return found

    def is_sent_elsewhere(self, below: str) -> bool:
        """Whether a link of a cache leads to the file at this path. It is then sent under the path of the link."""
        return self._place(below) in self._named

    def _place(self, below: str) -> str:
        return f"{self._prefix}/{below}" if self._prefix else below

    def _in_cache(self, place: str, words: str, origin: str) -> Spot | None:
        """The file that a link of a cache leads to. None: it is no such link, or leads out of what may be reached."""
        is_of_cache = False
        try:
            for rule in (blob_of, shared_of):
                if (target := rule(place, words)) is None:
                    continue
                is_of_cache = True
                spot = self._descend(target)
                mode = spot.status().st_mode
                self._named.add(target)
                if stat.S_ISREG(mode):
                    return spot
                if not stat.S_ISLNK(mode):
                    raise SourceError(f"{spot.origin!r} is neither a file nor a link, and no blob of a cache")
                place, words, origin = target, spot.holder.link(spot.name), spot.origin
        except FileNotFoundError:
            raise SourceError(f"{origin!r} leads to a blob that is not there: did the download end?") from None
        if is_of_cache and self._links != "follow":
            complain(origin, words)
            raise SourceError(f"{origin!r} is a link, and no blob of a cache")
        return None

    def _descend(self, place: str) -> Spot:
        return descend(self._reach, self._reach_keeper, place)

    def _in_item(self, link: Spot, words: str) -> Spot:
        try:
            fd = open_following(self._top, link.below, os.O_PATH)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            complain(link.origin, words)
            raise SourceError(f"{link.origin!r} is a link that leaves its bundle") from None
        try:
            below = os.path.relpath(real_path(fd), real_path(self._top.fd))
            is_below = below.partition("/")[0] != ".."
            found = descend(self._top, self._keeper, "" if below == "." else below) if is_below else None
            if found is None or identity(found.status()) != identity(os.fstat(fd)):
                raise SourceError(f"{link.origin!r} changed while it was followed")
        finally:
            os.close(fd)
        return found


def descend(top: Folder, keeper: int, below: str) -> Spot:
    """What lies ``below`` a folder, its own folders opened one by one. Raises OSError for a link on the way."""
    holder = top
    *above, name = below.split("/")
    for part in above:
        holder = holder.folder(part)
        keeper = keeper_of(holder, keeper)
    return Spot(top, below, holder, name, keeper)


def keeper_of(folder: Folder, above: int | None) -> int:
    """The one user who may write into a folder and into those above it, up to the one that holds the item."""
    status = os.fstat(folder.fd)
    is_shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return status.st_uid if not is_shared and above in (None, status.st_uid) else _SEVERAL


def identity(status: os.stat_result) -> tuple[int, int]:
    """Which file it is, whatever its name."""
    return status.st_dev, status.st_ino
