"""Copies of what was taken last under each name of a channel, in a folder that the daemon alone writes.

    BASE/CHANNEL/NAME/SEQUENCE/files/...    the files as they were taken
                              /taken.json   when, and the lines that people were shown

A copy gets its number by one rename, when it is whole and on the disk. The highest number is the newest. Older ones are
removed after that, so a crash leaves one too many and never one too few.
"""

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from diode.formats.strict_json import read_json
from diode.identity.check import Before
from diode.storage.folder import Folder
from diode.storage.tree import walk

IDENTITY_FOLDER: Final = "identity"  # in the state folder of either side
FILES: Final = "files"
_TAKEN: Final = "taken.json"
_FORMAT: Final = "diode-identity-1"
_MOST_TAKEN_BYTES: Final = 1 << 20
_UNFINISHED: Final = "unfinished"
_DIGITS: Final = 20
_CHUNK_BYTES: Final = 1 << 20


class KeptFile(NamedTuple):
    """A file of a folder. Its digest is not known: what is kept is ours."""

    path: str
    size: int
    sha256: str = ""


class FolderFiles:
    """The files below a folder, as :class:`diode.layouts.files.Files`. What is no file or folder is an OSError."""

    def __init__(self, top: Folder) -> None:
        self._top = top

    def table(self) -> Iterable[KeptFile]:
        """All files, sorted by path."""
        nodes = [node for node in walk(self._top, _fail) if not node.is_folder]
        return sorted(KeptFile(node.path, node.status.st_size) for node in nodes)

    def get(self, path: str) -> KeptFile | None:
        """One file."""
        return next((file for file in self.table() if file.path == path), None)

    def open(self, path: str) -> BinaryIO:
        """A file's content. Raises OSError."""
        return os.fdopen(self._top.beneath(path, os.O_RDONLY | os.O_NONBLOCK), "rb")

    def read(self, path: str, most: int) -> bytes:
        """A whole file of at most ``most`` bytes. Raises ValueError, OSError."""
        with self.open(path) as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise ValueError(f"it has more than {most} bytes")
        return content


class Kept:
    """The copies below the folder ``base``. Every call may raise OSError."""

    def __init__(self, base: Path) -> None:
        self._base = base

    def newest(self, channel: str, name: str) -> int:
        """The number of the newest copy; 0: there is none."""
        try:
            with self._of(channel, name) as folder:
                return max(_numbers(folder), default=0)
        except FileNotFoundError:
            return 0

    def path(self, channel: str, name: str, number: int) -> Path:
        """Where a copy lies."""
        return self._base / channel / name / _name(number)

    def changes(self, channel: str, name: str, number: int) -> tuple[str, ...]:
        """The lines that people are shown of a copy; none: it is not there."""
        try:
            with Folder.open(self.path(channel, name, number)) as folder:
                return tuple(_taken(folder)[1])
        except (FileNotFoundError, ValueError):
            return ()

    def put(self, channel: str, name: str, number: int, files: Folder, at: datetime, changes: Sequence[str]) -> None:
        """Keep a copy of the files below ``files`` under this number, durably; in the place of an earlier one."""
        with self._of(channel, name, create=True) as folder:
            folder.remove(_UNFINISHED)  # of a process that was killed
            with folder.folder(_UNFINISHED, create=True) as new:
                with new.folder(FILES, create=True) as target:
                    for file in FolderFiles(files).table():
                        _copy(files, target, file.path)
                    target.sync()
                said = {"format": _FORMAT, "at": at.astimezone(UTC).isoformat(), "changes": list(changes)}
                new.write_new(_TAKEN, json.dumps(said).encode(), durably=True)
                new.sync()
            folder.remove(_name(number))
            folder.move(_UNFINISHED, folder, _name(number))
            folder.sync()
        with Folder.open(self._base) as base, base.folder(channel) as folder:
            folder.sync()
            base.sync()

    def remove(self, channel: str, name: str, number: int) -> None:
        """Remove one copy, if it is there."""
        with suppress(FileNotFoundError), self._of(channel, name) as folder:
            folder.remove(_name(number))

    def prune(self, channel: str, name: str, below: int) -> None:
        """Remove the copies with lower numbers."""
        with suppress(FileNotFoundError), self._of(channel, name) as folder:
            for number in _numbers(folder):
                if number < below:
                    folder.remove(_name(number))

    def _of(self, channel: str, name: str, *, create: bool = False) -> Folder:
        with Folder.open(self._base, create=create) as base, base.folder(channel, create=create) as folder:
            return folder.folder(name, create=create)


def read_before(folder: Folder) -> Before:
    """What was taken last, in the folder of its copy. It is closed with the result. Raises OSError, ValueError."""
    at, _ = _taken(folder)
    return Before(FolderFiles(folder.folder(FILES)), at)


def _taken(folder: Folder) -> tuple[datetime, list[str]]:
    said = read_json(folder.read(_TAKEN, _MOST_TAKEN_BYTES))
    if not isinstance(said, dict) or said.get("format") != _FORMAT:
        raise ValueError(f"{_TAKEN} is not {_FORMAT}")
    return datetime.fromisoformat(str(said["at"])), [str(line) for line in said["changes"]]


def _copy(source: Folder, target: Folder, path: str) -> None:
    *folders, name = path.split("/")
    with target.folders("/".join(folders), create=True) if folders else target.folders("") as folder:
        content = FolderFiles(source).open(path)
        with content, os.fdopen(folder.create(name, 0o600), "wb") as copy:
            while chunk := content.read(_CHUNK_BYTES):
                copy.write(chunk)
            copy.flush()
            os.fsync(copy.fileno())
    for depth in range(len(folders), 0, -1):
        with target.folders("/".join(folders[:depth])) as folder:
            folder.sync()


def _numbers(folder: Folder) -> list[int]:
    return [int(name) for name in folder.names() if len(name) == _DIGITS and name.isdecimal() and name.isascii()]


def _name(number: int) -> str:
    return f"{number:0{_DIGITS}}"


def _fail(path: str, problem: str) -> None:
    raise OSError(f"{path!r} {problem}")
