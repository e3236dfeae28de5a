"""Where packages are looked for: the files of the item, and folders whose content crossed before.

A folder is the operator's: what lies there counts as it is called there, and it is read with the same bounds.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self

from diode.content.allowance import Allowance
from diode.layouts.files import File, Files
from sender.closure.missing import Report

MOST_FILES: Final = 2_000_000  # of all folders together


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file of a folder. Its digest is computed when somebody asks for it."""

    folder: Path
    path: str
    size: int

    @property
    def sha256(self) -> str:
        """In hex. Raises OSError."""
        with (self.folder / self.path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


class FolderFiles:
    """A folder as :class:`diode.layouts.files.Files`. Links in it are not followed into other folders."""

    def __init__(self, folder: Path, paths: Iterable[str]) -> None:
        """Of these paths. Raises OSError, ValueError where they are too many."""
        self._folder = folder
        self._files: dict[str, FolderFile] = {}
        for path in paths:
            if len(self._files) >= MOST_FILES:
                raise ValueError(f"{folder} has more than {MOST_FILES} files")
            self._files[path] = FolderFile(folder, path, (folder / path).stat().st_size)

    @classmethod
    def below(cls, folder: Path) -> Self:
        """All files below a folder. Raises OSError, ValueError."""
        return cls(folder, sorted(_below(folder)))

    @classmethod
    def of(cls, file: Path) -> Self:
        """One file alone. Raises OSError."""
        return cls(file.parent, [file.name])

    def table(self) -> Iterable[File]:
        """All files, sorted by path."""
        return self._files.values()

    def get(self, path: str) -> File | None:
        """One file."""
        return self._files.get(path)

    def open(self, path: str) -> BinaryIO:
        """A file's content. Raises OSError."""
        return (self._folder / path).open("rb")

    def read(self, path: str, most: int) -> bytes:
        """A whole file of at most ``most`` bytes. Raises ValueError, OSError."""
        with self.open(path) as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise ValueError(f"{path!r} has more than {most} bytes, too many to be read")
        return data


def _below(folder: Path) -> Iterator[str]:
    def fail(error: OSError) -> None:
        raise error

    for root, _, names in os.walk(folder, onerror=fail):
        for name in names:
            path = Path(root, name)
            if path.is_file():
                yield str(path.relative_to(folder))


@dataclass(frozen=True, slots=True)
class Shelf:
    """What the check of one item has: its files, what crossed before, and where to write what is missing.

    ``sent``: (name, version) of bundles that this sender sent. ``tick`` is called again and again; it raises when the
    check shall stop.
    """

    item: Files
    report: Report
    tick: Callable[[], None]
    allowance: Allowance
    beside: tuple[Files, ...] = ()
    sent: frozenset[tuple[str, str]] = frozenset()

    @property
    def all(self) -> tuple[Files, ...]:
        """The item first, then what crossed before."""
        return (self.item, *self.beside)
