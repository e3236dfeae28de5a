"""From a manifest that arrived to a bundle being received, or to what is said of one that is not."""

from contextlib import suppress
from functools import partial
from typing import Final

from diode.audit.chain import What
from diode.bundle.manifest import Manifest
from diode.bundle.opened import Opened
from diode.console.budget import Newest
from diode.errors import ContentError, Drop, NumberError
from diode.formats.names import TRUST_CHANNEL
from diode.formats.timestamps import now_utc
from receiver.inbox.facts import audit_names, ref_of
from receiver.messages.pipeline import Accepted, NumberWaits
from receiver.policy.admission import Admission
from receiver.policy.rules import Policy
from receiver.spool.bundle import begin_folder
from receiver.store.collect import Collecting
from receiver.store.giving_up import GivingUp
from receiver.store.judge import ArrivedManifest, Rejected, Signed, judge_manifest
from receiver.store.receiving import Bundles
from receiver.store.records import Records
from receiver.store.refuse import Refusing
from receiver.store.reports import Reports

MAX_AHEAD: Final = 4096  # bundle ids whose number waits, the newest: one alarm each


class Beginning:
    """Decides what becomes of the bundle of each manifest."""

    def __init__(
        self,
        records: Records,
        reports: Reports,
        bundles: Bundles,
        admission: Admission,
        policy: Policy,
        refusing: Refusing,
        giving_up: GivingUp,
        collecting: Collecting,
    ) -> None:
        self._records = records
        self._reports = reports
        self._bundles = bundles
        self._admission = admission
        self._policy = policy
        self._refusing = refusing
        self._giving_up = giving_up
        self._collecting = collecting
        self._ahead = Newest[int](MAX_AHEAD)

    def take(self, arrived: ArrivedManifest) -> None:
        """Judge a manifest, and begin its bundle when everything allows it."""
        match judge_manifest(arrived, lambda sealed: self._records.authority.open(sealed, now_utc())):
            case Rejected() as rejected:
                self._reject(rejected)
            case Signed() as signed:
                self._maybe_begin(signed)

    def _reject(self, rejected: Rejected) -> None:
        is_signed = self._records.authority.has_signed(rejected.number, rejected.sealed)
        if not (is_signed and self._is_over(rejected.number, rejected.hex_id)):
            self._refusing.reject(rejected, is_signed=is_signed)

    def _maybe_begin(self, signed: Signed) -> None:
        opened, ref = signed.opened, ref_of(signed.opened)
        manifest = opened.manifest
        if self._is_over(ref.number, ref.hex_id):
            return
        self._make_room(manifest)
        if not self._admission.has_room(ref, manifest, self._bundles.claims()):
            return  # its manifest comes again
        try:
            self._admission.check(manifest)
            self._policy.check(manifest, now_utc())
            self._records.ledger.numbers.check(manifest)
            write_back = begin_folder(self._records.spool, ref.hex_id, signed.sealed)  # there before the ledger says so
            self._spend_number(opened)
        except NumberError as error:
            self._wait(opened, error)
            return
        except ContentError as error:
            self._refusing.refuse_unbegun(opened, error)
            return
        bundle = self._bundles[ref.number] = self._records.take_up(opened, signed.sealed, write_back)
        self._reports.known(bundle, self._records.ledger)
        if self._bundles.is_recorded(ref.number):
            self._reports.tell(Accepted(ref.hex_id))
            self._reports.predecessor(bundle, self._records.before(manifest))
        else:  # the same one may come again and again
            self._reports.proving(bundle, is_new=self._reports.has_turn("trust"))
        with self._refusing.refusing(bundle):
            self._collecting.after_tables(bundle)

    def _make_room(self, manifest: Manifest) -> None:
        """Where inodes are short, what never completed gives its own back, the stillest first."""
        short = self._admission.maybe_short(manifest, self._bundles.claims())
        if short is not None and short.of == "inodes":
            self._giving_up.give_back_inodes(short.needed - short.free, self._reports.now)

    def _is_over(self, number: int, hex_id: str) -> bool:
        """Whether nothing more of a bundle is wanted; ``assemble`` is told so."""
        row = self._records.ledger.bundles.get(hex_id)
        if row is None or row.state not in ("held", "publishing", "published", "refused"):
            return False
        self._reports.finished(number, Drop.REFUSED if row.state == "refused" else Drop.REDUNDANT)
        return True

    def _spend_number(self, opened: Opened) -> None:
        """Spend a bundle's number and version; of channel ``trust`` nothing is recorded before it is proven."""
        ref, ledger = ref_of(opened), self._records.ledger
        if ref.channel == TRUST_CHANNEL:
            ledger.bundles.forget(ref.hex_id)
            for other in self._bundles.unrecorded.begin(ref.number, opened.signer, self._reports.now):
                self._giving_up.give_up_unrecorded(other)
            return
        note = partial(self._records.note, What.ACCEPTED, opened)
        ledger.bundles.accept(ref.hex_id, opened.manifest, opened.signer, note)

    def _wait(self, opened: Opened, error: NumberError) -> None:
        """Its number alone is no reason to refuse a bundle: a person can say that it is right."""
        ref = ref_of(opened)
        with suppress(OSError):
            self._records.spool.remove(ref.hex_id)
        self._records.ledger.waiting.note_ahead(ref.hex_id, ref.channel, opened.manifest.sequence)
        if self._ahead.meet(ref.number) and self._reports.has_turn("waiting"):
            self._reports.tell(NumberWaits(ref.hex_id, str(error), error.do))
            self._records.audit.append(What.POSTPONED, **audit_names(opened), detail=str(error))
