"""Judges the symbolic links of a bundle by its files table alone, before anything is written.

A target is resolved component by component. Each component on the way must be a folder of the table, so none is a link,
and the last must be a file or a folder of it. What a link means is then what its text says, whatever the file system
does with other links: ``m -> x/y/l/..`` is refused when ``x/y/l`` is a link.

A link may not lead to a folder below which another link leads to a folder. So whoever follows links meets no circle,
and nothing without end.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

from diode.bundle.files import FileEntry
from diode.errors import PathError

MAX_STEPS: Final = 128  # components of a target: as many ``..`` as a path is deep, and a path


class Table(Protocol):
    """A files table that can be searched. A signer's links may ask for a million folders, so that has to be fast."""

    def has(self, path: str) -> bool:
        """Whether a line has this path."""

    def is_folder(self, path: str) -> bool:
        """Whether something lies below a path, or the table lists it as a folder."""


def check_links(table: Table, links: Iterable[FileEntry]) -> None:
    """Raise PathError for the first of ``links`` that leads to nothing in its bundle, or through another link.

    ``links`` are all the links of the table, in its order.
    """
    for error in bad_links(table, links):
        raise error


def bad_links(table: Table, links: Iterable[FileEntry]) -> Iterator[PathError]:
    """What is wrong with each of ``links``, as :func:`check_links` raises it."""
    listed = list(links)
    known = _Known(table, frozenset(one.path for one in listed))
    to_folders: list[tuple[str, str]] = []
    for one in listed:
        try:
            target = known.resolve(one)
        except PathError as error:
            yield error
            continue
        if not target or table.is_folder(target):
            to_folders.append((one.path, target))
    places = [path.encode() for path, _ in to_folders]
    for path, target in to_folders:
        if _any_below(places, target):
            yield PathError(
                f"link {path!r} leads to a folder below which a link leads to a folder: following them may have no end"
            )


class _Known:
    """What the table says of a path, of which ``links`` are the links."""

    def __init__(self, table: Table, links: frozenset[str]) -> None:
        self._table = table
        self._links = links

    def resolve(self, link: FileEntry) -> str:
        """The path that a link leads to; empty for the top. Raises PathError."""
        assert link.link is not None
        parts = link.link.split("/")
        if len(parts) > MAX_STEPS:
            raise PathError(f"link {link.path!r} says more than {MAX_STEPS} components")
        at = link.path.rpartition("/")[0]
        for part in parts:
            if at and not self._table.is_folder(at):
                raise PathError(f"link {link.path!r} leads through {at!r}, which is no folder of this bundle")
            if part == "..":
                if not at:
                    raise PathError(f"link {link.path!r} leads out of its bundle")
                at = at.rpartition("/")[0]
            elif part not in ("", "."):
                at = f"{at}/{part}" if at else part
        if at and not self._table.is_folder(at) and (at in self._links or not self._table.has(at)):
            what = "another link" if at in self._links else "nothing in this bundle"
            raise PathError(f"link {link.path!r} leads to {what}: {at!r}")
        return at


class PathList:
    """The paths of a files table, sorted by their bytes, as a :class:`Table`."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths

    def has(self, path: str) -> bool:
        """As :meth:`Table.has`."""
        return self._path_from(path) == path

    def is_folder(self, path: str) -> bool:
        """As :meth:`Table.is_folder`."""
        return self._path_from(f"{path}/").startswith(f"{path}/")

    def _path_from(self, path: str) -> str:
        """The first path that is not before ``path``; "" when all are."""
        index = bisect_left(self._paths, path.encode(), key=str.encode)
        return self._paths[index] if index < len(self._paths) else ""


def _any_below(places: Sequence[bytes], folder: str) -> bool:
    """Whether one of the sorted ``places`` lies below a folder."""
    above = f"{folder}/".encode() if folder else b""
    index = bisect_left(places, above)
    return index < len(places) and places[index].startswith(above)
