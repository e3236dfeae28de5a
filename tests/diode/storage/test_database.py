"""Ledgers of older versions open, are migrated whole or not at all, and one of a newer version is refused.

``tests/ledgers`` holds what ``iterdump`` of sqlite3 makes of the ledger of each schema, in the middle of transfers,
and its version (PRAGMA user_version) from schema 1 on.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest

from diode.errors import StorageError, UsageError
from diode.storage.backup import back_up, restore
from diode.storage.database import Database
from receiver.ledger.ledgers import LedgerView, StoreLedger, SupervisorLedger
from receiver.ledger.states import State
from sender.ledger import Ledger as SenderLedger
from sender.ledger import State as SenderState
from tests.test_architecture import ROOT

LEDGERS: dict[str, type[SenderLedger | StoreLedger]] = {"sender": SenderLedger, "receiver": StoreLedger}
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


def of_side(side: str) -> list[str]:
    """The older ledgers of one side."""
    return [name for name in OLD if name.startswith(side)]


@pytest.mark.parametrize("name", of_side("sender"))
def test_an_older_senders_ledger_goes_on(tmp_path: Path, name: str) -> None:
    """In the middle of its transfers, with every row, and is of today's schema afterwards."""
    path = tmp_path / "ledger.db"
    lay(name, path)
    before = rows_of(path)
    for _ in range(2):
        with closing(SenderLedger(path)) as ledger:
            (queued,) = ledger.queued()
            last = before["channel"][0][1]
            assert ((1, 4), last) == (ledger.progress.of(queued.id), ledger.next_sequence("models")[0] - 1)
            assert 1 == len(ledger.resends.waiting())
            assert ledger.checkpoint().decisions == ledger.identity().decisions
    assert (before, len(SenderLedger.migrations)) == (rows_of(path), version_of(path))


def parts_of(path: Path) -> set[tuple[str, str]]:
    """Its tables, indexes and triggers, by kind and name."""
    with closing(sqlite3.connect(path)) as database:
        return set(database.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))


@pytest.mark.parametrize("name", OLD)
def test_an_older_ledger_gets_all_that_a_new_one_has(tmp_path: Path, name: str) -> None:
    """Every table, index and trigger that came since is there at the next start."""
    kind = LEDGERS[name.partition("-")[0]]
    lay(name, tmp_path / "old.db")
    before = parts_of(tmp_path / "old.db")
    for path in (tmp_path / "old.db", tmp_path / "new.db"):
        kind(path).close()
    new = parts_of(tmp_path / "new.db")
    assert (set(), True) == (new - parts_of(tmp_path / "old.db"), bool(new - before))


@pytest.mark.parametrize("name", of_side("sender"))
def test_an_older_senders_ledger_notes_exports(tmp_path: Path, name: str) -> None:
    """It had no table of them; what is noted is there after it is opened again."""
    path = tmp_path / "ledger.db"
    lay(name, path)
    with closing(SenderLedger(path)) as ledger:
        (queued,) = ledger.queued()
        assert [] == ledger.exports.of(queued.id)
        ledger.exports.note(queued.id, "2026-11-29T12:00:00Z")
    with closing(SenderLedger(path)) as ledger:
        assert ["2026-11-29T12:00:00Z"] == ledger.exports.of(queued.id)


@pytest.mark.parametrize("name", of_side("receiver"))
def test_an_older_receivers_ledger_goes_on(tmp_path: Path, name: str) -> None:
    """With every row; only what is known of slabs has a column of its own since, and says the same."""
    path = tmp_path / "ledger.db"
    lay(name, path)
    before = rows_of(path)
    decisions = before["ledger"][0][3]
    for kind in (StoreLedger, SupervisorLedger):
        with closing(kind(path)) as ledger:
            assert (decisions, None) == (ledger.checkpoint().decisions, ledger.trust_checkpoint())
            assert ["e" * 16] == ledger.peer.heard()
    after = rows_of(path)
    slabs = {table: before.pop(table) for table in ("slab", "parked")}
    assert {table: list(map(with_proof, rows)) for table, rows in slabs.items()} == {
        table: after.pop(table) for table in slabs
    }
    assert (before, len(LedgerView.migrations)) == (after, version_of(path))


