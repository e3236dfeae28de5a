"""Gives up bundles that stayed incomplete for too long, or that newer ones pushed out. Each may begin anew later."""

from typing import Final

from diode.audit.chain import What
from diode.bundle.ref import number_of
from receiver.ledger.states import State
from receiver.messages import Dropped, Expired
from receiver.store.receiving import Bundles, Receiving
from receiver.store.records import Records
from receiver.store.reports import Reports

EXPIRE_EVERY_S: Final = 600.0


class GivingUp:
    """Gives up what stays incomplete for longer than ``keep_s`` seconds, and what it is told to."""

    def __init__(self, records: Records, reports: Reports, bundles: Bundles, keep_s: float) -> None:
        self._records = records
        self._reports = reports
        self._bundles = bundles
        self._keep_s = keep_s
        self._expire_at = 0.0

    def maybe_expire(self, now: float) -> None:
        """Once in a while give up what is too old. ``now`` is of a monotonic clock, in seconds."""
        if now >= self._expire_at:
            self._expire_at = now + EXPIRE_EVERY_S
            with self._reports.disk.surviving():
                self.expire(now)

    def expire(self, now: float) -> None:
        """Give up what has been incomplete for too long. Raises StorageError."""
        for row in self._records.ledger.bundles.untouched(self._keep_s):
            bundle = self._bundles.get(number_of(row.id))
            if bundle is None:
                continue
            self._records.note(What.EXPIRED, bundle.opened)
            detail = "incomplete for longer than limits.keep_incomplete_days"
            self._records.ledger.bundles.set_state(row.id, State.EXPIRED, detail)
            self.drop(bundle)
            self._reports.tell(Expired(bundle.hex_id))
        for number in self._bundles.unrecorded.begun_before(now - self._keep_s):
            self.give_up_unrecorded(number)

    def give_up_unrecorded(self, number: int) -> None:
        """A bundle of channel ``trust`` never came whole, or made room for a newer one."""
        bundle = self._bundles.get(number)
        self._bundles.unrecorded.end(number)
        if bundle is not None:
            self.drop(bundle)
            self._reports.tell(Dropped(bundle.hex_id))

    def drop(self, bundle: Receiving) -> None:
        """Keep nothing of a bundle."""
        self._bundles.pop(bundle.number, None)
        bundle.spool.remove()
        self._reports.finished(bundle.number, None)
