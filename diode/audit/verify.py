"""Verifies and reads audit logs, line by line in bounded memory. Errors name file and line of the first fault."""

import fcntl
import os
import re
from base64 import b64decode
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from diode.audit.chain import GENESIS, MAX_LINE_BYTES, Chain, Entry, LogCheckpoint, Side, What, read_line
from diode.audit.segments import segment_number, segments
from diode.errors import IntegrityError, SignatureError, UsageError
from diode.storage.rollback_guard import RollbackGuard

MOST_REPAIRS: int = 100  # that are named
_TRUST: Final = re.compile(r"trust document ([0-9]{1,7}), of this digest.*")


class Line(NamedTuple):
    """A line without its newline, and the file and line number at which it stands."""

    path: Path
    number: int
    text: bytes

    @property
    def place(self) -> str:
        """File and line number, as messages show them."""
        return f"{self.path}:{self.number}"


class Verified(NamedTuple):
    """The result for a log without faults: its first and last entry, whose log it is, and which repairs it records."""

    side: Side | None
    first: int
    head: LogCheckpoint
    files: int
    heads: int  # that the other side heard of it, and that are in it
    repairs: list[Entry]


def verify(
    path: Path,
    keys: Sequence[Ed25519PublicKey],
    heads: dict[int, set[str]] | None = None,
    guarded: LogCheckpoint | None = None,
) -> Verified:
    """Check numbers and the chain, and, when ``keys`` are given, that one of them signed each line.

    ``heads`` are checkpoints that the other side heard: digests by number. Each must be in the log. ``guarded`` are the
    checkpoints that this side's rollback guard knows, and must be in the log as well. Raises IntegrityError or
    SignatureError at the first line that is wrong, and UsageError when ``path`` is no log.
    """
    files = log_files(path, may_be_empty=guarded is not None)
    wanted = {n: set(hashes) for n, hashes in (heads or {}).items()}
    chain: Chain | None = None
    first, repairs = 1, list[Entry]()
    for line in lines_of(files):
        try:
            if chain is None:
                chain, first = _begin(line.text, is_whole=path.is_dir())
            entry = chain.take(line.text)
        except IntegrityError as error:
            raise IntegrityError(f"{line.place}: {error}") from None
        if keys and not is_signed(entry, keys):
            raise SignatureError(
                f"{line.place}: entry {entry.n} {'is not signed' if not entry.sig else 'has a wrong signature'}"
            )
        if entry.what is What.REPAIRED and len(repairs) < MOST_REPAIRS:
            repairs.append(entry)
        if entry.n in wanted and wanted.pop(entry.n) != {chain.head.hash}:
            raise IntegrityError(
                f"{line.place}: the other side heard of another entry {entry.n}: this log was rewritten"
            )
        _check_guarded(line, chain.head, guarded)
    head = chain.head if chain else LogCheckpoint(0, GENESIS)
    if guarded is not None and head.n < guarded.n:
        raise IntegrityError(
            f"{path}: ends with entry {head.n}; the rollback guard knows of entry {guarded.n}: the end was cut off"
        )
    if chain is None:
        raise IntegrityError(f"{path}: holds no entry; a log that was begun has one: it was emptied")
    if missing := [n for n in wanted if n >= first]:
        raise IntegrityError(
            f"{files[-1]}: ends with entry {head.n}; the other side heard of entry {max(missing)}: the end was cut off"
        )
    return Verified(chain.side, first, head, len(files), len(heads or {}) - len(wanted), repairs)


def checkpoints_heard(path: Path) -> dict[int, set[str]]:
    """Checkpoints of the sender that a receiver's log records: digests by number.

    Raises as :func:`verify` without keys.
    """
    heard: dict[int, set[str]] = {}
    for entry in entries_of(path):
        if entry.what in (What.PEER_HEAD, What.PEER_BACKWARDS) and entry.head is not None:
            heard.setdefault(entry.head[0], set()).add(entry.head[1])
    return heard


def trust_taken(path: Path) -> dict[int, set[str]]:
    """Trust documents that a log records as installed: digests by version.

    Empty when it records none, or there is no log.

    Entries of older versions carry another digest or none, and are left out. Raises IntegrityError.
    """
    taken: dict[int, set[str]] = {}
    if not path.is_dir() or not segments(path):
        return taken
    for entry in entries_of(path):
        found = _TRUST.fullmatch(entry.detail or "")
        if entry.what is What.TRUST_CHANGED and found and entry.digest:
            taken.setdefault(int(found[1]), set()).add(entry.digest)
    return taken


def entries_of(path: Path) -> Iterator[Entry]:
    """All entries of a log in order. Raises IntegrityError at the first that does not follow the one before."""
    for _, entry in chained(path):
        yield entry


