"""The spool folder of one bundle: its manifest, its two tables, and the tree of its files once the tables are read.

The folder is named by the bundle's id. Nothing here judges: whoever writes has judged the bytes by what was signed.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from diode.bundle.opened import Opened
from diode.bundle.stream import FileIndex
from diode.formats.names import MAX_MANIFEST_BYTES
from diode.storage.durable import WriteBack
from diode.storage.folder import Folder
from receiver.spool.tables import TABLE_FILES, TableFile
from receiver.spool.tree import Tree

MANIFEST_FILE: Final = "manifest.dsse.json"


def begin_folder(spool: Folder, hex_id: str, sealed: bytes) -> WriteBack:
    """Make an empty folder with the manifest in it. Returns the descriptor for syncing, opened before all writes."""
    write_back = WriteBack(spool.path)
    spool.remove(hex_id)
    with spool.folder(hex_id, create=True, mode=0o777) as folder:
        folder.write_new(MANIFEST_FILE, sealed, 0o666)
    return write_back


def write_manifest_again(spool: Folder, hex_id: str, sealed: bytes) -> None:
    """Put the manifest into a folder that is there, in the place of one whose pages may be lost."""
    with spool.folder(hex_id) as folder:
        folder.put(MANIFEST_FILE, sealed, 0o666)


def read_manifest_file(spool: Folder, hex_id: str) -> bytes:
    """The sealed manifest in a folder of the spool, or of ``held``. Raises OSError."""
    with spool.folder(hex_id) as folder:
        return folder.read(MANIFEST_FILE, MAX_MANIFEST_BYTES)


class SpoolBundle:
    """A bundle with a verified manifest, in its folder of ``spool``."""

    def __init__(
        self, spool: Folder, hex_id: str, opened: Opened, sealed: bytes, write_back: WriteBack | None = None
    ) -> None:
        """``write_back``: opened before anything of the bundle was written to ``spool``; None: nothing was yet."""
        self.opened = opened
        self.sealed = sealed
        self.write_back = write_back or WriteBack(spool.path)
        self.path = spool.path / hex_id / "tree"  # for messages, and for what only reads
        self.tables = {kind: TableFile(spool, f"{hex_id}/{name}") for kind, name in TABLE_FILES.items()}
        self._spool = spool
        self._hex_id = hex_id
        self._tree: Tree | None = None

    @property
    def tree(self) -> Tree:
        """Its files, once its tables are read."""
        assert self._tree is not None
        return self._tree

    def plant(self, index: FileIndex, times: Sequence[int]) -> None:
        """Its tables are read: from now on there are places for its slabs."""
        self._tree = Tree(self._spool, self._hex_id, index, times)

    def close(self) -> None:
        """Close the file that was written last."""
        if self._tree is not None:
            self._tree.close()

    def remove(self) -> None:
        """Delete what is left of it in the spool."""
        self.close()
        self.write_back.close()
        with suppress(OSError):
            self._spool.remove(self._hex_id)

    def open_tree(self) -> Folder:
        """The folder that is published."""
        return self._spool.folders(f"{self._hex_id}/tree")

    def has(self, path: str) -> bool:
        """Whether something lies at a path in its folder."""
        try:
            os.close(self._spool.beneath(f"{self._hex_id}/{path}", os.O_PATH))
        except FileNotFoundError:
            return False
        return True
