"""The kind ``dir``: ``CHANNEL/NAME/VERSION`` below a folder, and a link ``current`` beside the versions."""

import os
from contextlib import suppress
from typing import Final

from diode.config.ingest import FolderTarget
from diode.errors import IntegrityError
from diode.storage.durable import WriteBack
from diode.storage.folder import Folder, make_link, partial_name, replace_link
from receiver.ingest.item import Item
from receiver.ingest.journal import Record
from receiver.ingest.shelf import Shelf
from receiver.ingest.target import Found
from receiver.ingest.trees import check_room, difference, digest_of, tree_of, write_file

CURRENT: Final = "current"


class Directory:
    """A folder that is there: a mount that is missing is not filled."""

    def __init__(self, settings: FolderTarget) -> None:
        self._path = settings.path
        self._top = Folder.open(settings.path)

    def place(self, item: Item) -> str:
        """The version."""
        return item.line.version

    def look(self, item: Item) -> Found:
        """Read the version's folder."""
        line = item.line
        folder = Shelf(self._top, f"{line.channel}/{line.name}", line.version, line.id).maybe_open()
        if folder is None:
            return Found("absent")
        with folder:
            found = tree_of(folder)
        is_other = difference(item, found)
        return Found("other", digest_of(found), digest_of(item.entries)) if is_other else Found("same")

    def names(self, item: Item) -> dict[str, str]:
        """Nothing more than channel, name and version."""
        return {}

    def notes(self, item: Item) -> dict[str, str]:
        """Which folders are not there yet."""
        line = item.line
        missing = Shelf(self._top, f"{line.channel}/{line.name}", line.version, line.id).missing()
        return {"made": "\n".join(missing)}

    def put(self, item: Item, record: Record) -> None:
        """Write files and links beside the versions, unseen."""
        write_back = WriteBack(self._path)
        with self._shelf(record).work() as work, work.folder("tree", create=True, mode=0o755) as tree:
            check_room(tree, item, sum(one.size for one in tree_of(tree)))
            for entry in item.entries:
                above, _, name = entry.path.rpartition("/")
                with tree.folders(above, create=True, mode=0o755) if above else _again(tree) as folder:
                    if name and entry.link is None:
                        write_file(folder, name, item, entry)
            for entry in item.entries:  # after all files: none is written through a link
                if entry.link is not None:
                    above, _, name = entry.path.rpartition("/")
                    with tree.folders(above or ".") as folder:
                        make_link(folder, name, entry.link)
        write_back.sync()

    def check(self, item: Item, record: Record) -> None:
        """Read back what was written, before it is seen."""
        with self._shelf(record).work() as work, work.folder("tree") as tree:
            if wrong := difference(item, tree_of(tree)):
                raise IntegrityError(f"what was written to {tree.path} is not what was signed: {wrong}")

    def publish(self, record: Record) -> None:
        """One rename."""
        self._shelf(record).publish(record)

    def holds(self, record: Record) -> bool:
        """Whether its folder is there."""
        return self._shelf(record).holds()

    def current(self, record: Record) -> str:
        """Where the link leads."""
        try:
            with self._top.folders(f"{record.channel}/{record.name}") as folder:
                return folder.link(CURRENT)
        except FileNotFoundError:
            return ""

    def point(self, record: Record, place: str) -> None:
        """Move the link by one rename."""
        with self._top.folders(f"{record.channel}/{record.name}") as folder:
            if place:
                replace_link(folder, CURRENT, place)
                return
            with suppress(FileNotFoundError):
                os.unlink(CURRENT, dir_fd=folder.fd)
            folder.sync()

    def take(self, record: Record) -> None:
        """Move the folder away."""
        self._shelf(record).take()

    def clean(self, record: Record) -> None:
        """Remove the work, the half of a link, and folders that ingest made and that are empty."""
        with suppress(FileNotFoundError), self._top.folders(f"{record.channel}/{record.name}") as folder:
            folder.remove(partial_name(CURRENT))  # of a run that was killed
        made = record.notes.get("made", "").split("\n") if record.phase == "undone" else []
        self._shelf(record).clean([path for path in made if path])

    def _shelf(self, record: Record) -> Shelf:
        return Shelf(self._top, f"{record.channel}/{record.name}", record.version, record.bundle)


def _again(folder: Folder) -> Folder:
    """The same folder by a descriptor of its own."""
    return folder.folders(".")
