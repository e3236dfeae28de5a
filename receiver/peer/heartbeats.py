"""What the receiver hears of its sender: heartbeats are recorded, compared with earlier ones, and turned into requests.

What the disk does not take is recorded with a later heartbeat: nothing that is heard ends the receiver.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import structlog

from diode.audit.chain import Head
from diode.console.budget import PerMinute
from diode.console.seldom import Seldom
from diode.protocol.heartbeat import Heartbeat, InFlight, LinkOrder
from receiver.events import Coming
from receiver.ledger.ledgers import SupervisorLedger
from receiver.ledger.peer import MAX_HEARD
from receiver.peer.audit_heads import PeerHeads
from receiver.peer.completion import Endings
from receiver.peer.regressions import Books
from receiver.peer.requests import Request, request_gaps, request_signed
from receiver.spool.disk import DiskHealth

GAP_S: Final = 10.0  # heartbeats that name nothing on its way for so long: what is numbered was sent
PROOF_S: Final = 600  # what a signature proves to be missing is said after so long, whatever heartbeats say
LOOK_EVERY_S: Final = 60.0
HINTS_A_MINUTE: Final = 10  # alarms about what heartbeats alone speak of

log = structlog.get_logger()


class Hearing:
    """Takes each heartbeat once, in order. ``orders`` says how far those of each link key have come.

    ``gaps`` is what is asked for since the newest, ``health`` what the sender counts, by its own word. ``keys`` are the
    fingerprints of the link keys that are held. Times are of the monotonic clock that ``endings`` goes by.
    """

    def __init__(
        self,
        ledger: SupervisorLedger,
        endings: Endings,
        disk: DiskHealth,
        heads: PeerHeads,
        configured: Collection[str] = (),
        keys: Sequence[str] = (),
    ) -> None:
        """``configured``: channels that this side has settings for; ``keys``: its link keys' fingerprints."""
        ledger.peer.take_over_order(keys)
        self.orders = ledger.peer.link_orders()
        self.health: dict[str, int] = {}
        self.gaps: list[Request] = []
        self._configured = configured
        self._hints = PerMinute(HINTS_A_MINUTE)
        self._proven: list[Request] = []  # said already
        self._look_at = 0.0
        self._ledger = ledger
        self._endings = endings
        self._disk = disk
        self._heads = heads
        self._recorded = ledger.peer.issued()
        self._books = Books(self._recorded)
        self._unrecorded: dict[str, None] = {}  # bundles heard of, oldest first
        self._withdrawn = dict.fromkeys(ledger.peer.withdrawn(), True)  # and whether it is recorded
        self._returned: dict[str, bool] = {}  # not withdrawn after all, and the ledger still says so
        self._gaps_known = False  # nothing has happened since they were looked for
        self._idle_from: float | None = None  # since when heartbeats name nothing that is on its way
        self._seldom = Seldom()
        self._key = ""  # under which the newest heartbeat was sealed
        self._forgets = False  # what another key's holder said is still recorded

    @property
    def newest(self) -> tuple[int, int]:
        """(epoch, number) of the newest heartbeat under the key that was heard last."""
        return self.orders.get(self._key, LinkOrder()).reached

    def hear(
        self, beat: Heartbeat, now: float, receiving: Mapping[str, Coming], key: str = "", *, has_mac: bool = False
    ) -> None:
        """Take a heartbeat, sealed under the link key of fingerprint ``key``; ``has_mac``: that has spoken by kind 4.

        ``receiving`` has the last event of each bundle whose manifest has arrived.
        """
        self._begin_key(key)
        self.orders[key] = LinkOrder(*beat.order, has_mac=has_mac, has_spoken=True)
        self.health = beat.health or {}
        for bundle in beat.bundles:
            self._take(bundle, now, receiving)
        for alarm in self._books.read(beat):
            if self._seldom.may_say(alarm.event, now):
                log.error(alarm.event, **alarm.fields)
        with self._disk.surviving():
            self._record()
            if beat.audit is not None:
                self._heads.hear(Head(*beat.audit), now)
        if not beat.is_idle:
            self._idle_from, self._gaps_known = None, False
            return
        self._idle_from = self._idle_from or now
        if now - self._idle_from >= GAP_S:
            self._look_back(now, receiving)

    def look(self, now: float) -> None:
        """Say what signatures prove to be missing, also when no heartbeat is heard, or none that says it is idle."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_S
        with self._disk.surviving():
            self._say_proven(request_signed(self._ledger, older_than_s=PROOF_S))
        if left_out := self._hints.left_out(now):
            log.error("bundles_perhaps_missing", count=left_out, do="diode-receiver missing")

    def _say_proven(self, proven: list[Request]) -> None:
        for request in proven:
            if request not in self._proven:
                log.error("bundle_missing", what=request.what, do=request.command)
        self._proven = proven

    def manifest_came(self) -> None:
        """A bundle was begun: perhaps one that was asked for."""
        self._gaps_known = False

    def _begin_key(self, key: str) -> None:
        """A link key speaks, and the last word was another's: what was said under that one counts for nothing."""
        self._key = key
        others = [other for other, order in self.orders.items() if other != key and order.has_spoken]
        if self.orders.get(key, LinkOrder()).has_spoken or not others:
            return
        for other in others:
            self.orders[other] = self.orders[other]._replace(has_spoken=False)  # should it come back
        self._books.start_over()
        self._unrecorded.clear()
        self._withdrawn.clear()
        self._forgets, self._gaps_known = True, False

    def _take(self, bundle: InFlight, now: float, receiving: Mapping[str, Coming]) -> None:
        if bundle.state in ("sending", "waiting"):
            if self._withdrawn.pop(bundle.id, False):
                self._returned[bundle.id] = True
            self._unrecorded[bundle.id] = None
            self._endings.more(bundle.id)
            return
        if bundle.state == "withdrawn":
            self._withdraw(bundle.id, now)
        else:
            self._unrecorded[bundle.id] = None
        self._endings.over(bundle.id, now, receiving=bundle.id in receiving)

    def _withdraw(self, bundle: str, now: float) -> None:
        """The sender says that it cannot send it any more. That is not signed: it is over, and it is missing."""
        if bundle in self._withdrawn:
            return
        self._withdrawn[bundle] = False
        self._gaps_known = False
        if self._hints.take(now):
            do = "ask staging; it comes again under a new version, if at all"
            log.error("bundle_withdrawn", bundle=bundle, do=do)

    def _record(self) -> None:
        for known in (self._unrecorded, self._withdrawn, self._returned):
            while len(known) > MAX_HEARD:
                del known[next(iter(known))]
        if self._forgets:
            self._ledger.peer.forget_claims(self._key)
            self._forgets = False
            self._recorded = self._ledger.peer.issued()
        self._ledger.peer.note_order(self._key, self.orders[self._key])
        self._ledger.peer.note_heard(self._unrecorded)
        self._unrecorded.clear()
        self._record_withdrawn()
        self._record_issued()

    def _record_withdrawn(self) -> None:
        while self._returned:
            self._ledger.peer.forget_withdrawn(next(iter(self._returned)))
            del self._returned[next(iter(self._returned))]
        if news := [bundle for bundle, is_recorded in self._withdrawn.items() if not is_recorded]:
            self._ledger.peer.note_withdrawn(news)
            self._withdrawn |= dict.fromkeys(news, True)

    def _record_issued(self) -> None:
        self._ledger.peer.forget_issued(self._books.forgotten)
        for channel in self._books.forgotten:
            self._recorded.pop(channel, None)
        self._books.forgotten.clear()
        told = self._books.told
        if news := {channel: told[channel] for channel in told if told[channel] != self._recorded.get(channel)}:
            self._ledger.peer.note_issued(news)
            self._recorded |= news
            self._books.forget(self._ledger.peer.keep_channels(self._configured))
            self._gaps_known = False

    def _look_back(self, now: float, receiving: Mapping[str, Coming]) -> None:
        """Nothing more comes by itself. Of many bundles that end at once, heartbeats name a few."""
        for bundle, last in receiving.items():
            if last.how != "resumed":
                self._endings.over(bundle, now, receiving=True)
        if self._gaps_known:
            return
        with self._disk.surviving():
            gaps = request_gaps(self._ledger, self._configured)
            self._say_proven([gap for gap in gaps if gap.is_signed])
            for gap in gaps:
                if not gap.is_signed and gap not in self.gaps and self._hints.take(now):
                    log.error("bundle_missing", what=gap.what, do=gap.command)
            self.gaps, self._gaps_known = gaps, True
