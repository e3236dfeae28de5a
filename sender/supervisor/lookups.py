"""Looks up what heartbeats tell of the ledger and the audit log, in a thread beside the event loop.

A disk that does not answer holds up only this thread: heartbeats still leave, with what was known before. There is one
thread, and it has one question at a time. The answer is taken over on the event loop. So a heartbeat tells nothing of a
decision before the call that made the decision has returned, with the rollback guard written.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Final

from diode.audit.chain import LogCheckpoint
from diode.audit.log import AuditLog
from sender.events.happened import Event, LookupLate
from sender.ledger import Ledger

PATIENCE_S: Final = 0.2  # how long a heartbeat waits for an answer
LATE_S: Final = 5.0  # a lookup that takes longer is reported
CLOSE_S: Final = 1.0  # how long closing waits for the thread


@dataclass(frozen=True, slots=True)
class Known:
    """Last sequence numbers by channel, the newest entry of the audit log, and whether commands left work to do."""

    channels: Mapping[str, int]
    audit: LogCheckpoint | None
    is_asked: bool = False  # bundles were approved, or slabs are asked for again


def look_into(ledger: Ledger, audit: AuditLog) -> Known:
    """Ask the ledger and the audit log. ``ledger`` is the thread's own connection: it sees committed changes only."""
    is_asked = bool(ledger.approved()) or bool(ledger.resends.waiting())
    return Known(ledger.sequences(), audit.head(), is_asked)


class Lookups:
    """Keeps ``known`` up to date. It calls ``look`` in its thread, and once in the caller's thread at :meth:`open`.

    The thread has a connection of its own to the ledger at ``path``. ``clock`` is in seconds.
    """

    def __init__(
        self,
        path: Path,
        audit: AuditLog,
        say: Callable[[Event], None],
        *,
        look: Callable[[Ledger, AuditLog], Known] = look_into,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._audit = audit
        self._say = say
        self._look = look
        self._patience_s = patience_s
        self._clock = clock
        self._questions: SimpleQueue[Future[Known] | None] = SimpleQueue()
        self._pending: asyncio.Future[Known] | None = None
        self._asked_at = 0.0
        self._is_late = False
        self._thread: Thread | None = None

    def open(self) -> None:
        """Look up for the first time, and start the thread. Raises the errors of ``look``, and StorageError."""
        ledger = Ledger(self._path, read_only=True)
        self.known = self._look(ledger, self._audit)
        self._thread = Thread(target=self._work, args=(ledger,), name="lookups", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread. If a disk holds it up, it is left behind, and ends with the process."""
        self._questions.put(None)
        if self._thread is not None:
            self._thread.join(CLOSE_S)

    async def refresh(self) -> Known:
        """What is known. It is up to date if the answer comes soon. Raises the errors of ``look``."""
        pending = self._pending
        if pending is None:
            question: Future[Known] = Future()
            pending = self._pending = asyncio.wrap_future(question)
            self._asked_at = self._clock()
            self._questions.put(question)
        await asyncio.wait({pending}, timeout=self._patience_s)
        if not pending.done():
            self._note_late(self._clock() - self._asked_at)
        elif pending is self._pending:
            self._pending, self._is_late = None, False
            self.known = pending.result()
        return self.known

    def _note_late(self, waiting_s: float) -> None:
        """Report once that the answer is late, until an answer comes."""
        if waiting_s >= LATE_S and not self._is_late:
            self._is_late = True
            self._say(LookupLate(waiting_s))

    def _work(self, ledger: Ledger) -> None:
        while (question := self._questions.get()) is not None:
            try:
                question.set_result(self._look(ledger, self._audit))
            except Exception as error:  # noqa: BLE001 - whoever waits for the answer raises it
                question.set_exception(error)
        ledger.close()
