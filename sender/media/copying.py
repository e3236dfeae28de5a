"""Writes one packed bundle to a medium, part by part: written, synced, read back past the cache, then put in place.

While it is written the folder's name ends in ``.partial``, which no receiver takes. The last step renames it. What was
written and read back stays when the copy is interrupted, and the next copy goes on after it. Each slab is held against
its digest before it is written, so content that changed since it was packed never reaches the medium.
"""

import fcntl
import mmap
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from blake3 import blake3

from diode.bundle.medium import MANIFEST_FILE, TABLE_FILES, UNFINISHED, Part, parts_of, sizes_of
from diode.errors import FullError, IntegrityError, LockedError, SourceError
from diode.formats.digest import DIGEST_BYTES, digest
from diode.protocol.geometry import Slab, slab_at
from diode.protocol.sizes import ObjectType
from diode.storage.folder import Folder
from diode.storage.uncached import open_past_cache, read_past_cache
from sender.outbox.scan import fingerprint
from sender.pack.packed import FILES_FILE, SLABS_FILE, SOURCES_FILE, Packed
from sender.pack.sources import SourceFiles, map_file

MOVE_S: Final = 1.0  # for the daemon to note where it moved an item
SPARE_BYTES: Final = 1 << 20  # for folders and what the file system itself takes
Show = Callable[[int], None]  # how many bytes of the stream are on the medium, and were read back


