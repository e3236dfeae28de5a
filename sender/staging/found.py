"""The files of a folder as a recogniser reads them, before they are hashed.

Each read is bounded. The SHA-256 of everything that was read is kept: whoever packs the folder holds it against what
was hashed, so a file that was changed in between is found.
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from diode.errors import SourceError
from sender.outbox.scan import Source

_CHUNK_BYTES: Final = 1 << 20


class FoundFile(NamedTuple):
    """One file. Its SHA-256 is not known before it is hashed."""

    path: str
    size: int
    sha256: str = ""


class Digests(NamedTuple):
    """All digests by which upstream may know a file, in hex. ``git``: as git names a file that holds it."""

    sha256: str
    sha512: str
    sha1: str
    git: str


class Found:
    """The files below the folder ``place``, whose path a person named."""

    def __init__(self, place: Path, sources: Sequence[Source]) -> None:
        self.place = place
        self.read_as: dict[str, str] = {}  # the SHA-256 of what was read, by path
        self._sources = {source.path: source for source in sources if not source.path.endswith("/")}

    @property
    def paths(self) -> list[str]:
        """The paths of all files, sorted."""
        return list(self._sources)

    def origin(self, path: str) -> str:
        """Where a file lies; for a link of a cache, where the file lies to which it leads."""
        return self._sources[path].origin

    def table(self) -> Iterable[FoundFile]:
        """All files, sorted by path."""
        return (FoundFile(path, source.size) for path, source in self._sources.items())

    def get(self, path: str) -> FoundFile | None:
        """One file; None: there is none."""
        source = self._sources.get(path)
        return None if source is None else FoundFile(path, source.size)

    def open(self, path: str) -> BinaryIO:
        """Open a file, which must be as it was found. The caller closes it. Raises SourceError, OSError."""
        source = self._sources[path]
        file = source.open()
        if not source.is_as_found(os.fstat(file.fileno())):
            file.close()
            raise SourceError(f"{source.origin!r} changed after it was found")
        return file

    def read(self, path: str, most: int) -> bytes:
        """A whole file of at most ``most`` bytes. Raises ValueError, SourceError, OSError."""
        if (size := self._sources[path].size) > most:
            raise ValueError(f"{path} has {size} bytes, more than {most}")
        with self.open(path) as file:
            data = b"".join(iter(lambda: file.read(_CHUNK_BYTES), b""))
        self.read_as[path] = hashlib.sha256(data).hexdigest()
        return data

    def head(self, path: str, count: int) -> bytes:
        """The first ``count`` bytes of a file, or fewer. Raises SourceError, OSError."""
        with self.open(path) as file:
            return file.read(count)

    def digests(self, path: str) -> Digests:
        """All digests of a file, read once. Raises SourceError, OSError."""
        git = hashlib.sha1(b"blob %d\0" % self._sources[path].size, usedforsecurity=False)
        others = hashlib.sha256(), hashlib.sha512(), hashlib.sha1(usedforsecurity=False)
        with self.open(path) as file:
            while piece := file.read(_CHUNK_BYTES):
                for each in (*others, git):
                    each.update(piece)
        found = Digests(*(each.hexdigest() for each in (*others, git)))
        self.read_as[path] = found.sha256
        return found
