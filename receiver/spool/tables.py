"""One table of a bundle in a file of its spool folder, written slab by slab. What it holds is judged elsewhere."""

import mmap
import os
from collections.abc import Iterator
from typing import BinaryIO, Final

from diode.bundle.files import MAX_LINE_BYTES
from diode.errors import ManifestError
from diode.protocol.geometry import Slab
from diode.protocol.sizes import ObjectType
from diode.storage.durable import drop_cache
from diode.storage.folder import Folder
from receiver.spool.disk import write_reserved

TABLE_FILES: Final = {ObjectType.FILES: "files.jsonl", ObjectType.SLABS: "slabs.bin"}
_READ_BYTES: Final = 1 << 20


class TableFile:
    """The file at ``path``, relative to ``spool``."""

    def __init__(self, spool: Folder, path: str) -> None:
        self._spool = spool
        self._path = path

    def put(self, slab: Slab, data: memoryview) -> None:
        """Write one slab to its place."""
        fd = self._spool.beneath(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            write_reserved(fd, data[: slab.length], slab.offset)
        finally:
            os.close(fd)

    def make_empty(self) -> None:
        """A table without a line has no slab, and is a file all the same."""
        os.close(self._spool.beneath(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))

    def maybe_size(self) -> int | None:
        """The size of the file in bytes; None: there is no file."""
        try:
            with self.open() as file:
                return os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            return None

    def chunks(self, *, from_disk: bool = False) -> Iterator[bytes]:
        """Its content in order; ``from_disk``: as the disk has it, not the page cache."""
        with self.open() as file:
            if from_disk:
                drop_cache(file.fileno())
            while chunk := file.read(_READ_BYTES):
                yield chunk

    def lines(self, most_bytes: int) -> Iterator[bytes]:
        """The lines in its first ``most_bytes`` bytes. Raises ManifestError for one that is too long."""
        with self.open() as file:
            while line := file.readline(min(most_bytes, MAX_LINE_BYTES + 1)):
                if len(line) > MAX_LINE_BYTES:
                    raise ManifestError("a line of the files table is too long")
                most_bytes -= len(line)
                yield line

    def read(self) -> bytes:
        """All of it."""
        with self.open() as file:
            return file.read()

    def map(self) -> memoryview:
        """All of it, read as it is looked at."""
        with self.open() as file:
            if not os.fstat(file.fileno()).st_size:
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))

    def open(self) -> BinaryIO:
        """Open it for reading."""
        return os.fdopen(self._spool.beneath(self._path, os.O_RDONLY), "rb")
