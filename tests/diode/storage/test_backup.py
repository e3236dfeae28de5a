"""A ledger is copied while others write, and put back whole or not at all."""

import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from diode.errors import DiodeError, LockedError, StorageError, UsageError
from diode.storage import backup
from diode.storage.backup import back_up
from diode.storage.database import Database, Side
from diode.storage.locking import locked, locked_as_it_is

restore = partial(
    backup.restore, keys=(), is_unsigned=True
)  # what tests/diode/storage/test_backup_seal.py is not about

SCHEMA = """
CREATE TABLE IF NOT EXISTS channel (name TEXT, sequence INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS heartbeat (epoch INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS noted (what TEXT) STRICT;
"""


class Book(Database):
    """A ledger that holds notes."""

    side: ClassVar[Side] = "sender"

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        super().__init__(path, SCHEMA, "FULL", read_only=read_only)

    def note(self, what: str) -> None:
        """Write."""
        self._connection.execute("INSERT INTO noted VALUES (?)", (what,))

    def notes(self) -> list[str]:
        """What was written."""
        return [row["what"] for row in self._connection.execute("SELECT what FROM noted ORDER BY rowid")]

    def _in_copies(self) -> str:
        return "INSERT INTO noted VALUES ('copied')"


class Other(Book):
    """The other side's."""

    side: ClassVar[Side] = "receiver"


def reader(path: Path) -> Book:
    """Opens a ledger to be read."""
    return Book(path, read_only=True)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder."""
    return tmp_path / "state"


@pytest.fixture
def book(state: Path) -> Book:
    """A ledger that is open, with one note."""
    book = Book(state / "ledger.db")
    book.note("one")
    return book


def notes_in(folder: Path) -> list[str]:
    """What the ledger in ``folder`` holds."""
    with closing(reader(folder / "ledger.db")) as book:
        return book.notes()


def test_a_backup_is_one_file_and_brings_back_what_was(tmp_path: Path, state: Path, book: Book) -> None:
    """Made while the ledger is open; what was noted since is gone, and kept aside."""
    back_up(book, tmp_path / "backup", reader)
    assert ["ledger.db"] == [path.name for path in (tmp_path / "backup").iterdir()]
    book.note("two")
    book.close()
    kept = restore(tmp_path / "backup", state, reader, force=True)
    assert kept is not None
    assert ["one", "two"] == notes_in(kept)
    assert ["one", "copied", "copied"] == notes_in(state)


def test_a_killed_daemons_log_is_not_played_into_what_is_restored(tmp_path: Path, state: Path, book: Book) -> None:
    """SQLite's write-ahead log goes aside with the ledger that it belongs to."""
    back_up(book, tmp_path / "backup", reader)
    book.note("two")
    for name in ("ledger.db", "ledger.db-wal"):  # as a kill leaves them
        shutil.copy(state / name, tmp_path / name)
    book.close()
    for name in ("ledger.db", "ledger.db-wal"):
        shutil.move(tmp_path / name, state / name)
    assert (state / "ledger.db-wal").stat().st_size
    kept = restore(tmp_path / "backup", state, reader, force=True)
    assert kept is not None
    assert {"ledger.db", "ledger.db-wal"} == {path.name for path in kept.iterdir()}
    assert ["one", "copied", "copied"] == notes_in(state)


def test_a_ledger_is_not_replaced_unasked(tmp_path: Path, state: Path, book: Book) -> None:
    """Without --force nothing changes; where there is none, nothing is asked."""
    back_up(book, tmp_path / "backup", reader)
    book.note("two")
    book.close()
    with pytest.raises(UsageError, match="--force"):
        restore(tmp_path / "backup", state, reader, force=False)
    assert ["one", "two"] == notes_in(state)
    assert restore(tmp_path / "backup", tmp_path / "fresh", reader, force=False) is None
    assert ["one", "copied", "copied"] == notes_in(tmp_path / "fresh")


def test_a_later_backup_replaces_an_earlier_one(tmp_path: Path, book: Book) -> None:
    """In the same folder."""
    back_up(book, tmp_path / "backup", reader)
    book.note("two")
    back_up(book, tmp_path / "backup", reader)
    assert ["one", "two", "copied"] == notes_in(tmp_path / "backup")


def fail() -> None:
    """The disk is full."""
    raise OSError(28, "No space left on device", "somewhere")


