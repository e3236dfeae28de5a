"""What follows a publication: the pointer of its name, the orders of people, and what the gateway is shown."""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from diode.errors import UsageError
from diode.formats.timestamps import now_utc
from diode.process.clock import ClockWatch
from receiver.catalogue.takers import last_taken
from receiver.ledger.states import State
from receiver.promotion.apply import Pointers
from receiver.promotion.drill import Checking, Drills
from receiver.promotion.drill_check import Verified, verify_at_rest
from receiver.promotion.drill_report import ReportFiles
from receiver.promotion.facts import Known
from receiver.promotion.files import PointerFiles
from receiver.promotion.obey import Apply, Orders, Wanted
from receiver.promotion.recalling import Recalling
from receiver.promotion.reconcile import Reconciling
from receiver.promotion.removal import Removal
from receiver.promotion.shown import WITHOUT_POINTERS, Shown
from receiver.promotion.trial import Trials
from receiver.release.words import Releasers
from receiver.settings import StoreSettings
from receiver.spool.finishing import Finishing
from receiver.store.records import Records
from receiver.store.reports import Reports

LOOK_S: Final = 0.5  # how soon an order is read
LOOK_AGAIN_S: Final = 5.0  # when orders that wait are weighed anew, and what the disk refused is tried again


class Serving:
    """Keeps what clients are given in step with what was published and ordered."""

    def __init__(
        self,
        settings: StoreSettings,
        records: Records,
        reports: Reports,
        releasers: Releasers,
        finishing: Finishing,
        clock: ClockWatch,
        describe: Callable[[str], None],
    ) -> None:
        """``describe`` has a bundle looked into."""
        self._reports = reports
        self._bundles = records.ledger.bundles
        forward = [name for name, channel in settings.channels.items() if channel.identity]
        self.shown = Shown(records.ledger, Path(settings.index), now_utc, forward)
        links = PointerFiles(records.inbox)
        self.pointers = Pointers(records.ledger, records.audit, links, self.shown, reports.tell)
        known = Known(records.ledger, records.inbox, settings.channels)
        self.trials = trials = Trials(self.pointers, known)
        self.recalling = Recalling(self.pointers, reports.tell, self.published)
        files = ReportFiles(Path(settings.state), os.uname().nodename, records.signer)
        check = partial(_check, records, finishing)
        self.drills = Drills(trials, known, settings.channels, files, check, reports.tell)
        taken = partial(last_taken, Path(settings.taken))
        self.removal = Removal(records.inbox, self.pointers, known, finishing.start, taken, time.time, clock.is_doubted)
        others: dict[str, Apply] = {
            "healthy": self.drills.answered,
            "unhealthy": self.drills.answered,
            "drill": self.drills.begin,
            "recall": self.recalling.order,
            "undo-recall": self.recalling.undo,
            "remove": self.removal.remove,
            "describe": partial(self._describe, describe),
        }
        state = Path(settings.state)
        self.orders = Orders(state, releasers, self.pointers, known, reports.tell, others, time.time)
        self._reconciling = Reconciling(self.pointers, known, trials, now_utc)
        self._look_at = self._look_again_at = 0.0
        self._published: dict[str, None] = {}  # whose pointers have not followed yet
        self._is_started = False

    def start(self) -> None:
        """Set right what an earlier run left, and show it. What the disk does not take is tried again."""
        with self._reports.disk.surviving():
            self._reconciling.reconcile()
            self._is_started = True
            self.removal.resume()
            self.shown.write_decided()
            self.drills.resume()

    def published(self, hex_id: str) -> None:
        """A bundle was published, and looked into: its name's pointer follows, unless people move it alone."""
        self._published[hex_id] = None
        if self._is_started:
            with self._reports.disk.surviving():
                self._follow_published()

    def step(self, now: float) -> None:
        """Read orders when there are any, and show what changed. ``now``: of a monotonic clock, in seconds."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_S
        if now >= self._look_again_at or self.orders.has_news():
            self._look_again_at = now + LOOK_AGAIN_S
            self._look()
        for work in (self.drills.step, partial(self.shown.maybe_write, now)):
            with self._reports.disk.surviving():
                work()

    def _look(self) -> None:
        """Each of these goes on where the disk stopped it."""
        if not self._is_started:
            self.start()
            return
        orders = (self.orders.look, self._follow_after_drills)
        for work in (self.pointers.settle, self._follow_published, *orders, self.removal.go_on):
            with self._reports.disk.surviving():
                work()

    def _describe(self, describe: Callable[[str], None], wanted: Wanted) -> None:
        """Have a bundle looked into again: a person asked the supervisor. Raises UsageError."""
        bundle, *others = wanted.order.bundles or [""]
        row = self._bundles.get(bundle)
        if others or row is None or row.state != State.PUBLISHED:
            raise UsageError("it is about no published bundle")
        self.orders.conclude(wanted.outcomes("applied", "it is looked into again"))
        describe(bundle)

    def _follow_published(self) -> None:
        for hex_id in list(self._published):
            row = self._bundles.get(hex_id)
            if row is not None and row.channel not in WITHOUT_POINTERS:
                self.shown.change()
                self._reconciling.follow([row])
            del self._published[hex_id]

    def _follow_after_drills(self) -> None:
        """What was published during a drill is put to use when that is over."""
        for channel, name in self.trials.take_ended():
            rows = [row for row in self._bundles.of_name(channel, name) if row.state == "published"]
            self._reconciling.follow(rows)


def _check(records: Records, finishing: Finishing, wanted: Checking, take: Callable[[Verified], None]) -> None:
    """Verify a version in the thread that verifies bundles; ``take`` is called there when it is done."""
    trust, place = records.authority.trust, (wanted.channel, wanted.name)
    finishing.start(wanted, lambda: take(verify_at_rest(records.inbox, place, wanted.version, trust, records.own_key)))
