"""Walks over everything below a folder, through descriptors. No link is followed, and nothing outside is looked at."""

import os
import stat
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from diode.storage.folder import Folder

MAX_DEPTH: Final = 70  # folders above each other: as many descriptors are open at once
MAX_NAMES: Final = 1_100_000  # in one folder

Problem = Callable[[str, str], None]  # path, and what is wrong with it


class Node(NamedTuple):
    """A file, folder or other thing below a folder. ``parent`` is its folder, open until the next node is asked for."""

    path: str  # components joined by "/"; bytes that are not UTF-8 are surrogates in it
    name: str
    parent: Folder
    status: os.stat_result  # of the thing itself; a link is a link
    names: int  # how many names a folder holds

    @property
    def is_file(self) -> bool:
        """Whether this is a regular file."""
        return stat.S_ISREG(self.status.st_mode)

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder. A link to a folder does not count."""
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_link(self) -> bool:
        """Whether this is a symbolic link."""
        return stat.S_ISLNK(self.status.st_mode)

    @property
    def state(self) -> tuple[int, ...]:
        """A value that changes with every change to the node, but not when it is read."""
        return state_of(self.status)


def state_of(status: os.stat_result) -> tuple[int, ...]:
    """The value of :attr:`Node.state` for a status. Only root can set the time of last change (``ctime``) back."""
    what = (status.st_mode, status.st_nlink, status.st_uid, status.st_gid, status.st_dev, status.st_ino)
    return (*what, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def walk(top: Folder, problem: Problem) -> Iterator[Node]:
    """Yield every node below ``top`` in order of names, and a folder before its content.

    ``problem(path, text)`` is called for what cannot be listed, entered or examined, and the walk continues.
    """
    return _below(top, _names(top, "", problem), "", problem, 1)


def _below(folder: Folder, names: list[str], above: str, problem: Problem, depth: int) -> Iterator[Node]:
    for name in names:
        path = above + name
        try:
            status = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
        except OSError as error:
            problem(path, f"cannot be looked at: {error.strerror}")
            continue
        node = Node(path, name, folder, status, 0)
        if not node.is_folder:
            yield node
        elif depth >= MAX_DEPTH:
            problem(path, "lies too deep")
        else:
            yield from _enter(node, problem, depth)


def _enter(node: Node, problem: Problem, depth: int) -> Iterator[Node]:
    """A folder, and what lies below it."""
    try:
        folder = node.parent.folder(node.name)
    except OSError as error:
        problem(node.path, f"cannot be entered: {error.strerror}")
        return
    with folder:
        if state_of(os.fstat(folder.fd)) != node.state:
            problem(node.path, "was changed while it was read")
        names = _names(folder, node.path, problem)
        yield node._replace(names=len(names))
        yield from _below(folder, names, f"{node.path}/", problem, depth + 1)


def _names(folder: Folder, path: str, problem: Problem) -> list[str]:
    try:
        with os.scandir(folder.fd) as entries:
            names = sorted(entry.name for entry in islice(entries, MAX_NAMES + 1))
    except OSError as error:
        problem(path, f"cannot be listed: {error.strerror}")
        return []
    if len(names) > MAX_NAMES:
        problem(path, f"holds more than {MAX_NAMES:,} names")
    return names[:MAX_NAMES]
