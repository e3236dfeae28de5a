"""An item as its checks see it: whatever they read of a file is proven to be what was hashed, and so what is signed.

A file's times and size prove nothing: who has mapped it for writing changes its bytes and, on tmpfs, nothing else.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from diode.bundle.files import FileEntry
from diode.process.proven import prove
from sender.intake.verdict import Input, Reason, RefusedError, Sbom
from sender.outbox.hashing import PIECE_BYTES, Content
from sender.outbox.scan import Source, fingerprint

CHUNK_BYTES: Final = 1 << 20


class StoppedError(Exception):
    """Nobody waits for the verdict any more. No check may take it for an answer."""


@dataclass(slots=True)
class Progress:
    """How far the checks are: written by their thread, read by another one, which may stop them."""

    check: str = ""
    done: int = 0  # bytes
    is_stopped: bool = False

    def tick(self, count: int = 0) -> None:
        """``count`` more bytes. To be called at least four times a second. Raises StoppedError."""
        if self.is_stopped:
            raise StoppedError
        self.done += count


@dataclass(frozen=True, slots=True)
class CandidateFile:
    """One file, and how it looked when it was hashed."""

    entry: FileEntry
    source: Source
    stat: tuple[int, ...]
    pieces: bytes  # digests of its pieces

    @property
    def origin(self) -> str:
        """Where it lies, for messages and for programs that take paths."""
        return self.source.origin

    @property
    def path(self) -> str:
        """Within the item."""
        return self.entry.path

    @property
    def size(self) -> int:
        """In bytes."""
        return self.entry.size


@dataclass(slots=True)
class Candidate:
    """An item, hashed, that asks to be taken; and what its checks have found so far."""

    channel: str
    name: str
    version: str
    content_digest: str
    files: dict[str, CandidateFile]
    progress: Progress
    inputs: list[Input] = field(default_factory=list)
    sboms: list[Sbom] = field(default_factory=list)
    inside: Counter[str] = field(default_factory=Counter)  # kinds of what its archives hold, from those looked into
    copied_to: Path | None = None  # where the files lie that nobody else can write

    @property
    def size(self) -> int:
        """Of all files, in bytes."""
        return sum(file.size for file in self.files.values())

    @contextmanager
    def open(self, file: CandidateFile) -> Iterator[BinaryIO]:
        """Read a file, from any offset; reading ticks. Raises RefusedError unless what is read is what was hashed."""
        with self.open_raw(file) as raw:
            yield self.prove(file, raw)

    @contextmanager
    def open_raw(self, file: CandidateFile) -> Iterator[BinaryIO]:
        """The file where it lies, which nothing is proven of but its inode, size and times."""
        try:
            with file.source.open() as raw:
                self._check(file, os.fstat(raw.fileno()))
                yield raw
                self._check(file, os.fstat(raw.fileno()))
        except OSError as error:
            raise RefusedError(Reason.UNREADABLE, f"{file.path!r} cannot be read: {error.strerror}") from error

    def prove(self, file: CandidateFile, raw: BinaryIO) -> BinaryIO:
        """Read ``raw``, which claims to be ``file``. Its reads raise RefusedError for what was not hashed."""

        def changed() -> RefusedError:
            return RefusedError(Reason.CHANGED, f"{file.path!r} is not what was hashed any more")

        return prove(raw, file.size, file.pieces, PIECE_BYTES, changed, self.progress.tick)

    def place(self, file: CandidateFile) -> str:
        """Where a program finds the file: in the copy, once there is one."""
        return file.origin if self.copied_to is None else str(self.copied_to / file.path)

    def read(self, file: CandidateFile, most: int) -> bytes:
        """A whole small file. Raises RefusedError, for more than ``most`` bytes too."""
        if file.size > most:
            raise RefusedError(
                Reason.SIGNATURE_MALFORMED, f"{file.path!r} has {file.size} bytes; no such file has more than {most}"
            )
        with self.open(file) as opened:
            return opened.read(most + 1)

    def chunks(self, file: CandidateFile) -> Iterator[memoryview]:
        """All of a file in pieces; each is valid until the next is asked for."""
        buffer = memoryview(bytearray(CHUNK_BYTES))
        with self.open(file) as opened:
            while count := opened.readinto(buffer):  # type: ignore[attr-defined]  # a buffered file
                yield buffer[:count]

    def rely_on(self, file: CandidateFile) -> None:
        """Remember a paper that a check's word rests on."""
        self.inputs.append(Input(file.path, file.entry.sha256))

    def prove_unchanged(self) -> None:
        """Raise RefusedError when any file is not what was hashed any more."""
        for number, file in enumerate(self.files.values()):
            if number % 1024 == 0:
                self.progress.tick()
            try:
                status = file.source.status()
            except OSError as error:
                raise RefusedError(Reason.CHANGED, f"{file.path!r} is gone: {error.strerror}") from error
            self._check(file, status)

    @staticmethod
    def _check(file: CandidateFile, status: os.stat_result) -> None:
        if fingerprint(status) != file.stat:
            raise RefusedError(Reason.CHANGED, f"{file.path!r} changed after it was hashed")


def make_candidate(
    channel: str, name: str, version: str, sources: Sequence[Source], content: Content, progress: Progress
) -> Candidate:
    """What was hashed, as a candidate. Empty directories hold nothing to check."""
    files = {}
    for source, entry, stat in zip(sources, content.entries, content.stats, strict=True):
        if not entry.is_directory:
            pieces = content.pieces.get(entry.path) or bytes.fromhex(entry.blake3)
            files[entry.path] = CandidateFile(entry, source, tuple(stat.tolist()), pieces)
    return Candidate(channel, name, version, content.content_digest, files, progress)
