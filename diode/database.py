"""SQLite as both ledgers use it: WAL mode, one statement at a time, and a failing disk said in one line."""

import sqlite3
from pathlib import Path
from typing import Literal

from diode.errors import FullError, StorageError


class Database:
    """Base of the ledgers. ``synchronous``: FULL makes every commit durable before it returns, NORMAL the next few."""

    def __init__(self, path: Path, schema: str, synchronous: Literal["FULL", "NORMAL"], *, read_only: bool) -> None:
        self._path = path
        try:
            if not read_only:
                path.parent.mkdir(parents=True, exist_ok=True)
            uri = f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}"
            self._db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            if not read_only:
                self._execute("PRAGMA journal_mode = WAL")
                self._execute(f"PRAGMA synchronous = {synchronous}")
                self._db.executescript(schema)
        except sqlite3.DatabaseError as error:
            raise self._failure(error) from error
        except OSError as error:
            raise StorageError(f"{path} cannot be used: {error.strerror}") from error

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _execute(self, statement: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        """Run one statement. Raises FullError or StorageError when the disk is at fault, IntegrityError as sqlite3."""
        try:
            return self._db.execute(statement, values)
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise self._failure(error) from error

    def _failure(self, error: sqlite3.Error) -> StorageError:
        kind = FullError if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL else StorageError
        return kind(f"{self._path}: {error}; what is recorded is kept")
