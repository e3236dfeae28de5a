"""One connection to an SQLite file: WAL mode, one statement at a time, and a failing disk said in one line.

Rows are read by the names of their columns. Which tables a connection may change can be limited: a ledger that two
processes write is divided so.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, Literal

from diode.errors import FullError, StorageError

Synchronous = Literal["FULL", "NORMAL"]
Columns = sqlite3.Row  # a row, read by the names of its columns
Values = tuple[object, ...] | Mapping[str, object]

_CHANGES: Final = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}


class ForeignTableError(RuntimeError):
    """A process tried to change a table that another process writes: a fault of the program, not of the disk."""


class Connection:
    """What runs statements. ``synchronous``: as :meth:`synchronously` says, while no block asks for something else.

    It is opened to be read; :meth:`begin_writing` comes before the first change. Raises StorageError.
    """

    def __init__(self, path: Path, synchronous: Synchronous, *, read_only: bool) -> None:
        self.path = path
        self._usual = synchronous
        try:
            if not read_only:
                path.parent.mkdir(parents=True, exist_ok=True)
            uri = f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}"
            self._db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        except sqlite3.DatabaseError as error:
            raise self._failure(error) from error
        except OSError as error:
            raise StorageError(f"{path} cannot be used: {error.strerror}") from error
        self._db.row_factory = sqlite3.Row
        self.execute("PRAGMA temp_store = MEMORY")  # its process may write nowhere but beside the file

    def begin_writing(self) -> None:
        """From now on what is changed goes through a log that readers do not wait for."""
        self.execute("PRAGMA journal_mode = WAL")
        self.execute(f"PRAGMA synchronous = {self._usual}")

    def change_only(self, tables: frozenset[str]) -> None:
        """From now on a statement that changes another table, itself or by a trigger, raises ForeignTableError."""

        def judge(action: int, table: str | None, *_: str | None) -> int:
            return sqlite3.SQLITE_DENY if action in _CHANGES and table not in tables else sqlite3.SQLITE_OK

        self._db.set_authorizer(judge)

    def close(self) -> None:
        """Close it."""
        self._db.close()

    def execute(self, statement: str, values: Values = ()) -> sqlite3.Cursor:
        """Run one statement. Raises FullError or StorageError when the disk is at fault, IntegrityError as sqlite3."""
        try:
            return self._db.execute(statement, values)
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise self._failure(error) from error

    def script(self, statements: str) -> None:
        """Run several statements. Raises as :meth:`execute`."""
        try:
            self._db.executescript(statements)
        except sqlite3.DatabaseError as error:
            raise self._failure(error) from error

    def integer(self, query: str, values: Values = ()) -> int:
        """The one number that a query has."""
        (number,) = self.execute(query, values).fetchone()
        return int(number)

    def tables(self) -> set[str]:
        """Names of the tables that are there."""
        return {row["name"] for row in self.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    @contextmanager
    def synchronously(self, mode: Synchronous) -> Iterator[None]:
        """Commit in another mode in this block: with FULL, whatever was committed is on disk when it ends."""
        self.execute(f"PRAGMA synchronous = {mode}")
        try:
            yield
        finally:
            self.execute(f"PRAGMA synchronous = {self._usual}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block or nothing: also when the commit itself fails."""
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
        """Write a consistent copy as one new file, durably, and run ``changes`` in it. Raises StorageError."""
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as copy:
                self._db.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, which read-only media can hold
                if changes:
                    copy.executescript(changes)
        except sqlite3.DatabaseError as error:
            raise self._failure(error, path) from error

    def _failure(self, error: sqlite3.Error, path: Path | None = None) -> StorageError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_AUTH:
            raise ForeignTableError(f"{self.path}: another process writes this: {error}") from error
        kind = FullError if code == sqlite3.SQLITE_FULL else StorageError
        return kind(f"{path or self.path}: {error}; what is recorded is kept")


def tables_of(schema: str) -> dict[str, str]:
    """The statement that makes each table of a schema, by name."""
    with closing(sqlite3.connect(":memory:")) as newest:
        newest.executescript(schema)
        return dict(newest.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall())