def with_proof(row: tuple[object, ...]) -> tuple[object, ...]:
    """A slab of schema 1 as schema 2 has it."""
    *place, boot = row
    word, _, rest = str(boot).rpartition(" ")
    if boot == "durable":
        return (*place, "", "durable")
    return (*place, rest, word or "written")


def test_what_was_known_of_slabs_is_known_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the boot that wrote them, and in a later one."""
    monkeypatch.setattr("receiver.ledger.ledgers.boot_id", lambda: "887d09d9-2575-4037-a4be-25bd3f9bb9ad")
    lay("receiver-1", tmp_path / "ledger.db")
    bundle = "2" * 16
    with closing(StoreLedger(tmp_path / "ledger.db")) as ledger:
        assert (([0, 1, 2, 3], []), {1}) == (ledger.slabs.kept(bundle), ledger.slabs.unproven(bundle))
        ledger.slabs.forget_unsynced()
        assert ([0], []) == ledger.slabs.kept(bundle)
        assert [(1, 0, 5)] == ledger.slabs.spilled(bundle)
    lay("receiver-1", tmp_path / "later.db")
    monkeypatch.setattr("receiver.ledger.ledgers.boot_id", lambda: "another")
    with closing(StoreLedger(tmp_path / "later.db")) as ledger:
        assert (([0], [1, 2, 3]), set()) == (ledger.slabs.kept(bundle), ledger.slabs.unproven(bundle))
        ledger.slabs.forget_doubtful(bundle)
        assert [(1, 0, 5)] == ledger.slabs.spilled(bundle)


def test_the_kept_ledgers_hold_every_state() -> None:
    """Of the newest older schema, so that none is missed by a migration."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript((ROOT / "tests" / "ledgers" / "receiver-1.sql").read_text())
        assert set(State) == {state for (state,) in database.execute("SELECT state FROM bundle")}
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript((ROOT / "tests" / "ledgers" / "sender-1.sql").read_text())
        assert set(SenderState) == {state for (state,) in database.execute("SELECT state FROM bundle")}


@pytest.mark.parametrize("name", OLD)
def test_an_older_ledger_is_read_as_it_is(tmp_path: Path, name: str) -> None:
    """Commands that only read change nothing; what it lacks is empty to them. It can be backed up, and put back."""
    path = tmp_path / "ledger.db"
    lay(name, path)
    before, version, kind = rows_of(path), version_of(path), LEDGERS[name.partition("-")[0]]

    def read(at: Path) -> Database:
        return kind(at, read_only=True)

    with closing(kind(path, read_only=True)) as ledger:
        rows = ledger.recent(9) if isinstance(ledger, SenderLedger) else ledger.bundles.recent(9)
        assert len(before["bundle"]) == len(rows)
        ledger.checkpoint()
        back_up(ledger, tmp_path / "backup", read)
    assert (before, version) == (rows_of(path), version_of(path))
    restore(tmp_path / "backup", tmp_path / "state", read, force=False, keys=(), is_unsigned=True)
    with closing(kind(tmp_path / "state" / "ledger.db")) as ledger:
        assert before["bundle"] == rows_of(tmp_path / "state" / "ledger.db")["bundle"]
        if isinstance(ledger, StoreLedger):
            assert [] == ledger.slabs.kept("2" * 16)[0]  # the spool may hold something else by now


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
    migrations: ClassVar[tuple[tuple[str, ...], ...]] = (
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
        from diode.storage.connection import Connection
        from tests.diode.storage.test_database import Third
        real = Connection.execute
        def execute(self, statement, values=()):
            if statement.startswith("DROP"):
                os.kill(os.getpid(), signal.SIGKILL)
            return real(self, statement, values)
        Connection.execute = execute
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
