"""Puts a whole folder into place by one rename, and takes it away again. For kinds whose store is a file system.

Work lies in ``.diode-ingest/BUNDLE`` at the top of the store, on the same file system: ``tree`` is what is being made,
``replaced`` what was set aside, ``undone`` what was taken away. Which of them are there says how far a run came.
"""

import os
from contextlib import suppress
from typing import Final

from diode.errors import ReplayError
from diode.storage.folder import Folder
from receiver.ingest.journal import Record

WORK: Final = ".diode-ingest"


class Shelf:
    """The place of one bundle: the folder ``name`` in the folder ``parent``, below ``top``."""

    def __init__(self, top: Folder, parent: str, name: str, bundle: str) -> None:
        self._top = top
        self._parent = parent
        self.name = name
        self._bundle = bundle

    def work(self) -> Folder:
        """The folder of the work, made when it is missing."""
        with self._top.folder(WORK, create=True) as ours:
            return ours.folder(self._bundle, create=True)

    def missing(self) -> list[str]:
        """Folders that lead to the place and are not there yet, the outermost first."""
        parts = self._parent.split("/")
        paths = ["/".join(parts[: end + 1]) for end in range(len(parts))]
        return [path for path in paths if not self._is_there(path)]

    def _is_there(self, path: str) -> bool:
        try:
            self._top.folders(path).close()
        except FileNotFoundError:
            return False
        return True

    def maybe_open(self) -> Folder | None:
        """What lies at the place. Raises OSError when it is no folder."""
        try:
            with self._top.folders(self._parent) as parent:
                return parent.folder(self.name)
        except FileNotFoundError:
            return None

    def holds(self) -> bool:
        """Whether a folder lies at the place."""
        try:
            with self._top.folders(self._parent) as parent:
                return parent.is_folder(self.name)
        except FileNotFoundError:
            return False

    def publish(self, record: Record) -> None:
        """Move what was made into place. Raises ReplayError when something is there that is not to be replaced."""
        with self.work() as work, self._top.folders(self._parent, create=True, mode=0o755) as parent:
            if not work.has("tree"):
                return  # it was moved before
            if parent.has(self.name) and record.replaces:
                work.remove("dropped")
                parent.move(self.name, work, "dropped" if work.has("replaced") else "replaced")
            try:
                work.move("tree", parent, self.name)
            except FileExistsError:
                raise ReplayError(f"{parent.path / self.name} appeared meanwhile; nothing was published") from None
            parent.sync()
            work.sync()

    def take(self) -> None:
        """Move what was published away, and put back what was set aside. Made, but not moved yet: only the latter."""
        with self.work() as work:
            try:
                parent = self._top.folders(self._parent)
            except FileNotFoundError:
                return
            with parent:
                is_ours = not (work.has("tree") or work.has("undone"))
                if is_ours and parent.has(self.name):
                    parent.move(self.name, work, "undone")
                if work.has("replaced") and not parent.has(self.name):
                    work.move("replaced", parent, self.name)
                parent.sync()
                work.sync()

    def clean(self, made: list[str]) -> None:
        """Remove the work but for what was set aside, and those folders of ``made`` that are empty."""
        if self._top.has(WORK):
            with self._top.folder(WORK) as ours:
                if ours.has(self._bundle):
                    with ours.folder(self._bundle) as work:
                        for name in ("undone", "dropped", "tree"):
                            work.remove(name)
                _remove_empty(ours, self._bundle)
            _remove_empty(self._top, WORK)
        for path in reversed(made):
            above, _, name = path.rpartition("/")
            with suppress(FileNotFoundError), self._top.folders(above) as parent:
                _remove_empty(parent, name)
        self._top.sync()


def _remove_empty(parent: Folder, name: str) -> None:
    """Remove a folder in which nothing lies."""
    with suppress(OSError):
        os.rmdir(name, dir_fd=parent.fd)
