"""Keeps the checkpoint of the sender's audit log, which heartbeats tell as ``head``, and compares it with the last one.

Each checkpoint is written into our own audit log. An attacker who cuts off the end of the sender's log, or writes
another one, cannot change what was recorded here.
"""

from collections.abc import Callable
from typing import Final

from diode.audit.chain import LogCheckpoint, What
from diode.audit.log import AuditLog
from receiver.events.happened import Event, Noted
from receiver.ledger.ledgers import SupervisorLedger

NOTED_EVERY_S: Final = 60.0


class PeerCheckpoints:
    """Takes the checkpoint of each heartbeat. The first one after a start is recorded at once, and so is a first alarm.

    Anybody with the link key could send false checkpoints, so there is at most one entry and one alarm a minute. If a
    checkpoint goes back within the minute after an alarm, its alarm follows when that minute is over. Later heartbeats
    cannot hide it.
    """

    def __init__(self, ledger: SupervisorLedger, audit: AuditLog, say: Callable[[Event], None]) -> None:
        self._ledger = ledger
        self._audit = audit
        self._say = say
        self._last = ledger.peer.head()
        self._noted: LogCheckpoint | None = None
        self._owed: tuple[LogCheckpoint, LogCheckpoint] | None = (
            None  # the checkpoint before, and the one that went back
        )
        self._note_at = self._alarm_at = float("-inf")

    def hear(self, head: LogCheckpoint, now: float) -> None:
        """Take a head heard at ``now``, of a monotonic clock. Raises StorageError; then the next one is taken."""
        last = self._last
        if last is not None and (head.n < last.n or (head.n == last.n and head.hash != last.hash)):
            self._owed = self._owed or (last, head)
        if self._owed is not None and now >= self._alarm_at:
            self._alarm(*self._owed, now)
        elif self._noted is None or (head != self._noted and now >= self._note_at):
            self._audit.append(What.PEER_HEAD, head=head)
            self._noted, self._note_at = head, now + NOTED_EVERY_S
        if head != last:
            if self._owed is None:
                self._ledger.peer.note_head(head)  # otherwise a restart must compare with the old one again
            self._last = head

    def _alarm(self, was: LogCheckpoint, head: LogCheckpoint, now: float) -> None:
        detail = f"the sender's log ended with entry {was.n} ({was.hash}) before"
        self._audit.append(What.PEER_BACKWARDS, head=head, detail=detail)
        do = "compare its log with this one: diode audit verify LOG --key KEY --heads OUR-LOG"
        self._say(Noted("error", "sender_audit_backwards", {"was": was.n, "now": head.n, "do": do}))
        self._owed = None
        self._noted, self._note_at = head, now + NOTED_EVERY_S
        self._alarm_at = self._note_at
