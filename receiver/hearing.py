"""What the receiver hears of its sender: heartbeats are recorded, compared with earlier ones, and turned into requests.

What the disk does not take is recorded with a later heartbeat: nothing that is heard ends the receiver.
"""

from collections.abc import Mapping
from typing import Final

import structlog

from diode.chain import Head
from diode.heartbeat import Heartbeat
from receiver.books import Books
from receiver.disk import DiskHealth
from receiver.endings import Endings
from receiver.events import Coming
from receiver.heads import PeerHeads
from receiver.ledger import MAX_HEARD, Ledger
from receiver.requests import Request, request_gaps

GAP_S: Final = 10.0  # heartbeats that name nothing on its way for so long: what is numbered was sent

log = structlog.get_logger()


class Hearing:
    """Takes each heartbeat once, in order. ``order`` is the newest one's; ``gaps`` is what is asked for since it.

    Times are of the monotonic clock that ``endings`` goes by.
    """

    def __init__(self, ledger: Ledger, endings: Endings, disk: DiskHealth, heads: PeerHeads) -> None:
        self.order = ledger.heartbeat_order()
        self.gaps: list[Request] = []
        self._ledger = ledger
        self._endings = endings
        self._disk = disk
        self._heads = heads
        self._recorded = ledger.issued()
        self._books = Books(self._recorded)
        self._unrecorded: dict[str, None] = {}  # bundles heard of, oldest first
        self._withdrawn = dict.fromkeys(ledger.withdrawn(), True)  # and whether it is recorded
        self._gaps_known = False  # nothing has happened since they were looked for
        self._idle_from: float | None = None  # since when heartbeats name nothing that is on its way

    def hear(self, beat: Heartbeat, now: float, receiving: Mapping[str, Coming]) -> None:
        """Take a heartbeat; ``receiving`` has the last event of each bundle whose manifest has arrived."""
        self.order = beat.order
        for bundle in beat.bundles:
            if bundle.state == "withdrawn":
                self._withdraw(bundle.id)
                continue
            self._unrecorded[bundle.id] = None
            if bundle.state == "over":
                self._endings.over(bundle.id, now, receiving=bundle.id in receiving)
            else:
                self._endings.more(bundle.id)
        for alarm in self._books.read(beat):
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

    def manifest_came(self) -> None:
        """A bundle was begun: perhaps one that was asked for."""
        self._gaps_known = False

    def _withdraw(self, bundle: str) -> None:
        """The sender cannot send it any more: it is not asked for, and not waited for."""
        if bundle in self._withdrawn:
            return
        self._withdrawn[bundle] = False
        self._gaps_known = False
        self._endings.ended(bundle)
        log.error("bundle_withdrawn", bundle=bundle, do="nothing here; it comes again under a new version, if at all")

    def _record(self) -> None:
        while len(self._unrecorded) > MAX_HEARD:
            del self._unrecorded[next(iter(self._unrecorded))]
        self._ledger.note_heartbeat(*self.order)
        self._ledger.note_heard(self._unrecorded)
        self._unrecorded.clear()
        if news := [bundle for bundle, is_recorded in self._withdrawn.items() if not is_recorded]:
            self._ledger.note_withdrawn(news)
            self._withdrawn = dict.fromkeys(self._ledger.withdrawn(), True)
        if self._books.issued != self._recorded:
            self._ledger.note_issued(self._books.issued)
            self._recorded = dict(self._books.issued)
            self._gaps_known = False

    def _look_back(self, now: float, receiving: Mapping[str, Coming]) -> None:
        """Nothing more comes by itself. Of many bundles that end at once, heartbeats name a few."""
        for bundle, last in receiving.items():
            if last.how != "resumed":
                self._endings.over(bundle, now, receiving=True)
        if self._gaps_known:
            return
        gaps = request_gaps(self._ledger)
        for gap in gaps:
            if gap not in self.gaps:
                log.error("bundle_missing", what=gap.what, do=gap.command)
        self.gaps, self._gaps_known = gaps, True
