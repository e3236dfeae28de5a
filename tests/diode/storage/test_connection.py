"""A ledger's file that another program holds: it is waited for, and a person is told."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from diode.errors import HeldError
from diode.storage import connection
from diode.storage.connection import Connection


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Connection, sqlite3.Connection]]:
    """A connection, and a browser that has begun to change the file and does not end."""
    monkeypatch.setattr(connection, "SHORT_S", 0.01)
    ours = Connection(tmp_path / "ledger.sqlite", "FULL", read_only=False)
    ours.begin_writing()
    ours.execute("CREATE TABLE kept (number INTEGER)")
    browser = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None, check_same_thread=False)
    browser.execute("BEGIN IMMEDIATE")
    yield ours, browser
    browser.close()
    ours.close()


def test_it_is_waited_for(held: tuple[Connection, sqlite3.Connection]) -> None:
    """Longer than SQLite waits by itself; each wait is told once, and its end."""
    ours, browser = held
    tries = iter(range(3))

    def work() -> sqlite3.Cursor:
        if next(tries) == 2:
            browser.execute("ROLLBACK")
        return ours._db.execute("INSERT INTO kept VALUES (1)")

    with capture_logs() as logs:
        ours._patiently(work)
    assert ["ledger_busy", "ledger_free_again"] == [line["event"] for line in logs]
    assert 1 == ours.integer("SELECT count(*) FROM kept")


def test_not_for_ever(held: tuple[Connection, sqlite3.Connection]) -> None:
    """In the end the error says what to do; nothing was changed."""
    ours, browser = held
    ours.wait(0.0)
    with pytest.raises(HeldError, match="another program holds it; close what has it open"), ours.transaction():
        pass
    browser.execute("ROLLBACK")
    assert 0 == ours.integer("SELECT count(*) FROM kept")


def test_whether_it_is_free_is_known_without_waiting(held: tuple[Connection, sqlite3.Connection]) -> None:
    """On an event loop nobody waits for another program."""
    ours, browser = held
    assert not ours.is_free()
    browser.execute("ROLLBACK")
    assert ours.is_free()
    with ours.transaction():
        assert ours.is_free()
