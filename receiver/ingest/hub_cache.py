"""The kind ``hf-cache``: the cache of ``huggingface_hub``. Blobs come first, then a snapshot of links, then the ref.

Below ``models--ORG--NAME``: ``blobs/SHA256``, ``snapshots/COMMIT/PATH`` (a link to its blob), ``refs/main`` (a commit).
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from diode.config.ingest import HubCacheTarget
from diode.errors import IntegrityError, ReplayError
from diode.formats.escape import escape
from diode.storage.durable import WriteBack
from diode.storage.folder import Folder, partial_name
from diode.storage.tree import walk
from receiver.ingest.hub_names import hub_names
from receiver.ingest.item import Item, sums_of
from receiver.ingest.journal import Record
from receiver.ingest.shelf import Shelf
from receiver.ingest.target import Found
from receiver.ingest.trees import check_room, hash_of, write_file

REF: Final = "main"
_COMMIT_BYTES: Final = 64
_BLOB: Final = re.compile(r"(?:\.\./)+blobs/([0-9a-f]{64})")


class HubCache:
    """The cache's folder, which is there."""

    def __init__(self, settings: HubCacheTarget) -> None:
        self._path = settings.path
        self._top = Folder.open(settings.path)

    def place(self, item: Item) -> str:
        """The commit."""
        return hub_names(item).commit

    def look(self, item: Item) -> Found:
        """Read the snapshot, through its links to blobs of this repository."""
        names = hub_names(item)
        snapshot = Shelf(self._top, f"{names.folder}/snapshots", names.commit, item.bundle).maybe_open()
        if snapshot is None:
            return Found("absent")
        with snapshot, self._top.folders(f"{names.folder}/blobs") as blobs:
            there = {path: hash_of(blobs, blob) if blob else "no link" for path, blob in _links(snapshot)}
        wanted = {one.path: one.sha256 for one in names.files(item)}
        return Found("same") if there == wanted else Found("other", sums_of(there))

    def names(self, item: Item) -> dict[str, str]:
        """The repository's folder."""
        return {"folder": hub_names(item).folder}

    def notes(self, item: Item) -> dict[str, str]:
        """Which folders are not there yet, and which blobs are."""
        names = hub_names(item)
        missing = Shelf(self._top, f"{names.folder}/snapshots", names.commit, item.bundle).missing()
        missing += [path for part in ("blobs", "refs") if not self._has(path := f"{names.folder}/{part}")]
        kept = ""
        with suppress(FileNotFoundError), self._top.folders(f"{names.folder}/blobs") as blobs:
            kept = " ".join(sorted({one.sha256 for one in names.files(item)} & set(blobs.names())))
        return {"made": "\n".join(missing), "kept": kept}

    def put(self, item: Item, record: Record) -> None:
        """Make the links, unseen; then write the blobs that they lead to."""
        files = hub_names(item).files(item)
        write_back = WriteBack(self._path)
        with self._shelf(record).work() as work, work.folder("tree", create=True, mode=0o755) as tree:
            for one in files:
                _link(tree, one.path, one.sha256)
        write_back.sync()  # by its links an undoing knows which blobs came
        with self._top.folders(f"{record.notes['folder']}/blobs", create=True, mode=0o755) as blobs:
            present, kept = set(blobs.names()), set(record.notes["kept"].split())
            check_room(blobs, item, sum(one.size for one in files if one.sha256 in present))
            for one in files:
                if one.sha256 in kept & present and not record.replaces:  # others are ours; a power loss may tear them
                    _refuse_other(blobs, one.sha256)
                write_file(blobs, one.sha256, item, one)
        write_back.sync()

    def check(self, item: Item, record: Record) -> None:
        """Read the blobs back."""
        with self._top.folders(f"{record.notes['folder']}/blobs") as blobs:
            for one in hub_names(item).files(item):
                if (found := hash_of(blobs, one.sha256)) != one.sha256:
                    raise IntegrityError(
                        f"what was written of {escape(one.path)} has {found}, signed was {one.sha256}; not published"
                    )

    def publish(self, record: Record) -> None:
        """One rename of the snapshot."""
        self._shelf(record).publish(record)

    def holds(self, record: Record) -> bool:
        """Whether the snapshot is there."""
        return self._shelf(record).holds()

    def current(self, record: Record) -> str:
        """The commit in ``refs/main``."""
        try:
            with self._top.folders(f"{record.notes['folder']}/refs") as refs:
                return refs.read(REF, _COMMIT_BYTES).decode(errors="replace").strip()
        except FileNotFoundError:
            return ""

    def point(self, record: Record, place: str) -> None:
        """Write ``refs/main`` by one rename."""
        with self._top.folders(f"{record.notes['folder']}/refs", create=True, mode=0o755) as refs:
            if place:
                refs.replace(REF, place.encode(), 0o644)
            else:
                refs.remove(REF)
                refs.sync()

    def take(self, record: Record) -> None:
        """Move the snapshot away."""
        self._shelf(record).take()

    def clean(self, record: Record) -> None:
        """Remove the work. When it was undone: also blobs that came with it, and that nothing leads to any more."""
        made: list[str] = []
        with suppress(FileNotFoundError), self._top.folders(f"{record.notes['folder']}/refs") as refs:
            refs.remove(partial_name(REF))  # of a run that was killed
        if record.phase == "undone":
            self._drop_blobs(record)
            made = record.notes.get("made", "").split("\n")
        self._shelf(record).clean([path for path in made if path])

    def _drop_blobs(self, record: Record) -> None:
        ours: set[str] = set()
        with self._shelf(record).work() as work:
            for name in ("undone", "tree"):
                if work.is_folder(name):
                    with work.folder(name) as tree:
                        ours |= {blob for _, blob in _links(tree)}
        folder = record.notes["folder"]
        with suppress(FileNotFoundError), self._top.folders(f"{folder}/snapshots") as snapshots:
            for name in snapshots.names():
                if snapshots.is_folder(name):
                    with snapshots.folder(name) as snapshot:
                        ours -= {blob for _, blob in _links(snapshot)}
        with suppress(FileNotFoundError), self._top.folders(f"{folder}/blobs") as blobs:
            for blob in ours - {"", *record.notes["kept"].split()}:
                blobs.remove(blob)
                blobs.remove(f".{blob}.partial")

    def _has(self, path: str) -> bool:
        try:
            self._top.folders(path).close()
        except FileNotFoundError:
            return False
        return True

    def _shelf(self, record: Record) -> Shelf:
        return Shelf(self._top, f"{record.notes['folder']}/snapshots", record.place, record.bundle)


def _links(snapshot: Folder) -> Iterator[tuple[str, str]]:
    """(path, blob) of each file of a snapshot; the blob is empty where it is no link to one."""
    for node in walk(snapshot, lambda *_: None):
        if not node.is_folder:
            match = None
            with suppress(OSError):
                match = _BLOB.fullmatch(node.parent.link(node.name))
            depth = 2 + node.path.count("/")
            yield node.path, match[1] if match and match[0].count("../") == depth else ""


def _refuse_other(blobs: Folder, sha256: str) -> None:
    if (found := hash_of(blobs, sha256)) != sha256:
        raise ReplayError(f"{blobs.path / sha256} holds other content, of {found}; --replace writes it again")


def _link(tree: Folder, path: str, blob: str) -> None:
    """Make the link of one file, in a folder of ours."""
    above, _, name = path.rpartition("/")
    with tree.folders(above or ".", create=bool(above), mode=0o755) as folder, suppress(FileExistsError):
        os.symlink(f"{'../' * (2 + path.count('/'))}blobs/{blob}", name, dir_fd=folder.fd)