def newest_entries(path: Path, count: int) -> list[Entry]:
    """The newest entries, at most ``count``, read from as few segments as possible. Raises as :func:`entries_of`."""
    files = log_files(path)
    first, found = len(files), 0
    while first and found < count:
        first -= 1
        found += sum(1 for _ in lines_of(files[first : first + 1]))
    return [entry for _, entry in deque(_follow(files[first:], is_whole=path.is_dir() and not first), count)]


def chained(path: Path) -> Iterator[tuple[Line, Entry]]:
    """Each line with its entry. Raises IntegrityError at the first that does not follow the one before."""
    return _follow(log_files(path), is_whole=path.is_dir())


def guarded_checkpoint(guard: Path) -> LogCheckpoint | None:
    """The last entry of the audit log that a rollback guard recorded. Raises UsageError, ReplayError."""
    checkpoint = RollbackGuard(guard, "diode-sender").read()
    if checkpoint is None:
        raise UsageError(f"there is no rollback guard {guard}; see 'anchor' in the configuration")
    return LogCheckpoint(*checkpoint.audit) if checkpoint.audit else None


def log_files(path: Path, *, may_be_empty: bool = False) -> list[Path]:
    """The files of a log: ``path`` itself, or all segments in the folder ``path``. Raises UsageError, IntegrityError.

    With ``may_be_empty``, an empty or missing folder counts as a log whose entries were all removed.
    """
    if not path.is_dir():
        return [] if may_be_empty and not path.exists() else [path]
    try:
        found = segments(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if not found and not may_be_empty:
        raise UsageError(f"{path} holds no audit log: there is no audit-*.jsonl in it")
    for expected, file in enumerate(found, 1):
        if segment_number(file) != expected:
            raise IntegrityError(f"{path}: segment {expected} is missing")
    return found


def lines_of(files: Iterable[Path]) -> Iterator[Line]:
    """All lines. Raises IntegrityError at one that is too long or torn, UsageError for a file that cannot be read."""
    for path in files:
        try:
            with path.open("rb") as file:
                number = 0
                while text := file.readline(MAX_LINE_BYTES + 1):
                    number += 1
                    if not text.endswith(b"\n") and file.seekable():
                        text = _read_at_rest(file, len(text), path.parent)
                    if not text.endswith(b"\n"):
                        why = f"longer than {MAX_LINE_BYTES} bytes" if len(text) > MAX_LINE_BYTES else "torn"
                        raise IntegrityError(f"{path}:{number}: the line is {why}")
                    yield Line(path, number, text[:-1])
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def read_service_keys(paths: Iterable[Path]) -> list[Ed25519PublicKey]:
    """Read public service keys from their files. Raises UsageError."""
    from diode.formats.dsse import parse_public_key

    keys = []
    for path in paths:
        try:
            key = parse_public_key(path.read_bytes())
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} is no public key in PEM: {error}") from error
        if not isinstance(key, Ed25519PublicKey):
            raise UsageError(f"{path} is no Ed25519 public key, which service keys are")
        keys.append(key)
    return keys


def is_signed(entry: Entry, keys: Iterable[Ed25519PublicKey]) -> bool:
    """Whether one of ``keys`` signed an entry."""
    if entry.sig is None:
        return False
    signature, signed = b64decode(entry.sig), entry.signed
    for key in keys:
        try:
            key.verify(signature, signed)
        except InvalidSignature:
            continue
        return True
    return False


def _check_guarded(line: Line, head: LogCheckpoint, guarded: LogCheckpoint | None) -> None:
    """Raise IntegrityError when the entry at ``line`` has the number of ``guarded``, and is another one."""
    if guarded is not None and head.n == guarded.n and head != guarded:
        raise IntegrityError(f"{line.place}: the rollback guard knows of another entry {head.n}: this log was replaced")


def _follow(files: Sequence[Path], *, is_whole: bool) -> Iterator[tuple[Line, Entry]]:
    chain: Chain | None = None
    for line in lines_of(files):
        try:
            if chain is None:
                chain, _ = _begin(line.text, is_whole=is_whole)
            yield line, chain.take(line.text)
        except IntegrityError as error:
            raise IntegrityError(f"{line.place}: {error}") from None


def _read_at_rest(file: BinaryIO, count: int, folder: Path) -> bytes:
    """The line of which ``count`` bytes were read, once nobody is in the middle of writing it."""
    with suppress(OSError):  # a folder that cannot be opened, or that knows no locks, has no writer that we could meet
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)
        finally:
            os.close(fd)
    file.seek(-count, os.SEEK_CUR)
    return file.readline(MAX_LINE_BYTES + 1)


def _begin(line: bytes, *, is_whole: bool) -> tuple[Chain, int]:
    """Where a chain begins: at its first entry, unless only a later part of it exists."""
    if is_whole:
        return Chain(), 1
    entry = read_line(line)
    return Chain(LogCheckpoint(entry.n - 1, entry.prev)), entry.n
