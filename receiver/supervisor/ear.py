"""Hears heartbeats on the event loop, and has them recorded in a thread. So heartbeats are heard while a disk hangs.

Order is kept: the thread records one heartbeat after another, and its alarms reach the event loop in the order in which
they were raised. The number of waiting heartbeats is bounded. Others are counted, and ``link`` reports their number.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from diode.audit.log import AuditLog
from diode.console.budget import Seldom
from diode.errors import DiodeError
from diode.process.background import Background
from receiver.events.happened import Event, Noted, disk_failing
from receiver.ledger.ledgers import SupervisorLedger
from receiver.peer.audit_checkpoints import PeerCheckpoints
from receiver.peer.completion import Endings
from receiver.peer.heartbeats import Hearing, LookNow, Spoken
from receiver.peer.recording import Recording
from receiver.spool.disk import DiskHealth

MOST_WAITING: Final = 256  # heartbeats to be recorded; more than an honest sender has at once
GRACE_S: Final = 10.0  # at the end, for what waits


class Ear:
    """``hearing`` is the loop's; the ledger and the audit log are the thread's from now on, until :meth:`close`.

    ``say(event)`` and ``fail(error)`` are called in the thread of the running loop.
    """

    def __init__(
        self,
        ledger: SupervisorLedger,
        audit: AuditLog,
        configured: Collection[str],
        keys: Sequence[str],
        endings: Endings,
        say: Callable[[Event], None],
        fail: Callable[[DiodeError], None],
    ) -> None:
        """``configured``: channels that this side has settings for; ``keys``: its link keys' fingerprints."""
        ledger.peer.take_over_order(keys)
        self._ledger = ledger
        self._say = say
        self._fail = fail
        self._seldom = Seldom()
        self._loop = asyncio.get_running_loop()
        disk = DiskHealth(lambda message: self._tell(disk_failing(message)))
        self._recording = Recording(ledger, disk, PeerCheckpoints(ledger, audit, self._tell), configured, self._tell)
        self._background = Background(MOST_WAITING, self._raised)
        self.hearing = Hearing(ledger.peer.link_orders(), endings, self._hand_on)
        self._background.start()

    @property
    def left_out(self) -> int:
        """How many heartbeats were not recorded, since too many waited."""
        return self._background.left_out

    async def close(self) -> bool:
        """Record what waits, for GRACE_S at most, and close the ledger. False: the disk hangs, and so does the thread.

        Nothing may be heard any more.
        """
        has_ended = await self._background.close(GRACE_S)
        await asyncio.sleep(0)  # what the thread told last is said now
        if has_ended:
            self._ledger.close()
        return has_ended

    def _hand_on(self, said: Spoken | LookNow) -> bool:
        return self._background.give(partial(self._recording.take, said))

    # in the thread

    def _tell(self, event: Event) -> None:
        self._call(self._say, event)

    def _raised(self, error: Exception) -> None:
        """What cannot be survived ends the daemon; a mistake of ours costs what one heartbeat said."""
        if isinstance(error, DiodeError):
            self._call(self._fail, error)
        elif self._seldom.may_say("heartbeat_not_recorded", time.monotonic()):
            self._tell(Noted("error", "heartbeat_not_recorded", {"detail": repr(error)}))

    def _call(self, callback: Callable[..., None], value: object) -> None:
        with suppress(RuntimeError):  # the loop has ended, and this thread was given up
            self._loop.call_soon_threadsafe(callback, value)
