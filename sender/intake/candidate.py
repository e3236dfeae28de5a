"""An item as its checks see it. Every byte that a check reads is proven to be what was hashed, and so what is signed.

The times and the size of a file prove nothing: somebody who has mapped the file for writing can change its bytes, and
on tmpfs that changes neither.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Final

from diode.bundle.files import FileEntry
from diode.process.proven import prove
from diode.process.turns import Turn
from sender.intake.verdict import Input, Reason, RefusedError, Sbom
from sender.outbox.hashing import PIECE_BYTES, Content
from sender.outbox.scan import Source, fingerprint

CHUNK_BYTES: Final = 1 << 20


class StoppedError(Exception):
    """Nobody waits for the verdict any more. Checks must let this error pass, and not take it for an answer."""


@dataclass(slots=True)
class Progress:
    """How far the work on an item is. Its thread writes this. Another reads it, and may end the work by ``is_stopped``.

    With a ``turn``, the work stops at each step as long as something more urgent is at work.
    """

    check: str = ""
    done: int = 0  # bytes
    total: int = 0  # bytes; 0: not known
    is_stopped: bool = False
    turn: Turn | None = None
    held_s: float = 0.0  # for how long the work was stopped so far
    is_held: bool = False
    _goes_on: bool = False

    def begin(self, check: str, total: int) -> None:
        """A check begins, which may read ``total`` bytes."""
        self.check, self.done, self.total = check, 0, total

    def tick(self, count: int = 0) -> None:
        """Note that ``count`` more bytes were read. Checks call it at least four times a second.

        It returns late when something more urgent is at work. Raises StoppedError when the work shall end.
        """
        self.done += count
        if self.turn is not None and self.turn.is_held and not self._goes_on:
            self.is_held = True
            self.held_s += self.turn.wait(lambda: self.is_stopped)
            self.is_held = False
        if self.is_stopped:
            raise StoppedError

    def clock(self) -> float:
        """Seconds of a clock that stands still while the work is stopped: limits of time are counted by it."""
        return time.monotonic() - self.held_s

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Within this, ticks never wait: another program is being talked to, which has a clock of its own."""
        before, self._goes_on = self._goes_on, True
        try:
            yield
        finally:
            self._goes_on = before

    def stand_aside(self) -> bool:
        """Let less urgent work go on until some of it ends. False: there is none. Raises StoppedError."""
        is_another = self.turn is not None and self.turn.stand_aside(lambda: self.is_stopped)
        self.tick()
        return is_another


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
    """An item that was hashed and is being checked, and what its checks have found so far."""

    channel: str
    name: str
    version: str
    content_digest: str
    files: dict[str, CandidateFile]
    progress: Progress
    ours: frozenset[str] = frozenset()  # files that this side made itself: no vendor can have signed them
    inputs: list[Input] = field(default_factory=list)
    sboms: list[Sbom] = field(default_factory=list)
    inside: Counter[str] = field(default_factory=Counter)  # kinds of files in its archives, as far as these were opened
    aliases: dict[str, CandidateFile] = field(default_factory=dict)  # files by the paths of links to them
    copied_to: Path | None = None  # the folder of the private copy, once there is one

    @property
    def size(self) -> int:
        """The size of all files together, in bytes."""
        return sum(file.size for file in self.files.values())

    @property
    def by_name(self) -> dict[str, CandidateFile]:
        """Each file under each of its names: a loader may find it by that of a link."""
        return {**self.files, **self.aliases}

    @contextmanager
    def open(self, file: CandidateFile) -> Iterator[BinaryIO]:
        """Open a file to be read from any offset. Each read calls :meth:`Progress.tick`.

        Raises RefusedError when what is read is not what was hashed.
        """
        with self.open_raw(file) as raw:
            yield self.prove(file, raw)

    @contextmanager
    def open_raw(self, file: CandidateFile) -> Iterator[BinaryIO]:
        """Open the file at its own place. Only its inode, size and times are compared, not its bytes."""
        try:
            with file.source.open() as raw:
                self._check(file, os.fstat(raw.fileno()))
                yield raw
                self._check(file, os.fstat(raw.fileno()))
        except OSError as error:
            raise RefusedError(Reason.UNREADABLE, f"{file.path!r} cannot be read: {error.strerror}") from error

    def prove(self, file: CandidateFile, raw: BinaryIO) -> BinaryIO:
        """Wrap ``raw``, which claims to be ``file``. A read raises RefusedError for bytes that were not hashed."""

        def changed() -> RefusedError:
            return RefusedError(Reason.CHANGED, f"{file.path!r} is not what was hashed any more")

        return prove(raw, file.size, file.pieces, PIECE_BYTES, changed, self.progress.tick)

    def place(self, file: CandidateFile) -> str:
        """The path by which another program opens the file: in the private copy, once there is one."""
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
        """All bytes of a file, piece by piece. A piece is valid until the next one is asked for."""
        buffer = memoryview(bytearray(CHUNK_BYTES))
        with self.open(file) as opened:
            while count := opened.readinto(buffer):  # type: ignore[attr-defined]  # a buffered file
                yield buffer[:count]

    def rely_on(self, file: CandidateFile) -> None:
        """Remember that a check relied on this file, such as a signature: the verdict names it as an input."""
        self.inputs.append(Input(file.path, file.entry.sha256))

    def prove_unchanged(self) -> None:
        """Raise RefusedError when the inode, size or times of any file have changed since it was hashed."""
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
    channel: str,
    name: str,
    version: str,
    sources: Sequence[Source],
    content: Content,
    progress: Progress,
    ours: frozenset[str] = frozenset(),
) -> Candidate:
    """Make a candidate of the hashed files. Empty directories are left out: they hold nothing to check.

    ``ours``: the paths of files that this side made.
    """
    files = {}
    for source, entry, stat in zip(sources, content.entries, content.stats, strict=True):
        if entry.is_file:
            pieces = content.pieces.get(entry.path) or bytes.fromhex(entry.blake3)
            files[entry.path] = CandidateFile(entry, source, tuple(stat.tolist()), pieces)
    aliases = {}
    for entry in content.entries:
        if (file := files.get(target_of(entry))) is not None:
            aliases[entry.path] = replace(file, entry=replace(file.entry, path=entry.path))
    return Candidate(channel, name, version, content.content_digest, files, progress, ours, aliases=aliases)


def target_of(entry: FileEntry) -> str:
    """The path that a link leads to, which was resolved before; empty for what is no link."""
    return os.path.normpath(os.path.join(os.path.dirname(entry.path), entry.link)) if entry.link else ""
