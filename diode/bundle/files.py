"""The files table of a bundle (docs/bundle-format.md): one line of canonical JSON for each file, sorted by path."""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Final

from blake3 import blake3

from diode.bundle.manifest import Manifest
from diode.errors import ManifestError, PathError
from diode.formats.names import MAX_PATH_BYTES, MAX_SEQUENCE, check_path

MAX_TARGET_BYTES: Final = 1023  # what every file system of Linux takes as the target of a link
MAX_LINE_BYTES: Final = MAX_PATH_BYTES * 6 + 512  # a path whose every byte is escaped, and the digests


def is_target(text: str) -> bool:
    """Whether a link may say this: one to MAX_TARGET_BYTES bytes of UTF-8, relative."""
    return 0 < len(text.encode(errors="replace")) <= MAX_TARGET_BYTES and not text.startswith("/")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One line of the files table. A path that ends in ``/`` is an empty directory; with ``link``, a symbolic link.

    ``link``: what the link says, which leads to another path of the table (:mod:`diode.bundle.links`).
    """

    path: str
    size: int = 0
    blake3: str = ""
    sha256: str = ""
    executable: bool = False
    link: str | None = None

    @property
    def is_file(self) -> bool:
        """Whether this line stands for a file, which has content."""
        return self.link is None and not self.is_directory

    @property
    def is_directory(self) -> bool:
        """Whether this line stands for an empty directory."""
        return self.path.endswith("/")

    def line(self) -> bytes:
        """Canonical JSON and a newline."""
        path = encode_basestring(self.path)  # as canonical() writes it: there may be a million of these lines
        if self.link is not None:
            return f'{{"link":{encode_basestring(self.link)},"path":{path}}}\n'.encode()
        if self.is_directory:
            return f'{{"path":{path}}}\n'.encode()
        executable = '"executable":true,' if self.executable else ""
        rest = f'"sha256":"{self.sha256}","size":{self.size}'
        return f'{{"blake3":"{self.blake3}",{executable}"path":{path},{rest}}}\n'.encode()


class PathSet:
    """Refuses a path that cannot stand beside an earlier one in a tree, or on a case-insensitive file system.

    It keeps a hash of the case-folded form of each path, and of each directory above it.
    """

    def __init__(self) -> None:
        self._files: set[int] = set()
        self._directories: dict[int, int] = {}
        self._listed: set[str] = set()

    def add(self, path: str) -> None:
        """Take one path (``/`` at its end: a directory). Raises PathError."""
        check_path(path)
        if not path.endswith("/"):
            self._add_file(path)
        elif path in self._listed:
            raise PathError(f"{path!r} is there twice")
        else:
            self._listed.add(path)
        parent, count = path.rpartition("/")[0], len(self._directories)
        while parent:
            folded = _folded(parent)
            if folded in self._files:
                raise PathError(f"{parent!r} is a file and a directory")
            known = self._directories.setdefault(folded, hash(parent))
            if known != hash(parent):
                raise PathError(f"directory {parent!r} differs from another only in case or form")
            if len(self._directories) == count:
                break  # it was known, and so is all that lies above it
            count += 1
            parent = parent.rpartition("/")[0]

    def _add_file(self, path: str) -> None:
        folded = _folded(path)
        if folded in self._files or folded in self._directories:
            raise PathError(f"{path!r} is there twice, or differs from another name only in case or form")
        self._files.add(folded)


def _folded(path: str) -> int:
    return hash(unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold()))


def parse_files(lines: Iterable[bytes], manifest: Manifest) -> Iterator[FileEntry]:
    """Read the files table as a stream, and check every rule of docs/bundle-format.md on the way.

    ``lines`` are as an open file gives them; the caller bounds each to MAX_LINE_BYTES. Raises ManifestError or
    PathError at the first line that breaks a rule, or at the end when the counts don't add up.
    """
    paths, count, total, links, previous, content = PathSet(), 0, 0, 0, b"", blake3()
    for line in lines:
        if manifest.times:
            content.update(line)
        entry = read_line(line)
        paths.add(entry.path)
        encoded = entry.path.encode()
        if encoded <= previous:
            raise ManifestError(f"files table is not sorted at {entry.path!r}")
        count, total, links = count + 1, total + entry.size, links + (entry.link is not None)
        previous = encoded
        if count > manifest.files.entries or total > manifest.stream_bytes or links > manifest.links:
            raise ManifestError("files table holds more than the manifest says")
        yield entry
    if (count, total, links) != (manifest.files.entries, manifest.stream_bytes, manifest.links):
        raise ManifestError("files and links do not add up to what the manifest says")
    if manifest.times and content.hexdigest() != manifest.content_digest:
        raise ManifestError("the lines of the files table do not have the digest that the manifest says")


_HEX = re.compile(r"[0-9a-f]{64}")


def read_line(line: bytes) -> FileEntry:
    """One line of a files table, which must be in canonical form. Raises ManifestError."""
    try:
        fields = json.loads(line.decode())
        entry = FileEntry(**fields)
        if not _is_sound(entry) or entry.line() != line:
            raise ValueError("not canonical")
    except (ValueError, TypeError, RecursionError) as error:
        raise ManifestError(f"line {line[:80]!r} of the files table cannot be read: {error}") from None
    return entry


def _is_sound(entry: FileEntry) -> bool:
    if type(entry.path) is not str or type(entry.size) is not int or type(entry.executable) is not bool:
        return False
    if entry.link is not None:
        return type(entry.link) is str and not entry.is_directory and is_target(entry.link)
    if entry.is_directory:
        return True  # the comparison with its canonical form rules out further fields
    digests = (entry.blake3, entry.sha256)
    return 0 <= entry.size <= MAX_SEQUENCE and all(type(d) is str and bool(_HEX.fullmatch(d)) for d in digests)
