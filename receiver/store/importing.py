"""Takes slabs that a command has read from physical media, and that lie in a folder below the state.

From here on such a slab goes the way of one from the link: the same judge, the same places, the same records.
"""

import mmap
import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Final

from diode.formats.names import MAX_MANIFEST_BYTES
from diode.protocol.geometry import MAX_SLAB_BYTES
from diode.protocol.handed_over import SlabKey
from diode.protocol.sizes import Kind, ObjectType
from diode.storage.folder import Folder
from receiver.spool.handed_in import FOLDER, maybe_key, rank_of
from receiver.store.receiving import Bundles
from receiver.store.reports import Reports

LOOK_S: Final = 0.5  # how soon the first slab of an import is seen
NEXT_S: Final = 0.01  # and the next ones, where none lies there by now
BUSY_S: Final = 5.0  # how long after a slab the next one is expected
RETRY_S: Final = 5.0  # after the disk did not take a slab
MOST_SEEN: Final = 1000  # names in the folder, whoever wrote them


class Importing:
    """Takes one slab at a time. ``take`` does with it what is done with a slab of the link."""

    def __init__(
        self, state: Path, bundles: Bundles, reports: Reports, take: Callable[[SlabKey, memoryview], None]
    ) -> None:
        self._path = state / FOLDER
        self._opened: Folder | None = None
        self._bundles = bundles
        self._reports = reports
        self._take = take
        self._look_at = self._busy_until = 0.0
        self._room = memoryview(mmap.mmap(-1, MAX_SLAB_BYTES + 1, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))

    def patience_s(self, now: float) -> float:
        """How long the worker may wait before it looks again: not at all after a slab, since the next may lie there."""
        return max(0.0, self._look_at - now)

    def step(self, now: float) -> None:
        """Take the first slab that lies there. ``now``: of a monotonic clock, in seconds."""
        if now < self._look_at:
            return
        self._look_at = now + (NEXT_S if now < self._busy_until else LOOK_S)
        with self._reports.disk.surviving(lambda: self._wait(now)):
            folder = self._folder()
            if (found := _next(folder)) is not None:
                key, name = found
                self._take_file(folder, key, name)
                folder.remove(name)
                self._look_at, self._busy_until = now, now + BUSY_S

    def _wait(self, now: float) -> None:
        """The slab stays where it is, and is tried again."""
        self._look_at = now + RETRY_S

    def _folder(self) -> Folder:
        """The folder, made when it is looked into first."""
        if self._opened is None:
            self._opened = Folder.open(self._path, create=True, mode=0o777)
        return self._opened

    def _take_file(self, folder: Folder, key: SlabKey, name: str) -> None:
        """Read a file once, and have it judged. A file that is no slab of its bundle is passed over."""
        most_bytes = self._signed_bytes(key)
        if most_bytes is None:
            return
        data = self._read(folder, name, most_bytes + 1)
        if len(data) == most_bytes or (_is_manifest(key) and len(data) < most_bytes):
            self._take(key, data)

    def _read(self, folder: Folder, name: str, most_bytes: int) -> memoryview:
        """The first bytes of a file, good until the next call."""
        done = 0
        with folder.regular(name) as file:
            while done < most_bytes and (count := os.preadv(file.fileno(), [self._room[done:most_bytes]], done)):
                done += count
        return self._room[:done]

    def _signed_bytes(self, key: SlabKey) -> int | None:
        """The length of a slab as its manifest has it, or the longest manifest; None: its bundle has no such slab."""
        if _is_manifest(key):
            return MAX_MANIFEST_BYTES
        bundle = self._bundles.get(key.bundle)
        if bundle is None:
            return None
        try:
            length = bundle.judge.slab(key).length
        except (IndexError, ValueError):
            return None
        assert length <= MAX_SLAB_BYTES
        return length


def _next(folder: Folder) -> tuple[SlabKey, str] | None:
    """The slab that is taken first, and the name of its file."""
    with os.scandir(folder.fd) as entries:
        names = [entry.name for entry in islice(entries, MOST_SEEN)]
    keys = [(key, name) for name in names if (key := maybe_key(name)) is not None]
    return min(keys, key=lambda pair: rank_of(pair[0]), default=None)


def _is_manifest(key: SlabKey) -> bool:
    return key.kind == Kind.OBJECT and key.flags == ObjectType.MANIFEST
