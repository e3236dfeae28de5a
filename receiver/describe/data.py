"""The data of one published bundle, by its signed table: what makers read, and digests that protocols ask for."""

import hashlib
import os
import stat
from collections.abc import Iterable
from typing import BinaryIO, Final, NamedTuple

from diode.errors import IntegrityError
from diode.storage.folder import Folder
from receiver.catalogue.card import Card, CardFile

_CHUNK_BYTES: Final = 1 << 20


class MoreDigests(NamedTuple):
    """Digests of one file beside its signed ones, in hex."""

    sha512: str
    blake2b: str  # of 256 bits
    sha1: str  # weak: compared with what upstream says, and proof of nothing


class BundleFiles:
    """Reads files below ``data`` by their signed paths, through no link. ``table``: a card that has all of them."""

    def __init__(self, data: Folder, table: Card) -> None:
        self._data = data
        self._table = table
        self._known: dict[str, MoreDigests] = {}

    def table(self) -> Iterable[CardFile]:
        """All files, sorted by path."""
        return self._table.files()

    def get(self, path: str) -> CardFile | None:
        """One file of the table."""
        return self._table.file(path)

    def open(self, path: str) -> BinaryIO:
        """A file's content, for reading; its size is as in the table. Raises OSError, also when it was changed."""
        entry = self._entry(path)
        file = os.fdopen(self._data.beneath(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size != entry.size:
            file.close()
            raise OSError(f"{path!r} is not what was published any more")
        return file

    def read(self, path: str, most: int) -> bytes:
        """A whole file of at most ``most`` bytes, which must have its signed SHA-256. Raises ValueError, OSError."""
        entry = self._entry(path)
        if entry.size > most:
            raise ValueError(f"{path!r} has {entry.size} bytes, too many to be read")
        with self.open(path) as file:
            content = file.read(most + 1)
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise ValueError(f"{path!r} does not have its signed digest")
        return content

    def digests(self, path: str) -> MoreDigests:
        """Further digests of a file, which is read once for all of them, and once in all.

        Raises IntegrityError when it does not have its signed SHA-256, OSError.
        """
        if path not in self._known:
            self._known[path] = self._compute(path)
        return self._known[path]

    def _compute(self, path: str) -> MoreDigests:
        signed, sha512, sha1 = hashlib.sha256(), hashlib.sha512(), hashlib.sha1(usedforsecurity=False)
        blake2b = hashlib.blake2b(digest_size=32)
        with self.open(path) as file:
            while chunk := file.read(_CHUNK_BYTES):
                for hasher in (signed, sha512, sha1, blake2b):
                    hasher.update(chunk)
        if signed.hexdigest() != self._entry(path).sha256:
            raise IntegrityError(f"{path!r} does not have its signed digest")
        return MoreDigests(sha512.hexdigest(), blake2b.hexdigest(), sha1.hexdigest())

    def _entry(self, path: str) -> CardFile:
        entry = self._table.file(path)
        if entry is None:
            raise FileNotFoundError(f"{path!r} is not in the bundle")
        return entry
