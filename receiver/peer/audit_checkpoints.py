"""The head of the sender's audit log, as its heartbeats name it: kept in our own log, and compared with the last one.

Whoever cuts the end off the log of staging, or writes another one, cannot change what was heard here.
"""

from collections.abc import Callable
from typing import Final

from diode.audit.chain import LogCheckpoint, What
from diode.audit.log import AuditLog
from receiver.events.happened import Event, Noted
from receiver.ledger.ledgers import SupervisorLedger

NOTED_EVERY_S: Final = 60.0


class PeerCheckpoints:
    """Takes the head of each heartbeat. Its first one after a start is noted at once, the first alarm as well.

    Whoever holds the link key could send any: entries and alarms are bounded to one a minute. A head that went back
    within the minute of an alarm is owed, and said when that is over, whatever came after it: no lie hides it.
    """

    def __init__(self, ledger: SupervisorLedger, audit: AuditLog, say: Callable[[Event], None]) -> None:
        self._ledger = ledger
        self._audit = audit
        self._say = say
        self._last = ledger.peer.head()
        self._noted: LogCheckpoint | None = None
        self._owed: tuple[LogCheckpoint, LogCheckpoint] | None = (
            None  # what the log ended with before, and what it was said to end with
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
                self._ledger.peer.note_head(head)  # else a restart compares with what was before once more
            self._last = head

    def _alarm(self, was: LogCheckpoint, head: LogCheckpoint, now: float) -> None:
        detail = f"the sender's log ended with entry {was.n} ({was.hash}) before"
        self._audit.append(What.PEER_BACKWARDS, head=head, detail=detail)
        do = "compare its log with this one: diode audit verify LOG --key KEY --heads OUR-LOG"
        self._say(Noted("error", "sender_audit_backwards", {"was": was.n, "now": head.n, "do": do}))
        self._owed = None
        self._noted, self._note_at = head, now + NOTED_EVERY_S
        self._alarm_at = self._note_at
