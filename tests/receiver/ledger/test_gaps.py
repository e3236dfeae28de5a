"""Which bundles are missed: numbered by the sender, and never heard of here."""

import sqlite3
from pathlib import Path

import pytest

from receiver.ledger.ledgers import SupervisorLedger
from receiver.ledger.numbers import MAX_JUMP
from receiver.peer.requests import request_gaps


def known(path: Path, channel: str, *sequences: int) -> None:
    """Bundles that were accepted."""
    database = sqlite3.connect(path)
    for n in sequences:
        values = (f"{channel}{n}", channel, f"n{n}", "1", n, 1, 1, 1, "00", "s", "published", "", "now")
        database.execute(f"INSERT INTO bundle VALUES ({', '.join('?' * len(values))})", values)
    database.commit()
    database.close()


def missed(ledger: SupervisorLedger, most: int) -> list[tuple[str, int]]:
    """Proven, then told."""
    gaps = [*ledger.gaps.signed(most), *ledger.gaps.told((), most, most)]
    return [(gap.channel, gap.sequence) for gap in gaps][:most]


@pytest.fixture
def ledger(tmp_path: Path) -> SupervisorLedger:
    """An empty one."""
    return SupervisorLedger(tmp_path / "ledger.db")


def test_holes_and_the_tail_are_missed(ledger: SupervisorLedger, tmp_path: Path) -> None:
    """By channel, in order, so many at most."""
    known(tmp_path / "ledger.db", "models", 3, 4, 6)
    ledger.peer.note_high_watermarks({"models": 8, "images": 2})
    known(tmp_path / "ledger.db", "images", 2)
    assert [("models", 5), ("models", 7), ("models", 8)] == missed(ledger, 9)
    assert [("models", 5)] == missed(ledger, 1)


def test_the_first_bundle_of_a_channel_can_be_missed(ledger: SupervisorLedger, tmp_path: Path) -> None:
    """Nothing was ever accepted on it; and it stays missed when the next one arrives."""
    ledger.peer.note_high_watermarks({"models": 1})
    assert [("models", 1)] == missed(ledger, 9)
    known(tmp_path / "ledger.db", "models", 2)
    ledger.peer.note_high_watermarks({"models": 2})
    assert [("models", 1)] == missed(ledger, 9)


def test_a_long_history_hides_no_gap(ledger: SupervisorLedger, tmp_path: Path) -> None:
    """The newest numbers are looked at, however many went before."""
    last = MAX_JUMP + 50
    known(tmp_path / "ledger.db", "models", *(n for n in range(1, last + 1) if n != last - 20))
    ledger.peer.note_high_watermarks({"models": last})
    assert [("models", last - 20)] == missed(ledger, 9)


def test_a_number_below_an_accepted_one_is_proven_by_its_signature(ledger: SupervisorLedger, tmp_path: Path) -> None:
    """A heartbeat alone is a hint."""
    ledger.peer.note_high_watermarks({"models": 1})
    known(tmp_path / "ledger.db", "models", 1, 3)
    ledger.peer.note_high_watermarks({"models": 4})
    proofs = ["signature proves" in request.what for request in request_gaps(ledger)]
    assert [True, False] == proofs


def test_what_the_sender_spoke_of_is_remembered(ledger: SupervisorLedger, tmp_path: Path) -> None:
    """Through a restart, until something of it arrives."""
    first, second = "1" * 16, "2" * 16
    ledger.peer.note_heard([first, second])
    ledger.close()
    ledger = SupervisorLedger(tmp_path / "ledger.db")
    assert [first, second] == ledger.peer.heard()
    with sqlite3.connect(tmp_path / "ledger.db") as database:
        database.execute("UPDATE heard SET bundle = 'models1' WHERE bundle = ?", (first,))
    known(tmp_path / "ledger.db", "models", 1)
    assert [second] == ledger.peer.heard()
    (asked,) = request_gaps(ledger)
    assert second in asked.what
