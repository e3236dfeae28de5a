"""Writes the audit log: a folder of segments, to which several processes append one line for each decision.

A line is on the disk before its decision takes effect. After a crash in between, the decision is taken again and a
second line records it. To append, a process takes the lock of the folder, finds the end of the chain
(:mod:`diode.audit.segments`), and writes once. A power loss may leave an incomplete line. Its bytes are moved to a file
of their own, and an entry records that.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from diode.audit.chain import FACTS, Entry, LogCheckpoint, Side, What, bounded, line_hash, write_line
from diode.audit.facts import unix_user
from diode.audit.segments import (
    Mark,
    Tail,
    check_segments,
    ends_with,
    find_tail,
    line_of,
    segment_number,
    segment_path,
    segments,
    state_of_segment,
)
from diode.errors import ReplayError, StorageError
from diode.formats.digest import digest
from diode.formats.names import MAX_SEQUENCE
from diode.formats.timestamps import now_utc
from diode.log import log
from diode.storage.durable import disk_error, sync_folder, write_durably
from diode.trust.keys import maybe_read_service_key

if TYPE_CHECKING:  # who reads audit logs waits for no library that signs
    from diode.formats.signers import Signer

SEGMENT_BYTES: Final = 16 << 20  # from then on the next entry begins another segment
MOST_AT_ONCE: Final = 16  # entries of one write


Decision = tuple[What, Mapping[str, Any]]


class AuditLog:
    """The log of one side. Any number of processes may have it open; no descriptor is kept.

    Each object remembers the last entry that it saw. If that entry is gone, every later append fails, so that no
    further decision is taken without a complete log.
    """

    def __init__(
        self,
        folder: Path,
        side: Side,
        signer: "Signer | None",
        *,
        segment_bytes: int = SEGMENT_BYTES,
        is_made: bool = True,
    ) -> None:
        """Make ``folder`` if it is not there, unless ``is_made`` is false: then that is an empty log. StorageError."""
        self.folder = folder
        self._side = side
        self._signer = signer
        self._segment_bytes = segment_bytes
        self._who = unix_user()
        self._seen: tuple[tuple[Path, int, int, int], LogCheckpoint] | None = None
        self._unsaid: tuple[Path, int, int] | None = None  # entries that do not stand, and could not be cut off
        self._mark: Mark | None = None
        try:
            if is_made and not folder.is_dir():
                folder.mkdir(parents=True, mode=0o700, exist_ok=True)
                sync_folder(folder.parent)
        except OSError as error:
            raise disk_error(error, "the audit log cannot be made", "nothing was done") from error

    def append(self, what: What, **facts: Any) -> None:
        """Write one decision, durably. ``facts`` are fields of :class:`diode.audit.chain.Entry`; texts are cut to size.

        ``who`` is this process's user unless it is given. Raises StorageError: then the decision must not take effect.
        """
        self.append_all([(what, facts)])

    def append_all(self, decisions: Sequence[Decision]) -> None:
        """Write several decisions at once, durably, like :meth:`append`."""
        try:
            with self._locked(fcntl.LOCK_EX):
                self._append(decisions)
        except OSError as error:
            raise disk_error(error, "the audit log cannot be written", "nothing was decided") from error

    def head(self) -> LogCheckpoint | None:
        """The last entry, after a sync, so that a checkpoint that is told to others is on the disk.

        Raises StorageError.
        """
        try:
            with self._locked(fcntl.LOCK_EX if self._unsaid else fcntl.LOCK_SH):
                self._take_back()
                newest = segments(self.folder)[-1:]
                if newest and self._seen is not None and self._seen[0] == state_of_segment(newest[0]):
                    return self._seen[1]
                tail = self._find_tail()
                if tail.head.n == 0:
                    return None
                key = state_of_segment(tail.path)
                _sync(tail.path)
                self._seen = key, tail.head
                return tail.head
        except OSError as error:
            if self._mark is None and not self.folder.exists():
                return None
            raise disk_error(error, "the audit log cannot be read", "nothing was changed") from error

    def check_holds(self, n: int, digest: str) -> None:
        """Raise ReplayError unless entry ``n`` is there with this digest, IntegrityError unless segments are a chain.

        What lies within the segments before and after it is not read: ``diode audit verify`` does that.
        """
        try:
            with self._locked(fcntl.LOCK_SH):
                paths = segments(self.folder)
                check_segments(paths)
                line = line_of(paths, n)
        except FileNotFoundError:
            line = None
        except OSError as error:
            raise disk_error(error, "the audit log cannot be read", "nothing was changed") from error
        if line is None:
            raise ReplayError(f"audit log {self.folder} was cut: entry {n} is not in it any more")
        if line_hash(line) != digest:
            raise ReplayError(f"audit log {self.folder} was replaced: its entry {n} is another one")

    def _append(self, decisions: Sequence[Decision]) -> None:
        self._take_back()
        tail = self._find_tail()
        path, end, head = tail.path, tail.end, tail.head
        if head.n > MAX_SEQUENCE - MOST_AT_ONCE:
            raise StorageError(f"{path} ends with entry {head.n}, which nobody wrote: the audit log is damaged")
        if tail.torn:
            decisions = [self._set_aside(tail), *decisions]
        elif end >= self._segment_bytes:
            path, end = segment_path(self.folder, segment_number(path) + 1), 0
        lines = []
        for what, facts in decisions:
            line = write_line(self._entry(head, what, facts), self._signer)
            head = LogCheckpoint(head.n + 1, line_hash(line))
            lines.append(line + b"\n")
        data = b"".join(lines)
        self._write(path, end, data, was_torn=bool(tail.torn))
        self._mark = Mark(path, end + len(data), head)
        self._seen = state_of_segment(path), head  # it is synced: nobody else writes while this holds the lock

    def _entry(self, head: LogCheckpoint, what: What, facts: Mapping[str, Any]) -> Entry:
        texts = {
            name: bounded(value, FACTS[name]) if name in FACTS else value for name, value in facts.items() if value
        }
        fields = {
            "n": head.n + 1,
            "at": now_utc(),
            "side": self._side,
            "who": self._who,
            "what": what,
            "prev": head.hash,
        }
        return Entry.model_validate(fields | texts)

    def _set_aside(self, tail: Tail) -> Decision:
        """Keep torn bytes in a file of their own, before anything is written over them."""
        kept = self.folder / f"torn-{tail.head.n + 1:09d}.bin"
        write_durably(kept, tail.torn)
        detail = f"{len(tail.torn)} bytes that follow entry {tail.head.n} are no entry; they are kept in {kept.name}"
        return What.REPAIRED, {"detail": detail, "digest": digest(tail.torn).hex()}

    def _write(self, path: Path, end: int, data: bytes, *, was_torn: bool) -> None:
        """Put ``data`` at ``end``, durably. Torn bytes are written over, then cut off: never without a word."""
        is_new = end == 0  # or nobody knows whether its name is durable
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            rest, at = memoryview(data), end
            while rest:
                count = os.pwrite(fd, rest, at)
                rest, at = rest[count:], at + count
            if was_torn:
                os.ftruncate(fd, at)
            os.fdatasync(fd)
            if is_new:
                _give_away(fd, self.folder)
                sync_folder(self.folder)
        except OSError:
            if not was_torn:  # the decision does not stand, so neither does its entry
                self._unsaid = path, end, os.fstat(fd).st_size
                with suppress(OSError):
                    self._cut(fd, end)
            raise
        finally:
            os.close(fd)

    def _take_back(self) -> None:
        """Cut off what a failed write left before anything else is written: a later sync would not report it."""
        if self._unsaid is None:
            return
        path, end, size = self._unsaid
        if not path.exists() or path.stat().st_size != size:  # another process went on from there
            self._unsaid = None
            return
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            self._cut(fd, end)
        finally:
            os.close(fd)

    def _cut(self, fd: int, end: int) -> None:
        os.ftruncate(fd, end)
        self._unsaid = None

    def _find_tail(self) -> Tail:
        """Find where the chain ends. Raises StorageError when the last bytes are not the end of a chain."""
        self._check_mark()
        tail = find_tail(self.folder)
        if tail.end:
            self._mark = Mark(tail.path, tail.end, tail.head)
        return tail

    def _check_mark(self) -> None:
        """Raise StorageError unless what was the last entry before is where it was."""
        mark = self._mark
        if mark is None or ends_with(mark):
            return
        raise StorageError(
            f"the audit log {self.folder} was cut or replaced while in use: entry {mark.head.n} is no longer there;"
            " nothing is decided without it. Put it back, and start again"
        )

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, how)
            yield
        finally:
            os.close(fd)


def open_log(folder: Path, key: Path, side: Side) -> AuditLog:
    """The log of one side; without a service key it is not signed, and a warning says so."""
    signer = maybe_read_service_key(key)
    if signer is None:
        do = f"diode keys service {key}"
        log.warning("service_key_missing", key=str(key), consequence="the audit log is not signed", do=do)
    return AuditLog(folder, side, signer)


def _give_away(fd: int, folder: Path) -> None:
    """Give a segment that a command of root's has begun to the daemon's user, who owns the folder."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(fd, owner.st_uid, owner.st_gid)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(fd)
    finally:
        os.close(fd)
