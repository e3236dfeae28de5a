"""Reads every file of an item once, and hashes it: as a whole, by slab of the stream, and by piece of the file."""

import hashlib
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import numpy as np
from blake3 import blake3

from diode.bundle.files import FileEntry
from diode.bundle.manifest import MAX_TABLE_BYTES
from diode.errors import LimitError, SourceError
from diode.formats.digest import digest
from diode.process.proven import fill
from sender.outbox.scan import Source, fingerprint

PIECE_BYTES: Final = 1 << 20  # read at once; each piece has a digest of its own, for the checks of intake
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Content:
    """The results of hashing: the lines of the files table, the digests of slabs, and what the files looked like.

    ``pieces`` has, by path, the BLAKE3 digests of each PIECE_BYTES of a file that has more than that. By these, a check
    that reads a part of a file can prove that this part was hashed.
    """

    entries: list[FileEntry]
    slabs: bytes
    stats: "np.ndarray[tuple[int, int], np.dtype[np.int64]]"
    files: bytes
    pieces: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def links(self) -> int:
        """How many links are in it."""
        return sum(entry.link is not None for entry in self.entries)

    @property
    def content_digest(self) -> str:
        """BLAKE3 of the files table: equal for equal content."""
        return digest(self.files).hex()


class _SlabHasher:
    """BLAKE3 of each slab of a stream that is fed in pieces of any length."""

    def __init__(self, slab_bytes: int) -> None:
        self._slab_bytes = slab_bytes
        self._room = slab_bytes
        self._hasher = blake3()
        self.digests = bytearray()

    def update(self, data: memoryview) -> None:
        while len(data) >= self._room:
            self._hasher.update(data[: self._room])
            data = data[self._room :]
            self._close()
        self._hasher.update(data)
        self._room -= len(data)

    def finish(self) -> bytes:
        if self._room < self._slab_bytes:
            self._close()
        return bytes(self.digests)

    def _close(self) -> None:
        self.digests += self._hasher.digest()
        self._hasher, self._room = blake3(), self._slab_bytes


def hash_content(sources: Sequence[Source], slab_bytes: int, progress: Progress = lambda _: None) -> Content:
    """Read every file once: BLAKE3 and SHA-256 of each, BLAKE3 of each slab. Raises SourceError when a file changes."""
    slabs = _SlabHasher(slab_bytes)
    entries: list[FileEntry] = []
    stats = np.zeros((len(sources), 4), dtype=np.int64)
    pieces: dict[str, bytes] = {}
    buffer = memoryview(bytearray(PIECE_BYTES))
    for i, source in enumerate(sources):
        if not source.is_file:
            entries.append(FileEntry(source.path, link=source.link))
            continue
        try:
            with source.open() as file:
                entry, stats[i], digests = _hash_file(file, source, slabs, buffer, progress)
        except OSError as error:
            raise SourceError(f"{source.origin!r} cannot be read: {error.strerror}") from error
        entries.append(entry)
        if entry.size > PIECE_BYTES:
            pieces[entry.path] = digests
    files = b"".join(entry.line() for entry in entries)
    if len(files) > MAX_TABLE_BYTES:
        raise LimitError(f"the files table has {len(files)} bytes, more than {MAX_TABLE_BYTES}")
    return Content(entries, slabs.finish(), stats, files, pieces)


def bytes_again(sources: Sequence[Source], content: Content) -> int:
    """Bytes of the stream that repeat others: links gave a file several paths, and each is sent as a whole file."""
    sizes = {source.origin: entry.size for source, entry in zip(sources, content.entries, strict=True)}
    return sum(entry.size for entry in content.entries) - sum(sizes.values())


def _check_unchanged(source: Source, before: os.stat_result, now: os.stat_result) -> None:
    """Raise SourceError for a file that was removed, moved or written since."""
    if before.st_nlink and not now.st_nlink:
        raise SourceError(f"{source.origin!r} was removed while it was hashed")
    if fingerprint(before) != fingerprint(now):
        raise SourceError(f"{source.origin!r} changed while it was hashed")


def _hash_file(
    file: BinaryIO, source: Source, slabs: _SlabHasher, buffer: memoryview, progress: Progress
) -> tuple[FileEntry, tuple[int, int, int, int], bytes]:
    before = os.fstat(file.fileno())
    if not stat.S_ISREG(before.st_mode):
        raise SourceError(f"{source.origin!r} is no longer a file")
    if not source.is_as_found(before):
        raise SourceError(f"{source.origin!r} changed after it was found")
    ours, theirs, size, pieces = blake3(), hashlib.sha256(), 0, bytearray()
    while size <= before.st_size and (count := fill(file, buffer)):
        chunk = buffer[:count]
        if before.st_size > PIECE_BYTES:
            pieces += digest(chunk)
        ours.update(chunk)
        theirs.update(chunk)
        slabs.update(chunk)
        size += count
        progress(count)
        _check_unchanged(source, before, os.fstat(file.fileno()))  # here: the rest may take an hour
    after = os.fstat(file.fileno())
    _check_unchanged(source, before, after)
    if size != after.st_size:
        raise SourceError(f"{source.origin!r} changed while it was hashed")
    executable = bool(before.st_mode & stat.S_IXUSR)
    entry = FileEntry(source.path, size, ours.hexdigest(), theirs.hexdigest(), executable)
    return entry, fingerprint(after), bytes(pieces)
