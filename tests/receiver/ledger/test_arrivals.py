"""What the ledger is asked at a start, and for the lag of channels: few rows, which say what all rows would."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from receiver.catalogue.lag import Arrival, lags
from receiver.catalogue.pointer import Pointer, Version, write_pointer
from receiver.ledger.ledgers import StoreLedger
from tests.plans import scans

ROOT = Path(__file__).parents[3]
CHANNELS = ("a", "b", "trust")
NOW = "2026-11-29T12:00:00Z"


def fill(path: Path, seed: int) -> list[Arrival]:
    """A ledger of bundles of all fates, with moments that many of them share. Returns what all of its rows say."""
    chance, found = random.Random(seed), []
    StoreLedger(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        for n in range(chance.randrange(40)):
            bundle, channel, name = f"{n:016x}", chance.choice(CHANNELS), f"n{n}"
            at, dated = (f"2026-11-{chance.randrange(1, 12):02}T12:00:00Z" for _ in range(2))
            state = chance.choice(["published"] * 5 + ["held"])
            fate = chance.choice(["published"] * 3 + ["recalled", "removed", "current", "unknown"])
            row = (bundle, channel, name, "v", n + 1, 1, 1, 1, "", "", state, "", at)
            db.execute(f"INSERT INTO bundle VALUES ({', '.join('?' * 13)})", row)
            if fate != "unknown":
                removed = at if fate == "removed" else ""
                entry = (bundle, "", dated, "built", "{}", "", removed)
                db.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)", entry)
            if fate == "recalled":
                db.execute("INSERT INTO recall VALUES (?, ?, ?, 'v', ?, '', '', '')", (bundle, channel, name, at))
            if fate == "current":
                pointer = Pointer(channel, name, 1, deployed=(Version("v", bundle, n + 1),))
                values = (channel, name, 1, write_pointer(pointer).decode())
                db.execute("INSERT INTO pointer VALUES (?, ?, ?, ?)", values)
            if channel != "trust":
                shown = fate if fate in ("recalled", "removed") and state != "held" else state
                known = ("", "") if fate == "unknown" else (dated, "built")
                found.append(Arrival(channel, shown, fate == "current", at, *known))
    return found


@pytest.mark.parametrize("seed", range(60))
def test_few_arrivals_say_what_all_do(tmp_path: Path, seed: int) -> None:
    """Age, age in use, last bundle and trend are those that every row together has."""
    every = fill(tmp_path / "ledger.db", seed)
    with closing(StoreLedger(tmp_path / "ledger.db")) as ledger:
        assert lags(every, {}, NOW) == lags(ledger.catalogue.arrivals(), {}, NOW)


def test_a_start_reads_no_whole_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pointers are set right without a row for each bundle."""
    path = tmp_path / "ledger.db"
    fill(path, 1)
    with closing(StoreLedger(path)) as ledger, scans(path, monkeypatch) as found:
        ledger.pointers.places()
        list(ledger.bundles.newest_numbers())
        ledger.bundles.published_above("a", "n1", 0)
        ledger.bundles.from_receipts()
        ledger.catalogue.removed()
        list(ledger.catalogue.arrivals())
    assert [] == found


def test_an_older_ledger_gets_the_indexes(tmp_path: Path) -> None:
    """They are made when the ledger is next opened for writing."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript((ROOT / "tests" / "ledgers" / "receiver-1.sql").read_text())
    StoreLedger(path).close()
    with closing(sqlite3.connect(path)) as database:
        there = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    assert {"published_of", "arrived_in", "from_receipts", "removed_entries"} <= there
