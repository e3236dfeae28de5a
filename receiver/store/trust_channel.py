"""Bundles of channel ``trust``: the trust document that one brings counts as soon as it is proven to follow."""

from diode.audit.chain import What
from diode.audit.facts import trust_facts
from diode.errors import ForkError
from diode.formats.timestamps import now_utc
from diode.trust.document import TrustDocument, document_digest
from receiver.messages.pipeline import TrustChanged, TrustForked
from receiver.policy.authority import Proposal
from receiver.store.receiving import Bundles, Receiving
from receiver.store.records import Records
from receiver.store.refuse import Refusing
from receiver.store.reports import Reports


class TrustChannel:
    """Proves what such bundles bring; only then the ledger knows of them."""

    def __init__(self, records: Records, reports: Reports, bundles: Bundles, refusing: Refusing) -> None:
        self._records = records
        self._reports = reports
        self._bundles = bundles
        self._refusing = refusing

    def prove(self, bundle: Receiving, *, is_held: bool) -> None:
        """See what a complete bundle brings. A document counts at once, or as soon as people released it.

        Raises ContentError for a document that does not follow the one that counts here.
        """
        authority = self._records.authority
        before, proposal = authority.document, self._proposed(bundle)
        if proposal is not None and not is_held:
            authority.follow(proposal, lambda document, sealed: self._note(bundle, document, sealed))
            bundle.is_document = True
        document = authority.document
        if document is not None and document is not before:
            self._reports.tell(TrustChanged(bundle.hex_id, document.version))
            self._judge_anew()
        if not self._bundles.is_recorded(bundle.number):
            self._records.ledger.bundles.record(bundle.hex_id, bundle.manifest, bundle.opened.signer)
            self._bundles.unrecorded.end(bundle.number)
            self._reports.predecessor(bundle, self._records.before(bundle.manifest))

    def _proposed(self, bundle: Receiving) -> Proposal | None:
        try:
            return self._records.authority.proposed(bundle.spool.path / "data", now_utc())
        except ForkError as error:
            if self._reports.has_turn("forks"):
                self._reports.tell(TrustForked(bundle.hex_id, str(error)))
            raise

    def _note(self, bundle: Receiving, document: TrustDocument, sealed: bytes) -> None:
        facts = trust_facts(document.version, document_digest(sealed))
        self._records.note(What.TRUST_CHANGED, bundle.opened, **facts)

    def _judge_anew(self) -> None:
        """Whom to believe has changed: what revoked keys have begun blocks no number any more."""
        for bundle in self._bundles.each():
            is_open = bundle.refusal is None and not bundle.judge.is_complete
            if is_open and self._bundles.is_recorded(bundle.number):
                with self._reports.disk.surviving(), self._refusing.refusing(bundle):
                    self._records.authority.trust.confirm(bundle.manifest.channel, bundle.opened.signatures)
