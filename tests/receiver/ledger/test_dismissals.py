"""What people dismissed, in ledgers of every age."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from receiver.ledger.dismissals import Dismissal
from receiver.ledger.ledgers import LedgerView, StoreLedger, SupervisorLedger
from receiver.ledger.standing import Standings

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["receiver-0", "receiver-1"])
def test_an_older_ledger_takes_a_persons_word(tmp_path: Path, name: str) -> None:
    """It is read as it is, with nothing dismissed; a daemon brings it up to date, and then a word is kept."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript((ROOT / "tests" / "ledgers" / f"{name}.sql").read_text())
        (bundle,) = database.execute("SELECT id FROM bundle WHERE state = 'receiving'").fetchone()
    with closing(LedgerView(path)) as ledger:
        row = ledger.bundles.get(bundle)
        assert row is not None
        assert ([], [], "receiving") == (
            ledger.dismissals.all(),
            ledger.quarantined.all(),
            Standings(ledger).of(row).word,
        )
    said = Dismissal(bundle, row.channel, row.sequence, "2026-11-29T00:00:00Z", "alice:1000", "why")
    with closing(StoreLedger(path)), closing(SupervisorLedger(path)) as ledger:
        ledger.dismissals.put(said)
    with closing(LedgerView(path)) as ledger:
        assert ([said], "dismissed") == (ledger.dismissals.all(), Standings(ledger).of(row).word)
