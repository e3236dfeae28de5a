"""One connection to an SQLite file in WAL mode. It runs one statement at a time, and turns disk errors into our own.

Rows are read by the names of their columns. The tables that a connection may change can be limited, since two processes
write different tables of one ledger.
"""

import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Literal, TypeVar

from diode.errors import FullError, HeldError, StorageError
from diode.log import log
from diode.storage.turns import LET_GO

T = TypeVar("T")

Synchronous = Literal["FULL", "NORMAL"]
Columns = sqlite3.Row  # a row, read by the names of its columns
Values = tuple[object, ...] | Mapping[str, object]

SHORT_S: Final = 5.0  # as long SQLite itself waits for another program, without a word
HELD_S: Final = 120.0  # as long a command waits in all: a browser or a backup that holds the file is no failing disk
FOR_EVER: Final = math.inf  # as a worker does, or a thread, of a daemon
SAID_EVERY_S: Final = 60.0
_HELD: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY}
_CHANGES: Final = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
_WAITS: Final = "this process does nothing else until it is free; the disk is not at fault"


class ForeignTableError(RuntimeError):
    """A process tried to change a table that another process writes. The program is wrong, not the disk."""


class Connection:
    """Runs statements. ``synchronous`` is the commit mode outside of :meth:`synchronously`.

    It is opened for reading; call :meth:`begin_writing` before the first change. Raises StorageError.
    """

    def __init__(self, path: Path, synchronous: Synchronous, *, read_only: bool) -> None:
        self.path = path
        self._usual = synchronous
        self._most_s = HELD_S
        try:
            if not read_only:
                path.parent.mkdir(parents=True, exist_ok=True)
            uri = f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}"
            self._db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=SHORT_S)
        except sqlite3.DatabaseError as error:
            raise self._failure(error) from error
        except OSError as error:
            raise StorageError(f"{path} cannot be used: {error.strerror}") from error
        self._db.row_factory = sqlite3.Row
        self.execute("PRAGMA temp_store = MEMORY")  # its process may write nowhere but beside the file

    def begin_writing(self) -> None:
        """Switch to a write-ahead log, so that readers do not wait for writers."""
        self.execute("PRAGMA journal_mode = WAL")
        self.execute(f"PRAGMA synchronous = {self._usual}")

    def wait(self, most_s: float) -> None:
        """Let statements wait for another program for ``most_s`` at most."""
        self._most_s = most_s
        self._let_sqlite_wait(min(SHORT_S, most_s))

    def is_free(self) -> bool:
        """Whether no other program holds the file against writing. Never waits."""
        if self._db.in_transaction:
            return True
        self._let_sqlite_wait(0.0)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return False
            raise self._failure(error) from error
        finally:
            self._let_sqlite_wait(min(SHORT_S, self._most_s))
        return True

    def _let_sqlite_wait(self, seconds: float) -> None:
        self._db.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")

    def change_only(self, tables: frozenset[str]) -> None:
        """From now on a change of a table not in ``tables`` raises ForeignTableError, also by a trigger."""

        def judge(action: int, table: str | None, *_: str | None) -> int:
            return sqlite3.SQLITE_DENY if action in _CHANGES and table not in tables else sqlite3.SQLITE_OK

        self._db.set_authorizer(judge)

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def execute(self, statement: str, values: Values = ()) -> sqlite3.Cursor:
        """Run one statement. Raises FullError or StorageError when the disk is at fault, IntegrityError as sqlite3."""
        try:
            return self._patiently(lambda: self._db.execute(statement, values))
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise self._failure(error) from error

    def script(self, statements: str) -> None:
        """Run several statements. Raises as :meth:`execute`."""
        try:
            self._patiently(lambda: self._db.executescript(statements))
        except sqlite3.DatabaseError as error:
            raise self._failure(error) from error

    def integer(self, query: str, values: Values = ()) -> int:
        """Run a query that returns one number, and return that."""
        (number,) = self.execute(query, values).fetchone()
        return int(number)

    def tables(self) -> set[str]:
        """Names of the tables that are there."""
        return {row["name"] for row in self.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    @contextmanager
    def synchronously(self, mode: Synchronous) -> Iterator[None]:
        """Commit in another mode within this block. With FULL, everything committed in it is on disk when it ends."""
        self.execute(f"PRAGMA synchronous = {mode}")
        try:
            yield
        finally:
            self.execute(f"PRAGMA synchronous = {self._usual}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything in this block, or nothing, even when the commit itself fails."""
        try:
            self.execute("BEGIN IMMEDIATE")
            yield
            self.execute("COMMIT")  # a disk that does not take it leaves the transaction open
        except BaseException:
            if self._db.in_transaction:  # SQLite may have taken it back already
                self.execute("ROLLBACK")
            raise

    def is_sound(self) -> bool:
        """Whether SQLite finds nothing wrong with the file; reads all of it."""
        (found,) = self.execute("PRAGMA quick_check(1)").fetchone()
        return bool(found == "ok")

    def copy_to(self, path: Path, changes: str) -> None:
        """Write a consistent copy as a new file, durably, and run the statements ``changes`` in it.

        Raises StorageError.
        """
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as copy:
                self._db.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, which read-only media can hold
                if changes:
                    copy.executescript(changes)
        except sqlite3.DatabaseError as error:
            raise self._failure(error, path) from error

    def _patiently(self, work: Callable[[], T]) -> T:
        """Do ``work`` again while another program holds the file. Raises what SQLite raises."""
        until, say_at, is_told = time.monotonic() + self._most_s, 0.0, False
        while True:
            try:
                done = work()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode not in _HELD or time.monotonic() >= until:
                    raise
                if time.monotonic() >= say_at:
                    log.warning("ledger_busy", path=str(self.path), consequence=_WAITS, do=LET_GO)
                    say_at, is_told = time.monotonic() + SAID_EVERY_S, True
            else:
                if is_told:
                    log.info("ledger_free_again", path=str(self.path))
                return done

    def _failure(self, error: sqlite3.Error, path: Path | None = None) -> StorageError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_AUTH:
            raise ForeignTableError(f"{self.path}: another process writes this: {error}") from error
        if code == sqlite3.SQLITE_BUSY:
            return HeldError(f"{path or self.path}: another program holds it; {LET_GO}; what is recorded is kept")
        kind = FullError if code == sqlite3.SQLITE_FULL else StorageError
        return kind(f"{path or self.path}: {error}; what is recorded is kept")


def tables_of(schema: str) -> dict[str, str]:
    """The CREATE statement of each table in a schema, by name."""
    with closing(sqlite3.connect(":memory:")) as newest:
        newest.executescript(schema)
        return dict(newest.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall())
