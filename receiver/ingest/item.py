"""A published bundle as ingest takes it: its place in the ledger, its signed table, and its files.

The table is authentic when its digest is the one that the ledger noted at publication. A file is authentic when the
bytes that were read have the digest of its line. Whoever takes bytes of a file does so from memory, and uses none of
them for good before the last one was checked.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Self

from diode.bundle.checksums import sum_lines
from diode.bundle.files import FileEntry
from diode.errors import IntegrityError
from diode.formats.escape import escape
from diode.storage.folder import Folder
from receiver.describe.table import signed_entries
from receiver.ledger.catalogue import CatalogueLine

CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Item:
    """One bundle. ``entries``: its signed table, sorted by path. ``data``: its folder; closed with the item.

    ``card``: where what protocols need to know of it lies. ``line``: what the ledger says of it.
    """

    line: CatalogueLine
    entries: tuple[FileEntry, ...]
    data: Folder
    path: Path
    card: Path

    @classmethod
    def open(cls, inbox: Path, line: CatalogueLine, card: Path) -> Self:
        """Raises ManifestError when its table is not the signed one, IntegrityError when it is not there."""
        place = f"{line.channel}/{line.name}/{line.version}"
        try:
            with Folder.open(inbox) as top, top.folders(place) as version:
                entries = tuple(signed_entries(version, line.digest))
                return cls(line, entries, version.folder("data"), inbox / place, card)
        except OSError as error:
            raise IntegrityError(f"{line.label} cannot be read: {error.strerror} ({error.filename})") from error

    @property
    def bundle(self) -> str:
        """The bundle's id."""
        return self.line.id

    @cached_property
    def files(self) -> dict[str, FileEntry]:
        """The files of the table, by path."""
        return {one.path: one for one in self.entries if one.is_file}

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(one.size for one in self.files.values())

    @cached_property
    def sums(self) -> str:
        """SHA-256 of its SHA256SUMS: by this digest stores and tables are compared."""
        return sums_of({one.path: one.sha256 for one in self.files.values()})

    def chunks(self, entry: FileEntry, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
        """The content of a file. Raises IntegrityError, at the end at the latest, when it is not the signed one."""
        hasher, left = hashlib.sha256(), entry.size
        with os.fdopen(self.data.beneath(entry.path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as file:
            while chunk := _filled(file.fileno(), min(chunk_bytes, left + 1)):
                hasher.update(chunk)
                left -= len(chunk)
                if left < 0:
                    break
                yield chunk
        if left or hasher.hexdigest() != entry.sha256:
            raise IntegrityError(
                f"{escape(entry.path)} in the inbox is not the file that was signed with {entry.sha256}; "
                "nothing of it was published; 'diode verify' says more"
            )

    def whole(self, path: str, most_bytes: int) -> bytes:
        """A small file, checked. Raises IntegrityError when there is none, or when it is larger."""
        entry = self.files.get(path)
        if entry is None or entry.size > most_bytes:
            raise IntegrityError(f"{self.line.label} has no file {escape(path)} of at most {most_bytes} bytes")
        return b"".join(self.chunks(entry))


def sums_of(digests: dict[str, str]) -> str:
    """SHA-256 of the SHA256SUMS of files, from their digests by path."""
    entries = (FileEntry(path, sha256=digests[path]) for path in sorted(digests, key=str.encode))
    return hashlib.sha256(b"".join(sum_lines(entries, "sha256"))).hexdigest()


def _filled(fd: int, size: int) -> bytes:
    """Up to ``size`` bytes; less only at the end of the file."""
    found = os.read(fd, size)
    if len(found) == size or not found:
        return found
    pieces = [found]
    while (missing := size - sum(map(len, pieces))) and (piece := os.read(fd, missing)):
        pieces.append(piece)
    return b"".join(pieces)
