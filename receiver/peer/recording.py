"""Records in the ledger what heartbeats said, compares it with earlier ones, and reports what is missing.

This may wait for a disk, so a thread beside the event loop does it, one heartbeat after another. What cannot be written
is recorded with a later heartbeat. A disk error here never ends the receiver.
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Final

from diode.audit.chain import LogCheckpoint
from diode.bundle.ref import names_of
from diode.console.budget import PerMinute, Seldom
from diode.errors import StorageError
from diode.protocol.heartbeat import InFlight
from receiver.events.happened import Event, Noted
from receiver.ledger.ledgers import SupervisorLedger
from receiver.ledger.peer import MAX_HEARD
from receiver.peer.asking import Asking
from receiver.peer.audit_checkpoints import PeerCheckpoints
from receiver.peer.heartbeats import LookNow, Spoken
from receiver.peer.regressions import Books
from receiver.spool.disk import DiskHealth

HINTS_A_MINUTE: Final = 10  # alarms about what heartbeats alone speak of


class Recording:
    """Takes what :class:`receiver.peer.heartbeats.Hearing` hands on, in order.

    The ledger, ``disk`` and ``heads`` are its own: from the first heartbeat on no other thread may use them.
    ``say(event)`` is told of alarms, in the thread that :meth:`take` runs in.
    """

    def __init__(
        self,
        ledger: SupervisorLedger,
        disk: DiskHealth,
        heads: PeerCheckpoints,
        configured: Collection[str],
        say: Callable[[Event], None],
    ) -> None:
        """``configured``: the channels in the configuration of this side."""
        hints = PerMinute(HINTS_A_MINUTE)
        self._ledger = ledger
        self._disk = disk
        self._heads = heads
        self._say = say
        self._seldom = Seldom()
        self._numbers = Numbers(ledger, configured)
        self._bundles = Bundles(ledger, hints, say)
        self._asking = Asking(ledger, disk, configured, hints, say)
        self._forgets = False  # what another key's holder said is still recorded

    def take(self, said: Spoken | LookNow) -> None:
        """Do all that one heartbeat, or the time, asks for."""
        match said:
            case Spoken():
                self._hear(said)
            case LookNow(now):
                self._asking.look(now)

    def _hear(self, said: Spoken) -> None:
        if said.begins_anew:
            self._begin_anew()
        is_new = [self._bundles.take(bundle, said.at) for bundle in said.beat.bundles]
        for alarm in self._numbers.books.read(said.beat):
            if self._seldom.may_say(alarm.event, said.at):
                self._say(Noted("error", alarm.event, alarm.fields))
        if any(is_new) or said.has_news or said.begins_anew or not said.beat.is_idle:
            self._asking.outdate()
        with self._disk.surviving():
            self._record(said)
            if said.beat.audit is not None:
                self._heads.hear(LogCheckpoint(*said.beat.audit), said.at)
        if said.has_rested:
            self._asking.look_back(said.at)
        with self._disk.surviving():
            self._ledger.peer.note_sessions(said.admitted)

    def _begin_anew(self) -> None:
        self._numbers.books.start_over()
        self._bundles.start_over()
        self._forgets = True

    def _record(self, said: Spoken) -> None:
        self._bundles.bound()
        if self._forgets:
            self._ledger.peer.forget_claims(said.key)
            self._forgets = False
            self._numbers.begin()
        self._ledger.peer.note_order(said.key, said.order)
        self._bundles.record()
        if self._numbers.record():
            self._asking.outdate()


class Numbers:
    """The last sequence number of each channel, as the sender tells it, and which of them are recorded."""

    def __init__(self, ledger: SupervisorLedger, configured: Collection[str]) -> None:
        self._ledger = ledger
        self._configured = configured
        self._recorded = ledger.peer.high_watermarks()
        self.books = Books(self._recorded)

    def begin(self) -> None:
        """The ledger forgot what was claimed: what it has now is recorded."""
        self._recorded = self._ledger.peer.high_watermarks()

    def record(self) -> bool:
        """Record what was told; whether any of it is new. Raises StorageError: then a later call records it."""
        self._ledger.peer.forget_high_watermarks(self.books.forgotten)
        for channel in self.books.forgotten:
            self._recorded.pop(channel, None)
        self.books.forgotten.clear()
        told = self.books.told
        news = {channel: told[channel] for channel in told if told[channel] != self._recorded.get(channel)}
        if news:
            self._ledger.peer.note_high_watermarks(news)
            self._recorded |= news
            self.books.forget(self._ledger.peer.keep_channels(self._configured))
        return bool(news)


class Bundles:
    """Bundles that the sender spoke of, and those that it cannot send any more, until that is recorded."""

    def __init__(self, ledger: SupervisorLedger, hints: PerMinute, say: Callable[[Event], None]) -> None:
        self._ledger = ledger
        self._hints = hints
        self._say = say
        self._unrecorded: dict[str, None] = {}  # bundles heard of, oldest first
        self._cancelled = dict.fromkeys(ledger.peer.cancelled(), True)  # and whether it is recorded
        self._returned: dict[str, bool] = {}  # not withdrawn after all, and the ledger still says so

    def start_over(self) -> None:
        """What was said so far counts for nothing."""
        self._unrecorded.clear()
        self._cancelled.clear()

    def take(self, bundle: InFlight, now: float) -> bool:
        """Note what a heartbeat says of a bundle; whether it is withdrawn, and was not before."""
        if bundle.state == "withdrawn":
            return self._cancel(bundle.id, now)
        if bundle.state in ("sending", "waiting") and self._cancelled.pop(bundle.id, False):
            self._returned[bundle.id] = True
        self._unrecorded[bundle.id] = None
        return False

    def _cancel(self, bundle: str, now: float) -> bool:
        """The sender says that it cannot send it any more. That is not signed: it is over, and it is missing."""
        if bundle in self._cancelled:
            return False
        self._cancelled[bundle] = False
        if self._hints.take(now):
            do = f"ask staging; if nobody misses it: diode-receiver dismiss {bundle} --reason TEXT"
            row = None
            with suppress(StorageError):  # it is said all the same
                row = self._ledger.bundles.get(bundle)
            names = {"bundle": bundle} if row is None else names_of(row)
            self._say(Noted("error", "bundle_cancelled", {**names, "do": do}))
        return True

    def bound(self) -> None:
        """Forget the oldest of too many."""
        for known in (self._unrecorded, self._cancelled, self._returned):
            while len(known) > MAX_HEARD:
                del known[next(iter(known))]

    def record(self) -> None:
        """Record what was said. Raises StorageError: then a later call records it."""
        self._ledger.peer.note_heard(self._unrecorded)
        self._unrecorded.clear()
        while self._returned:
            self._ledger.peer.forget_cancelled(next(iter(self._returned)))
            del self._returned[next(iter(self._returned))]
        if news := [bundle for bundle, is_recorded in self._cancelled.items() if not is_recorded]:
            self._ledger.peer.note_cancelled(news)
            self._cancelled |= dict.fromkeys(news, True)
