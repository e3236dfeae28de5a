"""Admitted sessions are kept across restarts, and only there."""

from contextlib import closing
from pathlib import Path

from receiver.ledger.ledgers import SupervisorLedger

SESSIONS = [[0xFFFF, 2**64 - 1, 12_345], [1, 0, 0]]


def test_sessions_outlive_the_receiver(tmp_path: Path) -> None:
    """The last list counts; session numbers have all 64 bits."""
    path = tmp_path / "ledger.db"
    with closing(SupervisorLedger(path)) as ledger:
        assert [] == ledger.peer.sessions()
        ledger.peer.note_sessions([[7, 7, 7]])
        ledger.peer.note_sessions(SESSIONS)
    with closing(SupervisorLedger(path)) as ledger:
        assert SESSIONS == ledger.peer.sessions()


def test_a_copy_admits_nobody(tmp_path: Path) -> None:
    """What was live when a backup was made is not when it is put back."""
    with closing(SupervisorLedger(tmp_path / "ledger.db")) as ledger:
        ledger.peer.note_sessions(SESSIONS)
        ledger.copy_to(tmp_path / "copy.db")
    with closing(SupervisorLedger(tmp_path / "copy.db")) as copy:
        assert [] == copy.peer.sessions()
