"""SQLite as both ledgers use it: WAL mode, one statement at a time, and a failing disk said in one line.

Each ledger has an identity, drawn when it is made, and counts its decisions (triggers of its schema do); an anchor
follows them.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar, Final, Literal, NamedTuple, TypeVar

import structlog

from diode.anchor import Anchor, Standing
from diode.durable import disk_error, sync_folder
from diode.errors import FullError, StorageError, UsageError

Side = Literal["sender", "receiver"]
Synchronous = Literal["FULL", "NORMAL"]
LEDGER_FILE: Final = "ledger.db"

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS ledger (
    one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, side TEXT NOT NULL, decisions INTEGER NOT NULL
) STRICT;
INSERT OR IGNORE INTO ledger VALUES (1, lower(hex(randomblob(16))), '{side}', 0);
"""


log = structlog.get_logger()


class Identity(NamedTuple):
    """Which ledger this is."""

    id: str
    side: str
    decisions: int


class Database:
    """Base of the ledgers. ``synchronous``: FULL makes every commit durable before it returns, NORMAL the next few.

    Both schemas have ``channel (name, sequence, ...)`` with the last numbers and ``heartbeat (epoch, ...)``.
    """

    side: ClassVar[Side]
    _in_copies: ClassVar[str] = ""  # what makes a copy true: not all that a ledger says holds elsewhere

    def __init__(
        self,
        path: Path,
        schema: str,
        synchronous: Synchronous,
        *,
        read_only: bool,
        anchor: Anchor | None = None,
    ) -> None:
        self.path = path
        self._anchor = anchor
        self._synchronous = synchronous
        try:
            if not read_only:
                path.parent.mkdir(parents=True, exist_ok=True)
            uri = f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}"
            self._db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            if not read_only:
                self._execute("PRAGMA journal_mode = WAL")
                self._execute("PRAGMA temp_store = MEMORY")  # its process may write nowhere but beside the ledger
                self._execute(f"PRAGMA synchronous = {synchronous}")
                self._db.executescript(_SCHEMA.format(side=self.side) + schema)
        except sqlite3.DatabaseError as error:
            raise self._failure(error) from error
        except OSError as error:
            raise StorageError(f"{path} cannot be used: {error.strerror}") from error

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def identity(self) -> Identity:
        """Which ledger this is, and how many decisions it took."""
        row = self._execute("SELECT id, side, decisions FROM ledger").fetchone()
        if row is None:
            raise StorageError(f"{self.path} is no ledger")
        return Identity(*row)

    def standing(self) -> Standing:
        """What an anchor says of it."""
        identity = self.identity()
        epoch = self._execute("SELECT max(epoch) FROM heartbeat").fetchone()[0]
        channels = dict(self._execute("SELECT name, sequence FROM channel").fetchall())
        return Standing(ledger=identity.id, decisions=identity.decisions, channels=channels, epoch=epoch or 0)

    def keep_anchor(self) -> None:
        """Let the anchor follow. Only after a decision is durable, and before anybody can see what was decided."""
        if self._anchor is not None:
            self._anchor.write(self.standing())

    def is_sound(self) -> bool:
        """Whether SQLite finds nothing wrong with the file; reads all of it."""
        return bool(self._execute("PRAGMA quick_check(1)").fetchone() == ("ok",))

    def copy_to(self, path: Path) -> None:
        """Write a consistent copy as one new file, durably; others may go on writing meanwhile. Raises StorageError."""
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as copy:
                self._db.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, which read-only media can hold
                if self._in_copies:
                    copy.executescript(self._in_copies)
        except sqlite3.DatabaseError as error:
            raise self._failure(error, path) from error

    def begin_anchor(self) -> None:
        """Write an anchor where there is none; a new ledger may not be durable yet, nor its name in the folder."""
        with self._synchronously("FULL"):
            self._outdo(0)
        try:
            sync_folder(self.path.parent)
        except OSError as error:
            raise disk_error(error, "the ledger cannot be synced", "what is recorded is kept") from error
        self.keep_anchor()

    @contextmanager
    def _synchronously(self, mode: Synchronous) -> Iterator[None]:
        """Commit in another mode in this block: with FULL, whatever was committed is on disk when it ends."""
        self._execute(f"PRAGMA synchronous = {mode}")
        try:
            yield
        finally:
            self._execute(f"PRAGMA synchronous = {self._synchronous}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of the block or nothing: also when the commit itself fails."""
        self._execute("BEGIN IMMEDIATE")
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite may have taken it back already
                self._execute("ROLLBACK")
            raise

    def _outdo(self, decisions: int) -> None:
        """Count on from whichever is further: this ledger, or what its anchor said."""
        self._execute("UPDATE ledger SET decisions = max(decisions, ?) + 1", (decisions,))

    def _execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        """Run one statement. Raises FullError or StorageError when the disk is at fault, IntegrityError as sqlite3."""
        try:
            return self._db.execute(statement, values)
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise self._failure(error) from error

    def _failure(self, error: sqlite3.Error, path: Path | None = None) -> StorageError:
        kind = FullError if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL else StorageError
        return kind(f"{path or self.path}: {error}; what is recorded is kept")


L = TypeVar("L", bound=Database)


def open_anchored(open_ledger: Callable[[Path, Anchor], L], path: Path, anchor: Anchor) -> L:
    """A daemon's ledger, made on the very first start. Raises ReplayError when it is older than its anchor says."""
    if anchor.path.is_relative_to(path.parent):
        raise UsageError(f"anchor {anchor.path} lies in the state folder, and would go back in time with the ledger")
    is_new = not path.exists()
    if is_new:
        anchor.check(None)
    ledger = open_ledger(path, anchor)
    try:
        if anchor.check(ledger.standing()) is None:
            if not is_new:
                log.warning("anchor_missing", anchor=str(anchor.path), consequence="written anew")
            ledger.begin_anchor()
    except BaseException:
        ledger.close()
        raise
    return ledger
