"""Refuses bundles whose content, number or place breaks the rules: for good, or only for this time."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from diode.audit.chain import What
from diode.audit.facts import why
from diode.bundle.manifest import PAYLOAD_TYPE, bundle_id, read_manifest
from diode.bundle.opened import Opened
from diode.bundle.ref import number_of
from diode.console.budget import Newest
from diode.errors import ContentError, Drop, ManifestError, PlaceError
from diode.formats.dsse import read_envelope
from diode.formats.names import MAX_MANIFEST_BYTES, TRUST_CHANNEL
from diode.formats.timestamps import now_utc
from diode.storage.folder import Folder
from receiver.inbox.facts import facts, ref_of
from receiver.ledger.bundles import named
from receiver.ledger.states import State
from receiver.messages.pipeline import BundleRefused, Dropped, ManifestRefused
from receiver.store.giving_up import GivingUp
from receiver.store.judge import Rejected
from receiver.store.lost_writes import LostWrites
from receiver.store.receiving import Bundles, Receiving
from receiver.store.records import Records
from receiver.store.reports import Reports

# What is wrong with one bundle's place, and not with the disk: a file where a folder must be, a name too long for here.
PLACE: Final = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EXDEV)
TAKE_BACK_EVERY_S: Final = 60.0
MAX_DETAIL: Final = 500  # characters of a reason that the ledger keeps
MAX_MET: Final = 4096  # bundle ids reported, the newest: whoever has the link key could invent more without end


class Refusing:
    """Refuses bundles, and says of each why."""

    def __init__(
        self, records: Records, reports: Reports, bundles: Bundles, lost: LostWrites, giving_up: GivingUp
    ) -> None:
        self._records = records
        self._reports = reports
        self._bundles = bundles
        self._lost = lost
        self.giving_up = giving_up
        self._by_strangers = Newest[int](MAX_MET)
        self._by_known_keys = Newest[int](MAX_MET)
        self._unbegun = Newest[int](MAX_MET)
        self._take_back_at = 0.0

    @contextmanager
    def refusing(self, bundle: Receiving) -> Iterator[None]:
        """Refuse ``bundle`` when its content, or its place in the inbox, is at fault; others are not held up."""
        try:
            yield
        except ContentError as error:
            with self._lost.forgetting():
                bundle.sync()  # what the disk lost is not held against who signed it
            self.refuse(bundle, error)
        except OSError as error:
            if error.errno not in PLACE:
                raise
            self.refuse(bundle, PlaceError(f"{os.strerror(error.errno)}: {error.filename2 or error.filename}"))

    def refuse(self, bundle: Receiving, error: ContentError) -> None:
        """Its signed content breaks the rules: set it aside for good, now or when the disk takes it."""
        if bundle.manifest.channel == TRUST_CHANNEL:
            self._refuse_trust(bundle.opened, error)
            return
        if bundle.refusal is None:
            self._records.note(What.REFUSED, bundle.opened, **why(error))
            bundle.refusal = error
        self._records.ledger.bundles.set_state(bundle.hex_id, State.REFUSED, str(error))
        self._bundles.pop(bundle.number, None)
        bundle.spool.close()
        self.quarantine(bundle.hex_id, error, facts(bundle.opened), self._records.spool)
        self._reports.finished(bundle.number, Drop.REFUSED)

    def maybe_take_back(self, now: float) -> None:
        """Once in a while take back what was refused by a clock that was wrong. ``now``: of a monotonic clock.

        Raises StorageError.
        """
        if now < self._take_back_at:
            return
        self._take_back_at = now + TAKE_BACK_EVERY_S
        for row in self._records.ledger.bundles.take_back_refusals(now_utc()):
            detail = "refused by a clock that was wrong; have it sent again"
            self._records.audit.append(What.POSTPONED, **named(row), detail=detail)
            self._reports.finished(number_of(row.id), None)

    def refuse_unbegun(self, opened: Opened, error: ContentError) -> None:
        """It is signed, and against this side's rules, before anything of it was received."""
        ref = ref_of(opened)
        if ref.channel == TRUST_CHANNEL:
            self._refuse_trust(opened, error)
            return
        with suppress(OSError):
            self._records.spool.remove(ref.hex_id)
        self._records.note(What.REFUSED, opened, **why(error))
        try:
            self._records.ledger.bundles.refuse(ref.hex_id, opened.manifest, opened.signer, str(error))
        finally:  # a disk that fails now leaves a row, or none: in any case it is said
            if self._unbegun.meet(ref.number):
                self.quarantine(ref.hex_id, error, facts(opened), None)
        self._reports.finished(ref.number, Drop.REFUSED)

    def reject(self, rejected: Rejected, *, is_signed: bool) -> None:
        """A manifest does not count. ``is_signed``: by a key that is known; anything else anybody may have sent."""
        if not (self._by_known_keys if is_signed else self._by_strangers).meet(rejected.number):
            return
        if not self._reports.has_turn("known" if is_signed else "strangers"):
            return
        hex_id, error = rejected.hex_id, rejected.error
        self._records.audit.append(What.QUARANTINED, bundle=hex_id, **why(error))
        self._remember(rejected, is_known=is_signed)
        self._set_aside(hex_id, error, {}, None, is_signed=is_signed)
        self._reports.tell(ManifestRefused(hex_id, error.reason, str(error)))

    def _remember(self, rejected: Rejected, *, is_known: bool) -> None:
        """Its manifest came, so it does not count as lost. What no known key has signed is not read."""
        with suppress(ManifestError), self._reports.disk.surviving():
            payload = read_envelope(rejected.sealed, PAYLOAD_TYPE, MAX_MANIFEST_BYTES).payload
            if bundle_id(payload) == rejected.number:  # else it says nothing about the bundle whose id it came under
                place = read_manifest(payload) if is_known else None
                why_not = (rejected.error.reason, str(rejected.error)[:MAX_DETAIL])
                self._records.ledger.quarantined.note(rejected.hex_id, place, *why_not)

    def quarantine(self, hex_id: str, error: ContentError, about: dict[str, Any], keep: Folder | None) -> None:
        """Set a signed bundle aside, and say that it is refused: for good, once the ledger has it so.

        ``about`` goes into its reason; ``keep``: the folder that has its content, if that is kept.
        """
        self._set_aside(hex_id, error, about, keep)
        row = self._records.ledger.bundles.get(hex_id)
        if row is not None and row.state == "refused":
            self._reports.tell(BundleRefused(row.id, error.reason))
        else:  # the disk did not take that
            self._reports.tell(ManifestRefused(hex_id, error.reason, str(error)))

    def _refuse_trust(self, opened: Opened, error: ContentError) -> None:
        """Of channel ``trust`` nothing is refused for good: what does not follow today may follow another document."""
        ref = ref_of(opened)
        if self._reports.has_turn("trust"):
            self._records.note(What.REFUSED, opened, **why(error))
            self._records.ledger.quarantined.note(ref.hex_id, opened.manifest, error.reason, str(error)[:MAX_DETAIL])
            self._set_aside(ref.hex_id, error, facts(opened), None)
            self._reports.tell(ManifestRefused(ref.hex_id, error.reason, str(error)))
        bundle = self._bundles.get(ref.number)
        if bundle is not None and bundle.target is not None:  # it may lie in the inbox: remember it
            self._records.ledger.bundles.set_state(ref.hex_id, State.REFUSED, str(error))
        self._records.ledger.bundles.forget(ref.hex_id)
        self._bundles.unrecorded.end(ref.number)
        if bundle is not None:
            self.giving_up.drop(bundle)
            self._reports.tell(Dropped(ref.hex_id))
        else:
            self._reports.finished(ref.number, None)

    def _set_aside(
        self, hex_id: str, error: ContentError, about: dict[str, Any], keep: Folder | None, *, is_signed: bool = True
    ) -> None:
        with self._reports.disk.surviving():  # the alarm has the reason in any case
            self._records.inbox.set_aside(hex_id, error, about, keep, is_signed=is_signed)
