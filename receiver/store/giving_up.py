"""Gives up bundles that stayed incomplete for too long, or that newer ones pushed out. Each may begin anew later."""

from typing import Final

from diode.audit.chain import What
from diode.bundle.ref import number_of
from diode.formats.timestamps import moment
from diode.process.clock import ClockWatch
from receiver.ledger.states import State
from receiver.messages.pipeline import Dropped, Expired
from receiver.spool.disk import inodes_of
from receiver.store.receiving import Bundles, Receiving
from receiver.store.records import Records
from receiver.store.reports import Reports

EXPIRE_EVERY_S: Final = 600.0
STILL_S: Final = 600.0  # what gains nothing for so long may be given up when others need its inodes

Gained = tuple[str, int]  # when something was stored or spilled last, as the ledger has it, and the bytes stored


class GivingUp:
    """Gives up what stays incomplete for longer than ``keep_s`` seconds, and what it is told to.

    What the ledger has is as old as ``clock`` says; while that is not believed, nothing of it is given up for its age.
    """

    def __init__(
        self, records: Records, reports: Reports, bundles: Bundles, keep_s: float, clock: ClockWatch | None = None
    ) -> None:
        self._records = records
        self._reports = reports
        self._bundles = bundles
        self._keep_s = keep_s
        self._clock = clock or ClockWatch()
        self._expire_at = 0.0
        self._still: dict[int, tuple[Gained, float]] = {}  # what each bundle had gained, and since when no more

    def maybe_expire(self, now: float) -> None:
        """Once in a while give up what is too old. ``now`` is of a monotonic clock, in seconds."""
        self._clock.look()
        with self._reports.disk.surviving():
            self.note_progress(now)
        if now >= self._expire_at:
            self._expire_at = now + EXPIRE_EVERY_S
            with self._reports.disk.surviving():
                self.expire(now)

    def expire(self, now: float) -> None:
        """Give up what has been incomplete for too long. Raises StorageError."""
        believed = self._clock.now()
        rows = () if believed is None else self._records.ledger.bundles.untouched(moment(believed - self._keep_s))
        for row in rows:
            bundle = self._bundles.get(number_of(row.id))
            if bundle is not None:
                self._give_up(bundle, "incomplete for longer than limits.keep_incomplete_days")
        for number in self._bundles.unrecorded.begun_before(now - self._keep_s):
            self.give_up_unrecorded(number)

    def note_progress(self, now: float) -> None:
        """See which bundles gained something since the last call. ``now`` is of a monotonic clock. StorageError."""
        changed = {row.id: row.changed for row in self._records.ledger.bundles.in_progress()}
        before, self._still = self._still, {}
        for bundle in self._bundles.each():
            gained = changed.get(bundle.hex_id, ""), bundle.judge.stored_bytes
            known = before.get(bundle.number)
            self._still[bundle.number] = known if known is not None and known[0] == gained else (gained, now)

    def give_back_inodes(self, lacking: int, now: float) -> None:
        """Another bundle needs inodes: give up what gained nothing for long enough, the stillest first.

        Nothing is given up unless it frees as many as are ``lacking``. Raises StorageError.
        """
        chosen: list[Receiving] = []
        for number, (_, since) in sorted(self._still.items(), key=lambda one: one[1][1]):
            bundle = self._bundles.get(number)
            if now - since < STILL_S or bundle is None or bundle.judge.is_complete:
                continue
            if lacking <= 0:
                break
            chosen.append(bundle)
            lacking -= inodes_of(bundle.manifest.files.entries)  # what it has, and what is kept free for it
        for bundle in chosen if lacking <= 0 else ():
            if self._bundles.is_recorded(bundle.number):
                self._give_up(bundle, "others needed its inodes, and nothing of it came for a while")
            else:
                self.give_up_unrecorded(bundle.number)

    def _give_up(self, bundle: Receiving, detail: str) -> None:
        self._records.note(What.EXPIRED, bundle.opened, detail=detail)
        self._records.ledger.bundles.set_state(bundle.hex_id, State.EXPIRED, detail)
        self.drop(bundle)
        self._reports.tell(Expired(bundle.hex_id))

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