class Copying:
    """One packed bundle on its way into ``top``, the folder of bundles of a medium. ``show`` is told of progress.

    Raises OSError or ValueError when the packed bundle is damaged.
    """

    def __init__(self, packed: Packed, top: Folder, show: Show) -> None:
        self.packed = packed
        self._top = top
        self._show = show
        self._seen = fingerprint((packed.folder / SOURCES_FILE).stat())
        self._sources = SourceFiles(packed.folder, packed.manifest)
        self._digests = map_file(packed.folder / SLABS_FILE)
        self._room = memoryview(mmap.mmap(-1, packed.manifest.shape.geometry.source_bytes))

    @property
    def is_there(self) -> bool:
        """Whether the medium has this bundle in place already."""
        return self._top.has(self.packed.hex_id)

    def run(self, commit: Callable[[], None]) -> None:
        """Copy what is not there yet, and put the bundle in place; ``commit`` is called just before that.

        Raises SourceError when the content is not what was packed: then nothing of the bundle stays on the medium.
        FullError, LockedError: nothing was begun. IntegrityError: the medium gives back something else. OSError: it
        failed; what was read back stays on it.
        """
        name = f"{self.packed.hex_id}{UNFINISHED}"
        with _claimed(self._top, name) as folder:
            self._check_room(folder)
            try:
                self._copy_parts(folder)
            except SourceError:
                self._top.remove(name)
                raise
            self._copy_rest(folder)
            folder.sync()
            commit()
            self._top.move(name, self._top, self.packed.hex_id)
            self._top.sync()

    def check(self) -> None:
        """Read a bundle that is in place back from the medium. Raises IntegrityError for what is not as packed."""
        with self._top.folder(self.packed.hex_id) as folder:
            for part in parts_of(self.packed.manifest):
                self._read_back(folder, part)
                self._show(part.offset + part.size)
            for name, content in self._rest():
                _compare(folder, name, content)

    def reads_directly(self) -> bool:
        """Whether the medium's file system lets a bundle that is in place be read by ``O_DIRECT``."""
        with self._top.folder(self.packed.hex_id) as folder:
            fd, is_direct = open_past_cache(folder, MANIFEST_FILE)
            os.close(fd)
        return is_direct

    def _check_room(self, folder: Folder) -> None:
        disk = os.statvfs(folder.fd)
        there = sum(os.stat(name, dir_fd=folder.fd).st_blocks * 512 for name in folder.names())
        needed = sum(sizes_of(self.packed.manifest).values()) + len(self.packed.sealed) + SPARE_BYTES
        free = disk.f_bavail * disk.f_frsize + there
        if needed > free:
            raise FullError(f"{folder.path}: {needed} bytes are needed, and {free} are free; nothing was written")

    def _copy_parts(self, folder: Folder) -> None:
        for part in parts_of(self.packed.manifest):
            if not self._has(folder, part):
                self._write(folder, part)
                self._read_back(folder, part)
            self._show(part.offset + part.size)

    def _has(self, folder: Folder, part: Part) -> bool:
        """Whether an earlier copy has brought a part to the medium."""
        if not folder.has(part.name) or os.stat(part.name, dir_fd=folder.fd).st_size != part.size:
            return False
        try:
            self._read_back(folder, part)
        except (OSError, IntegrityError):
            return False
        return True

    def _write(self, folder: Folder, part: Part) -> None:
        """Write a part and sync it."""
        folder.remove(part.name)
        fd = folder.create(part.name, 0o644)
        try:
            at = 0
            for number in range(part.first, part.end):
                data = self._read_slab(number)
                while data:
                    count = os.pwrite(fd, data, at)
                    data, at = data[count:], at + count
                self._show(part.offset + at // 2)  # the other half is reading it back
            os.fsync(fd)
        finally:
            os.close(fd)

    def _read_slab(self, number: int) -> memoryview:
        """A slab as it was packed, good until the next call. Raises SourceError."""
        slab = self._slab(number)
        try:
            self._fill(slab)
        except SourceError:
            time.sleep(MOVE_S)
            if not self._was_moved():
                raise
            self._fill(slab)
        data = self._room[: slab.length]
        if digest(data) != self._signed(number):
            raise SourceError(f"slab {number} of {self.packed.hex_id} is not what was packed: its files changed since")
        return data

    def _fill(self, slab: Slab) -> None:
        self._sources.read(slab.offset, slab.length, lambda at, length: [self._room[at : at + length]])

    def _was_moved(self) -> bool:
        """Whether the daemon has moved the files to ``sent`` meanwhile; then they are read from there."""
        seen = fingerprint((self.packed.folder / SOURCES_FILE).stat())
        if seen == self._seen:
            return False
        self._seen, self._sources = seen, SourceFiles(self.packed.folder, self.packed.manifest)
        return True

    def _read_back(self, folder: Folder, part: Part) -> None:
        """Read a part past the cache. Raises IntegrityError naming the first slab that is not as it was written."""
        number, left, hasher = part.first, self._slab(part.first).length, blake3()
        for chunk in read_past_cache(folder, part.name):
            data = chunk
            while data and number < part.end:
                hasher.update(data[:left])
                data, left = data[left:], left - min(left, len(data))
                if not left:
                    self._compare_slab(part, number, hasher.digest())
                    number, hasher = number + 1, blake3()
                    left = self._slab(number).length if number < part.end else 0
        if number != part.end:
            raise IntegrityError(f"{part.name} on the medium ends within slab {number}; try another medium")

    def _compare_slab(self, part: Part, number: int, found: bytes) -> None:
        if found != self._signed(number):
            raise IntegrityError(
                f"slab {number} in {part.name} reads back from the medium as something else; try another medium"
            )

    def _copy_rest(self, folder: Folder) -> None:
        """Manifest and tables; they are small beside the parts, so they are written anew each time."""
        for name, content in self._rest():
            folder.replace(name, memoryview(content), 0o644)  # type: ignore[arg-type]  # any buffer
            _compare(folder, name, content)

    def _rest(self) -> Iterator[tuple[str, "bytes | mmap.mmap"]]:
        tables = {ObjectType.FILES: FILES_FILE, ObjectType.SLABS: SLABS_FILE}
        for kind, name in tables.items():
            yield TABLE_FILES[kind], map_file(self.packed.folder / name)
        yield MANIFEST_FILE, self.packed.sealed

    def _slab(self, number: int) -> Slab:
        manifest = self.packed.manifest
        return slab_at(manifest.shape.geometry, manifest.stream_bytes, number)

    def _signed(self, number: int) -> bytes:
        return self._digests[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES]


def _compare(folder: Folder, name: str, content: "bytes | mmap.mmap") -> None:
    """Raise IntegrityError unless the medium gives back what was written to a file."""
    hasher = blake3()
    for chunk in read_past_cache(folder, name):
        hasher.update(chunk)
    if hasher.digest() != blake3(content).digest():
        raise IntegrityError(f"{name} reads back from the medium as something else; try another medium")


@contextmanager
def _claimed(top: Folder, name: str) -> Iterator[Folder]:
    """The folder that a copy is written to, which no other copy writes meanwhile. Raises LockedError."""
    with top.folder(name, create=True, mode=0o755) as folder:
        try:
            fcntl.flock(folder.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(f"another export writes {folder.path}; nothing was written") from None
        yield folder