def test_a_backup_that_fails_leaves_the_earlier_one(tmp_path: Path, book: Book) -> None:
    """And can be made again, also when it was the first."""
    with pytest.raises(StorageError, match=r"earlier one.*as it was") as full:
        back_up(book, tmp_path / "backup", reader, fail)
    assert 17 == full.value.exit_code
    back_up(book, tmp_path / "backup", reader)
    book.note("two")
    with pytest.raises(StorageError):
        back_up(book, tmp_path / "backup", reader, fail)
    assert ["one", "copied"] == notes_in(tmp_path / "backup")


def test_a_backup_that_was_interrupted_is_begun_anew(tmp_path: Path, book: Book) -> None:
    """What a kill left behind is in nobody's way."""
    (tmp_path / "backup" / "partial").mkdir(parents=True)
    (tmp_path / "backup" / "partial" / "ledger.db").write_bytes(b"half")
    (tmp_path / "backup" / "bundles").mkdir()
    back_up(book, tmp_path / "backup", reader)
    assert ["one", "copied"] == notes_in(tmp_path / "backup")


def test_a_restore_that_fails_changes_nothing(tmp_path: Path, state: Path, book: Book) -> None:
    """The ledger that is there stays in place."""
    back_up(book, tmp_path / "backup", reader)
    book.note("two")
    book.close()
    with pytest.raises(StorageError, match="nothing was restored"):
        restore(tmp_path / "backup", state, reader, force=True, put_rest=lambda *_: fail())
    assert ["one", "two"] == notes_in(state)
    assert not (state / "partial").exists()


def test_backups_go_only_where_they_belong(tmp_path: Path, state: Path, book: Book) -> None:
    """Not among other files, not over another ledger's, not into a file, not into the state folder itself."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter").touch()
    (tmp_path / "file").touch()
    with closing(Book(tmp_path / "other" / "ledger.db")) as other:
        back_up(other, tmp_path / "theirs", reader)
    for folder, why in (
        (tmp_path / "home", "not empty and holds no backup"),
        (tmp_path / "theirs", "another ledger"),
        (tmp_path / "file", "File exists"),
        (tmp_path / "gone" / "backup", "No such file"),
        (state, "state folder itself"),
    ):
        with pytest.raises(UsageError, match=why):
            back_up(book, folder, reader)
    assert ["letter"] == [path.name for path in (tmp_path / "home").iterdir()]
    with locked_as_it_is(tmp_path / "home"), pytest.raises(LockedError):
        back_up(book, tmp_path / "home", reader)


def truncated(path: Path) -> None:
    """Half of a ledger."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def overwritten(path: Path) -> None:
    """A page that is not what it was."""
    path.write_bytes(path.read_bytes()[:-4096] + b"\xa5" * 4096)


def of_other_side(path: Path) -> None:
    """A receiver's."""
    path.unlink()
    Other(path).close()


def of_nobody(path: Path) -> None:
    """SQLite, and no ledger."""
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE t (x)")


def emptied(path: Path) -> None:
    """No rows."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("DELETE FROM ledger")


HARMS: dict[str, tuple[Any, str]] = {
    "missing": (Path.unlink, "holds no backup"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "holds no backup"),
    "empty": (lambda path: path.write_bytes(b""), "cannot be used"),
    "text": (lambda path: path.write_bytes(b"hello" * 1000), "cannot be used"),
    "truncated": (truncated, "cannot be used|damaged"),
    "overwritten": (overwritten, "is damaged"),
    "other side": (of_other_side, "ledger of a receiver"),
    "no ledger": (of_nobody, "cannot be used"),
    "no rows": (emptied, "cannot be used"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_what_is_no_backup_is_not_restored(tmp_path: Path, state: Path, book: Book, harm: str) -> None:
    """Exit code 2, one line, and the ledger that is there stays."""
    back_up(book, tmp_path / "backup", reader)
    book.close()
    do, why = HARMS[harm]
    do(tmp_path / "backup" / "ledger.db")
    with pytest.raises(UsageError, match=f"({why}).*nothing was changed"):
        restore(tmp_path / "backup", state, reader, force=True)
    assert ["one"] == notes_in(state)


def test_nothing_is_restored_from_nowhere_or_under_a_daemon(tmp_path: Path, state: Path, book: Book) -> None:
    """A folder that is not there, and a state folder that is locked."""
    back_up(book, tmp_path / "backup", reader)
    book.close()
    with pytest.raises(UsageError, match="holds no backup"):
        restore(tmp_path / "nowhere", state, reader, force=True)
    with locked(state), pytest.raises(LockedError) as refused:
        restore(tmp_path / "backup", state, reader, force=True)
    assert 11 == refused.value.exit_code
    assert isinstance(refused.value, DiodeError)
