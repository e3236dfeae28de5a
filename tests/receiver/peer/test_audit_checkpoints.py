"""The sender's audit log, as its heartbeats speak of it: written down, and alarmed when it goes backwards."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from diode.audit.chain import LogCheckpoint, What
from diode.audit.log import AuditLog
from diode.audit.verify import entries_of
from receiver.events.lines import Lines
from receiver.ledger.ledgers import SupervisorLedger
from receiver.peer.audit_checkpoints import NOTED_EVERY_S, PeerCheckpoints


def head(n: int, mark: str = "a") -> LogCheckpoint:
    """Entry ``n`` of a log."""
    return LogCheckpoint(n, mark * 64)


def start(folder: Path) -> PeerCheckpoints:
    """A receiver that was started."""
    return PeerCheckpoints(
        SupervisorLedger(folder / "ledger.db"), AuditLog(folder / "audit", "receiver", None), Lines().read
    )


def noted(folder: Path) -> list[tuple[What, int]]:
    """What its log says."""
    return [(entry.what, entry.head[0]) for entry in entries_of(folder / "audit") if entry.head]


def test_heads_are_noted_once_a_minute_at_most(tmp_path: Path) -> None:
    """The first after a start at once, then only one that is new."""
    heads = start(tmp_path)
    for second in range(180):
        heads.hear(head(5 if second < 90 else second), float(second))
    assert [5, 90, 150] == [n for _, n in noted(tmp_path)]
    start(tmp_path).hear(head(179), 0.0)
    assert [5, 90, 150, 179] == [n for _, n in noted(tmp_path)]
    assert NOTED_EVERY_S == 60.0


@pytest.mark.parametrize("later", [head(8), head(9, "b")])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_log_that_goes_backwards_is_an_alarm(later: LogCheckpoint, restarted: bool, tmp_path: Path) -> None:
    """Fewer entries, or another last one: at once, once, written down, and after a restart as well."""
    heads = start(tmp_path)
    heads.hear(head(9), 0.0)
    if restarted:
        heads = start(tmp_path)
    with capture_logs() as said:
        heads.hear(later, 1.0)
        heads.hear(later, 2.0)
        heads.hear(head(later.n + 1), 3.0)
    alarms: list[Any] = [line for line in said if line["event"] == "sender_audit_backwards"]
    assert [(9, later.n, "error")] == [(alarm["was"], alarm["now"], alarm["log_level"]) for alarm in alarms]
    assert [(What.PEER_HEAD, 9), (What.PEER_BACKWARDS, later.n)] == noted(tmp_path)


def test_a_flood_of_heads_is_an_alarm_a_minute(tmp_path: Path) -> None:
    """Whoever has the link key may say anything, and fills no disk by it."""
    heads = start(tmp_path)
    for second in range(600):
        heads.hear(head(1 if second % 2 else 1 << 50), float(second))
    words = [what for what, _ in noted(tmp_path)]
    assert 10 >= words.count(What.PEER_BACKWARDS) > 5
    assert 21 > len(words)


def test_a_false_head_hides_no_true_one(tmp_path: Path) -> None:
    """A liar alarms first, so that the minute after is silent: what goes back in it is said when it is over."""
    heads = start(tmp_path)
    heads.hear(head(100), 0.0)
    heads.hear(head(1 << 50), 1.0)
    with capture_logs() as said:
        heads.hear(head(101), 2.0)  # the sender's own; the liar's was larger
        heads.hear(head(50, "b"), 3.0)  # staging's log was cut
        for second in range(4, 70):
            heads.hear(head(100 + second, "b"), float(second))  # and has grown past where it was
    alarms: list[Any] = [line for line in said if line["event"] == "sender_audit_backwards"]
    assert [(1 << 50, 101), (101, 50)] == [(alarm["was"], alarm["now"]) for alarm in alarms]


def test_what_is_owed_outlives_a_restart(tmp_path: Path) -> None:
    """The receiver compares with the head from before once more."""
    heads = start(tmp_path)
    for second, one in enumerate([head(1 << 50), head(100), head(50, "b")]):
        heads.hear(one, float(second))
    with capture_logs() as said:
        start(tmp_path).hear(head(60, "b"), 0.0)
    assert [(100, 60)] == [(line["was"], line["now"]) for line in said if line["event"] == "sender_audit_backwards"]
