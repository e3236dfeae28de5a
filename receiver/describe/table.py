"""The signed table of a published bundle's files, from what lies beside its data.

The files table itself is not published. Its lines follow from SHA256SUMS, B3SUMS, the files' sizes and modes, the
links, and the empty folders. What comes out must have the digest that was signed. People who read the inbox may have
changed any of that, so nothing is followed that is a link, and every line is bounded.
"""

import os
import stat
from collections.abc import Iterator
from heapq import merge
from typing import BinaryIO, Final, NamedTuple

from blake3 import blake3

from diode.bundle.checksums import B3SUMS, SHA256SUMS
from diode.bundle.files import FileEntry
from diode.errors import IntegrityError, ManifestError
from diode.formats.names import MAX_FILES, MAX_PATH_BYTES, check_path
from diode.storage.folder import Folder
from receiver.catalogue.card import CardFile

_LINE_BYTES: Final = 2 * MAX_PATH_BYTES + 256  # a path whose every byte is a backslash, and a digest
_DATA: Final = "data/"
_CHUNK_BYTES: Final = 1 << 20


class _Sum(NamedTuple):
    """One line of a list of digests."""

    path: str
    digest: str


def signed_table(version: Folder, content: str) -> Iterator[CardFile]:
    """The files of the bundle published in ``version``, sorted by path. ``content``: BLAKE3 of its signed table.

    Raises ManifestError after the last file, when what was given is not the table that was signed: do not use any of it
    before the end. Raises ManifestError or OSError at once for what cannot be read.
    """
    for entry in signed_entries(version, content):
        if entry.is_file:
            yield CardFile(entry.path, entry.size, entry.sha256, is_executable=entry.executable)


def signed_entries(version: Folder, content: str) -> Iterator[FileEntry]:
    """The lines of the table, links and empty folders too, as :func:`signed_table` gives its files."""
    hasher = blake3()
    with version.folder("data") as data:
        for entry in merge(_files(version, data), _unlisted(data), key=lambda entry: entry.path.encode()):
            hasher.update(entry.line())
            yield entry
    if hasher.hexdigest() != content:
        raise ManifestError("what lies beside its data does not give the table of files that was signed")


def _files(version: Folder, data: Folder) -> Iterator[FileEntry]:
    with version.regular(SHA256SUMS) as sha256:
        blake3_sums = _blake3_sums(version)
        for one in _sums(sha256):
            size, is_executable = _status(data, one.path)
            digest = next(blake3_sums, None) if blake3_sums is not None else _Sum(one.path, _hashed(data, one.path))
            if digest is None or digest.path != one.path:
                raise ManifestError(f"{SHA256SUMS} and {B3SUMS} do not name the same files")
            yield FileEntry(one.path, size, digest.digest, one.digest, is_executable)


def _blake3_sums(version: Folder) -> Iterator[_Sum] | None:
    """The lines of B3SUMS. None: an older receiver published the bundle, and wrote none."""
    try:
        file = version.regular(B3SUMS)
    except FileNotFoundError:
        return None
    return _closing(file)


def _closing(file: BinaryIO) -> Iterator[_Sum]:
    with file:
        yield from _sums(file)


def _sums(file: BinaryIO) -> Iterator[_Sum]:
    """The lines of a list as :func:`diode.bundle.checksums.sum_lines` writes it."""
    for _ in range(MAX_FILES + 1):
        line = file.readline(_LINE_BYTES)
        if not line:
            return
        yield _sum(line)
    raise ManifestError(f"more than {MAX_FILES} files are listed")


def _sum(line: bytes) -> _Sum:
    try:
        digest, name = line.decode().removesuffix("\n").split("  ", 1)
    except ValueError:
        raise ManifestError(f"line {line[:80]!r} names no file") from None
    if digest.startswith("\\"):
        digest, name = digest[1:], name.replace("\\\\", "\\")
    path = name.removeprefix(_DATA)
    check_path(path)
    if path == name or path.endswith("/"):
        raise ManifestError(f"line {line[:80]!r} names no file below {_DATA}")
    return _Sum(path, digest)


def _status(data: Folder, path: str) -> tuple[int, bool]:
    """Size of a file, and whether it is executable."""
    status = os.stat(path, dir_fd=data.fd, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        raise IntegrityError(f"{path!r} is no file any more")
    return status.st_size, bool(status.st_mode & stat.S_IXUSR)


def _hashed(data: Folder, path: str) -> str:
    hasher = blake3()
    with os.fdopen(data.beneath(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest()


def _unlisted(data: Folder) -> Iterator[FileEntry]:
    """Links, and folders with nothing in them, sorted as the table is: by the bytes of their paths."""
    found = []
    for root, folders, files, fd in os.fwalk(".", dir_fd=data.fd, onerror=_fail):
        above = root.removeprefix(".").removeprefix("/")
        if not folders and not files and above:
            found.append(FileEntry(f"{above}/"))
        for name in (*folders, *files):
            if stat.S_ISLNK(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                place = f"{above}/{name}" if above else name
                found.append(FileEntry(place, link=os.readlink(name, dir_fd=fd)))
        if len(found) > MAX_FILES:
            raise ManifestError(f"more than {MAX_FILES} links and empty folders")
    yield from sorted(found, key=lambda entry: entry.path.encode())


def _fail(error: OSError) -> None:
    raise error
