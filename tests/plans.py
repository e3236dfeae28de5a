"""Which statements look at a whole table, as SQLite itself plans them."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from diode.storage.connection import Connection

_GROWS = re.compile(r"^SCAN (bundle|slab|entry|exported|moved)\b(?!.*USING (COVERING )?INDEX)")
_BOUNDED = re.compile(r"ORDER BY rowid DESC LIMIT")  # it ends after so many rows


@contextmanager
def scans(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Statements run in the block that scan a table which grows with each bundle; known when the block ends."""
    run: dict[str, Any] = {}
    found: list[str] = []
    execute = Connection.execute

    def noted(self: Connection, statement: str, values: Any = ()) -> sqlite3.Cursor:
        run[statement] = values
        return execute(self, statement, values)

    with monkeypatch.context() as patched:
        patched.setattr(Connection, "execute", noted)
        yield found
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
        for statement, values in run.items():
            if statement.lstrip().startswith(("SELECT", "WITH")) and not _BOUNDED.search(statement):
                steps = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
                found += [f"{step}: {statement}" for step in steps if _GROWS.match(step)]
