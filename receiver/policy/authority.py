"""Whom this receiver believes: the newest trust document it took, or the keys in its folder while it has none."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from diode.bundle.manifest import PAYLOAD_TYPE, bundle_id
from diode.bundle.opened import Opened
from diode.errors import ExpiredError, ForkError, ManifestError, ReplayError, SignerError
from diode.formats.dsse import read_envelope, valid_keys
from diode.formats.names import MAX_MANIFEST_BYTES, TRUST_CHANNEL
from diode.storage.durable import read_bounded
from diode.trust.document import (
    MAX_TRUST_BYTES,
    TRUST_FILE,
    TrustDocument,
    check_itself,
    document_digest,
    open_first,
    open_next,
    read_document,
)
from diode.trust.keys import read_trusted
from diode.trust.roles import Role, Trust, open_manifest
from receiver.ledger.bundles import EXPIRED_TRUST
from receiver.ledger.ledgers import LedgerView, StoreLedger

Note = Callable[[TrustDocument, bytes], None]


class Proposal(NamedTuple):
    """A trust document that a bundle brings. ``document`` None: it was taken before."""

    sealed: bytes
    document: TrustDocument | None


class Authority:
    """Trusted keys and roles. The trust document lies in the ledger, so the rollback guard notices an older one, too.

    ``awaited``: version and digest of a newer document that counted here, and that a ledger which was put back has
    forgotten. Until that very document is there nothing is published, and no other one is taken.
    """

    def __init__(self, ledger: StoreLedger, signers: Path | None, roles: Mapping[str, Role]) -> None:
        """``signers``: a folder of keys, which holds some unless there is a document; None: documents alone count."""
        self._ledger = ledger
        self._roles = dict(roles)
        self.document = read_kept(ledger)
        self.awaited = _awaited(ledger)
        if self.document is not None:
            trust = self.document.trust
        else:
            trust = read_trusted(signers) if signers is not None else Trust([])
        self._trust = trust.demanding(self._roles)
        self._sealed = ledger.trust.document()  # the document that counts

    @property
    def trust(self) -> Trust:
        """Whose signatures count, for which channel."""
        return self._trust

    @property
    def release(self) -> Trust | None:
        """Who releases what is held, by the document; None: there is none."""
        return self.document.release_trust if self.document else None

    def open(self, sealed: bytes, now: str | None) -> Opened:
        """A manifest that enough of the right people have signed. Raises TrustError, ExpiredError, ManifestError.

        ``now`` is the receiver's own clock. None: do not check dates, since they were good when it was accepted.
        """
        opened = open_manifest(sealed, self._trust, now)
        if now is not None and opened.manifest.channel != TRUST_CHANNEL:
            self._check_time(now)
            self._check_awaited()
        return opened

    def _check_awaited(self) -> None:
        """Raise ExpiredError while a newer trust document is awaited."""
        if self.awaited is not None:
            raise ExpiredError(
                f"trust document {self.awaited[0]} counted here, and the ledger that was put back does not hold it; "
                "until it does nothing is taken: type diode-receiver trust install FILE with the document of digest "
                f"{self.awaited[1]}"
            )

    def confirm(self, opened: Opened, now: str) -> None:
        """Raise when what was accepted would not be any more: TrustError, a key was revoked; ExpiredError, as open."""
        if opened.manifest.channel != TRUST_CHANNEL:
            self._check_time(now)
        self._trust.confirm(opened.manifest.channel, opened.signatures)

    def has_signed(self, number: int, sealed: bytes) -> bool:
        """Whether a key that is known here, also a revoked one, has signed the manifest of just this bundle."""
        try:
            envelope = read_envelope(sealed, PAYLOAD_TYPE, MAX_MANIFEST_BYTES)
        except ManifestError:
            return False
        keys = (trusted.key for trusted in self._trust.keys.values())
        return bundle_id(envelope.payload) == number and any(True for _ in valid_keys(envelope, keys))

    def proposed(self, folder: Path, now: str) -> Proposal | None:
        """The trust document that a bundle of channel ``trust`` brings in ``folder``, verified; it counts not yet.

        None: it brings none. Raises ContentError for one that does not follow the document that counts here.
        """
        try:
            sealed = read_bounded(folder / TRUST_FILE, MAX_TRUST_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ManifestError(f"{TRUST_FILE} cannot be read: {error.strerror}") from error
        self._catch_up()
        if self._ledger.trust.knows(sealed):
            return Proposal(sealed, None)
        if self.document is None:
            raise SignerError(
                "it brings a trust document, but none is installed here that it could follow; a person installs the "
                "first one: diode-receiver trust install FILE"
            )
        return Proposal(sealed, self._open_next(sealed, self.document, now))

    def follow(self, proposal: Proposal, note: Note) -> TrustDocument | None:
        """Take a proposed document. None: it was taken before, by another bundle or before a crash.

        ``note`` is called before it counts; durable when this returns.
        """
        if proposal.document is None:
            return None
        return self._take(proposal.sealed, proposal.document, note)

    def install(self, sealed: bytes, now: str, note: Note) -> TrustDocument:
        """Take a document that a person brought: the first one, or one that follows. Raises ContentError."""
        before = self.document
        if before is None or self.awaited is not None:
            return self._take(sealed, self._open_first(sealed, now), note)
        return self._take(sealed, self._open_next(sealed, before, now), note)

    def _open_next(self, sealed: bytes, before: TrustDocument, now: str) -> TrustDocument:
        try:
            document = open_next(sealed, before, now)
        except ReplayError:
            self._check_fork(sealed)
            raise
        self._check_is_awaited(document, sealed)
        return document

    def _check_fork(self, sealed: bytes) -> None:
        """Raise ForkError when a document whose root signed it well is another one than was taken under its version."""
        version = read_document(sealed).version
        if (known := self._ledger.trust.digest(version)) not in (None, document_digest(sealed)):
            raise ForkError(f"there are two trust documents {version}: the one taken here is of digest {known}")

    def _open_first(self, sealed: bytes, now: str) -> TrustDocument:
        document = open_first(sealed, now)
        self._check_is_awaited(document, sealed)
        return document

    def _check_is_awaited(self, document: TrustDocument, sealed: bytes) -> None:
        """The people who sign after the document that is here may have been dismissed by the one that is awaited."""
        found = document.version, document_digest(sealed)
        if self.awaited is not None and found != self.awaited:
            raise ReplayError(
                f"trust document {found[0]} of digest {found[1]} is not the one that counted here, which is "
                f"{self.awaited[0]} of digest {self.awaited[1]}"
            )

    def _take(self, sealed: bytes, document: TrustDocument, note: Note) -> TrustDocument:
        note(document, sealed)
        self._ledger.trust.note(document.version, sealed)
        self._count(sealed, document)
        return document

    def _catch_up(self) -> None:
        """What the ledger took and the disk then kept from counting counts now."""
        newest = self._ledger.trust.document()
        if newest is not None and newest != self._sealed:
            self._ledger.keep_guard()
            self._count(newest, read_document(newest))

    def _count(self, sealed: bytes, document: TrustDocument) -> None:
        self._sealed, self.document, self.awaited = sealed, document, _awaited(self._ledger)
        self._trust = document.trust.demanding(self._roles)

    def _check_time(self, now: str) -> None:
        document = self.document
        if document is not None and document.expires is not None and document.expires <= now:
            raise ExpiredError(f"{EXPIRED_TRUST}{document.expires}; until a newer one comes nothing is taken")


def read_kept(ledger: LedgerView) -> TrustDocument | None:
    """The document in a ledger, which its own root must have signed. Raises ContentError."""
    sealed = ledger.trust.document()
    if sealed is None:
        return None
    document = read_document(sealed)
    check_itself(sealed, document)
    return document


def _awaited(ledger: LedgerView) -> tuple[int, str] | None:
    low_watermark, newest = ledger.trust.low_watermark(), ledger.trust.newest()
    if low_watermark is None or (newest is not None and (newest == low_watermark or newest[0] > low_watermark[0])):
        return None
    return low_watermark
