"""SQLite files that are written once, put in place by one rename, and then read by any number of processes.

A reader takes no lock and writes nothing: the file never changes, so SQLite may map it as it is (``immutable=1``). A
newer state is another file at the same path. Who has the older one open goes on reading that.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from diode.errors import StorageError
from diode.storage.connection import Columns, Values
from diode.storage.durable import sync_folder

_MAPPED_BYTES: Final = 64 << 20
_CACHE_KIB: Final = 256
_AT_ONCE: Final = 64  # rows that are fetched together


class IndexFile:
    """One such file, opened for reading by any number of threads. Closing is the caller's."""

    def __init__(self, path: Path) -> None:
        """Raises StorageError when there is no such file, or it is no index."""
        self.path = path
        # statements are kept to be used again: two threads that bind values to one would read each other's rows
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro&immutable=1",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
            self._db.row_factory = sqlite3.Row
            self._db.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
            self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        except sqlite3.DatabaseError as error:
            raise StorageError(f"{path} cannot be read: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def rows(self, query: str, values: Values = ()) -> Iterator[Columns]:
        """The rows that a query finds. Raises StorageError for a file that is damaged."""
        try:
            with self._lock:
                cursor = self._db.execute(query, values)
                found = cursor.fetchmany(_AT_ONCE)
            while found:
                yield from found
                with self._lock:
                    found = cursor.fetchmany(_AT_ONCE)
        except sqlite3.DatabaseError as error:
            raise StorageError(f"{self.path} cannot be read: {error}") from error

    def row(self, query: str, values: Values = ()) -> Columns | None:
        """The first row that a query finds. Raises as :meth:`rows`."""
        try:
            with self._lock, closing(self._db.execute(query, values)) as cursor:
                found: Columns | None = cursor.fetchone()
        except sqlite3.DatabaseError as error:
            raise StorageError(f"{self.path} cannot be read: {error}") from error
        return found


class NewIndex:
    """Such a file while it is written."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add(self, statement: str, values: Values) -> None:
        """Run one statement."""
        self._db.execute(statement, values)

    def add_all(self, statement: str, rows: Iterator[Values]) -> None:
        """Run one statement for each of ``rows``."""
        self._db.executemany(statement, rows)


@contextmanager
def write_index(path: Path, schema: str, mode: int = 0o644) -> Iterator[NewIndex]:
    """Write a new file, which lies at ``path`` by one rename when the block ends; durable. What fails leaves the old.

    Its folder is the caller's alone. Raises StorageError or OSError when the disk does not take it.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with suppress(FileNotFoundError):
        partial.unlink()
    try:
        with closing(sqlite3.connect(partial, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = OFF")
            db.execute("PRAGMA synchronous = OFF")
            db.execute("PRAGMA temp_store = MEMORY")
            db.executescript(f"BEGIN; {schema}")
            yield NewIndex(db)
            db.execute("COMMIT")
        fd = os.open(partial, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fchmod(fd, mode)
            os.fsync(fd)
        finally:
            os.close(fd)
        partial.rename(path)
        sync_folder(path.parent)
    except sqlite3.DatabaseError as error:
        raise StorageError(f"{path} cannot be written: {error}") from error
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()
