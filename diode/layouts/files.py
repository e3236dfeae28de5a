"""The files that a layout is read from, on either side: an item that staging hashed, or a bundle that was published."""

from collections.abc import Iterable
from typing import BinaryIO, Protocol


class File(Protocol):
    """One file of an item or a bundle."""

    @property
    def path(self) -> str:
        """Relative, its parts joined by ``/``."""

    @property
    def size(self) -> int:
        """In bytes."""

    @property
    def sha256(self) -> str:
        """Of its content, in hex."""


class Files(Protocol):
    """All files of one item or bundle. Their content is a stranger's; what is read is bounded."""

    def table(self) -> Iterable[File]:
        """All files, sorted by path."""

    def get(self, path: str) -> File | None:
        """One file of the table."""

    def open(self, path: str) -> BinaryIO:
        """A file's content, for reading; its size is as in the table. Raises OSError."""

    def read(self, path: str, most: int) -> bytes:
        """A whole file of at most ``most`` bytes, which must have its SHA-256. Raises ValueError, OSError."""
