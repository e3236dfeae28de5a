"""Trees that wait, in ``inbox/.diode/held``: they come out of the spool, and go back into it or into quarantine.

A released bundle goes back into the spool as a complete tree. From there it is published like any other bundle.
"""

from pathlib import Path
from typing import Any

from diode.errors import ContentError
from receiver.inbox.folder import Inbox
from receiver.spool.bundle import MANIFEST_FILE, read_manifest_file


class HeldTrees:
    """The folders of held bundles, named by their ids. What a disk refuses is raised as OSError."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def path(self, hex_id: str) -> Path:
        """Where a bundle waits."""
        return self._inbox.held / hex_id

    def has(self, hex_id: str) -> bool:
        """Whether a bundle waits here."""
        return self._inbox.held_folder.has(hex_id)

    def sealed(self, hex_id: str) -> bytes:
        """The manifest of a bundle that waits."""
        return read_manifest_file(self._inbox.held_folder, hex_id)

    def take(self, hex_id: str) -> Path:
        """Take a complete tree out of the spool, durably. Returns where it waits."""
        held = self._inbox.held_folder
        held.remove(hex_id)  # of a run that lost power before its ledger was durable
        self._move(hex_id)
        held.sync()
        return self.path(hex_id)

    def move_out(self, hex_id: str) -> None:
        """Take a tree out of the spool, unless that happened before an earlier run ended."""
        if not self.has(hex_id):
            self._move(hex_id)

    def prepare_return(self, hex_id: str) -> None:
        """A durable folder in the spool with the manifest in it, before the ledger says that it is published."""
        spool, sealed = self._inbox.spool_folder, self.sealed(hex_id)
        with spool.folder(hex_id, create=True, mode=0o777) as folder:
            folder.replace(MANIFEST_FILE, sealed, 0o666)
        spool.sync()

    def give_back(self, hex_id: str) -> None:
        """Move a tree back into the spool."""
        with self._inbox.spool_folder.folder(hex_id) as folder:
            self._inbox.held_folder.move(hex_id, folder, "tree")

    def set_aside(self, hex_id: str, error: ContentError, about: dict[str, Any]) -> None:
        """Move a tree into quarantine, with ``about`` in its reason."""
        self._inbox.set_aside(hex_id, error, about, self._inbox.held_folder)

    def _move(self, hex_id: str) -> None:
        with self._inbox.spool_folder.folder(hex_id) as folder:
            folder.move("tree", self._inbox.held_folder, hex_id)
