"""Ledgers of older versions open, are migrated whole or not at all, and one of a newer version is refused.

``tests/ledgers`` holds what ``iterdump`` of sqlite3 makes of each version's ledger, in the middle of transfers.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from diode.errors import StorageError, UsageError
from diode.storage.backup import back_up, restore
from diode.storage.database import Database
from receiver.ledger.bundles import Ledger as ReceiverLedger
from sender.ledger import Ledger as SenderLedger
from tests.test_architecture import ROOT

LEDGERS = {"sender": SenderLedger, "receiver": ReceiverLedger}
OLD = sorted(path.stem for path in (ROOT / "tests" / "ledgers").glob("*.sql"))
NOTES = "CREATE TABLE IF NOT EXISTS note (what TEXT) STRICT; CREATE TABLE IF NOT EXISTS channel (name, sequence);"


def lay(name: str, path: Path) -> None:
    """A ledger of an older version at ``path``."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript((ROOT / "tests" / "ledgers" / f"{name}.sql").read_text())
        database.execute("PRAGMA journal_mode = WAL")


def rows_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows by table, of those that hold any."""
    with closing(sqlite3.connect(path)) as database:
        names = [n for (n,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: database.execute(f"SELECT * FROM {name}").fetchall() for name in names}
    return {name: found for name, found in rows.items() if found}


def version_of(path: Path) -> int:
    """Of its schema."""
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("PRAGMA user_version").fetchone()[0])


def set_version(path: Path, version: int) -> None:
    """As another version of the program does."""
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {version}")


@pytest.mark.parametrize("name", OLD)
def test_an_older_ledger_goes_on(tmp_path: Path, name: str) -> None:
    """In the middle of its transfers, with every row, and is of today's schema afterwards."""
    path = tmp_path / "ledger.db"
    lay(name, path)
    before, kind = rows_of(path), LEDGERS[name.partition("-")[0]]
    for _ in range(2):
        with closing(kind(path)) as ledger:
            ledger.standing()
            if isinstance(ledger, SenderLedger):
                (queued,) = ledger.queued()
                assert ((1, 4), 3) == (ledger.progress(queued.id), ledger.next_sequence("models")[0] - 1)
                assert 1 == len(ledger.resends())
            else:
                (row,) = (row for row in ledger.in_progress() if row.state == "receiving")
                trusted, doubtful = ledger.slabs(row.id)
                assert ([0], 1) == (trusted + doubtful, len(ledger.parked(row.id)))
                assert ["e" * 16] == ledger.heard()
                assert ledger.trust_head() is None
    assert (before, len(kind.migrations)) == (rows_of(path), version_of(path))


@pytest.mark.parametrize("name", OLD)
def test_an_older_ledger_is_read_as_it_is(tmp_path: Path, name: str) -> None:
    """Commands that only read change nothing; what it lacks is empty to them. It can be backed up, and put back."""
    path = tmp_path / "ledger.db"
    lay(name, path)
    before, kind = rows_of(path), LEDGERS[name.partition("-")[0]]

    def read(at: Path) -> Database:
        return kind(at, read_only=True)

    with closing(read(path)) as ledger:
        assert isinstance(ledger, SenderLedger | ReceiverLedger)
        assert 3 == len(ledger.recent(9))
        ledger.standing()
        back_up(ledger, tmp_path / "backup", read)
    assert (before, 0) == (rows_of(path), version_of(path))
    restore(tmp_path / "backup", tmp_path / "state", read, force=False, keys=(), is_unsigned=True)
    with closing(kind(tmp_path / "state" / "ledger.db")) as ledger:
        assert before["bundle"] == rows_of(tmp_path / "state" / "ledger.db")["bundle"]


@pytest.mark.parametrize("side", LEDGERS)
def test_a_new_ledger_is_of_todays_schema(tmp_path: Path, side: str) -> None:
    """Nothing is to be migrated."""
    kind = LEDGERS[side]
    kind(tmp_path / "ledger.db").close()
    assert len(kind.migrations) == version_of(tmp_path / "ledger.db") > 0


@pytest.mark.parametrize("is_read_only", [False, True])
@pytest.mark.parametrize("side", LEDGERS)
@pytest.mark.parametrize("version", [-1, 99])
def test_a_newer_ledger_is_refused(tmp_path: Path, side: str, is_read_only: bool, version: int) -> None:
    """With what to type, and not a byte is changed."""
    path = tmp_path / "ledger.db"
    LEDGERS[side](path).close()
    set_version(path, version)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"newer version \(schema .*nothing was changed. Install the newer") as refused:
        LEDGERS[side](path, read_only=is_read_only)
    assert (2, before) == (refused.value.exit_code, path.read_bytes())


class First(Database):
    """A ledger as its first version made it."""

    side = "sender"

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        super().__init__(path, NOTES, "FULL", read_only=read_only)


class Third(First):
    """Two versions later: notes are numbered, and were counted in between."""

    readable_from = 3
    migrations = (
        (),
        ("CREATE TABLE counted (n INTEGER) STRICT", "INSERT INTO counted SELECT count(*) FROM note"),
        (
            "ALTER TABLE note RENAME TO old",
            "CREATE TABLE note (n INTEGER PRIMARY KEY, what TEXT) STRICT",
            "INSERT INTO note (what) SELECT what FROM old ORDER BY rowid",
            "DROP TABLE old",
        ),
    )


class Broken(Third):
    """Its last statement fails."""

    migrations = (*Third.migrations[:2], (*Third.migrations[2], "INSERT INTO nowhere VALUES (1)"))


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A first version's ledger with two notes."""
    path = tmp_path / "ledger.db"
    First(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.executescript("INSERT INTO note VALUES ('a'), ('b')")
    return path


def check_third(path: Path) -> None:
    """All of it happened, once."""
    Third(path).close()
    rows = rows_of(path)
    assert ([(1, "a"), (2, "b")], [(2,)], 3) == (rows["note"], rows["counted"], version_of(path))


def test_migrations_follow_each_other_once(first: Path) -> None:
    """From whichever version it is of."""
    check_third(first)
    check_third(first)


def test_a_migration_that_fails_changes_nothing(first: Path) -> None:
    """All versions in one transaction: what was done of it is undone, and it is done again when it can be."""
    before = rows_of(first)
    with pytest.raises(StorageError, match="what is recorded is kept"):
        Broken(first)
    assert (before, 1) == (rows_of(first), version_of(first))
    check_third(first)


def test_a_migration_that_is_killed_is_done_again(first: Path) -> None:
    """Kill -9 before its last statement, in a process of its own."""
    program = f"""
        import os, signal
        from pathlib import Path
        from tests.diode.storage.test_database import Third
        real = Third._execute
        def execute(self, statement, values=()):
            if statement.startswith("DROP"):
                os.kill(os.getpid(), signal.SIGKILL)
            return real(self, statement, values)
        Third._execute = execute
        Third(Path({str(first)!r}))
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], env=environment, check=False)
    assert -signal.SIGKILL == done.returncode
    assert 1 == version_of(first)
    check_third(first)


def test_what_only_a_migration_can_read_says_so(first: Path) -> None:
    """A command that reads does not migrate; it says who does."""
    with pytest.raises(UsageError, match=r"older version \(schema 1.*Start the daemon once.*diode-sender run"):
        Third(first, read_only=True)
    check_third(first)
    Third(first, read_only=True).close()
