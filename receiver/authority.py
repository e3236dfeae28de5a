"""Whom this receiver believes: the newest trust document it took, or the keys in its folder while it has none."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from diode.durable import read_bounded
from diode.envelope import read_envelope, valid_keys
from diode.errors import ExpiredError, ManifestError, SignerError
from diode.keys import read_trusted
from diode.manifest import MAX_MANIFEST_BYTES, PAYLOAD_TYPE, bundle_id
from diode.trust import Opened, Role, Trust, open_manifest
from diode.trust_document import (
    MAX_TRUST_BYTES,
    TRUST_CHANNEL,
    TRUST_FILE,
    TrustDocument,
    open_first,
    open_next,
    read_document,
)
from receiver.ledger import Ledger

Note = Callable[[TrustDocument], None]


class Proposal(NamedTuple):
    """A trust document that a bundle brings. ``document`` None: it was taken before."""

    sealed: bytes
    document: TrustDocument | None


class Authority:
    """Trusted keys and roles. The document lies in the ledger, so one that is put back is noticed with it."""

    def __init__(self, ledger: Ledger, signers: Path | None, roles: Mapping[str, Role]) -> None:
        """``signers``: a folder of keys, which holds some unless there is a document; None: documents alone count."""
        self._ledger = ledger
        self._roles = dict(roles)
        sealed = ledger.trust_document()
        self.document: TrustDocument | None = read_document(sealed) if sealed is not None else None
        if self.document is not None:
            trust = self.document.trust
        else:
            trust = read_trusted(signers) if signers is not None else Trust([])
        self._trust = trust.demanding(self._roles)
        self._sealed = sealed  # the document that counts

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

        ``now`` is the receiver's own clock; None: when it was accepted, all was in time.
        """
        opened = open_manifest(sealed, self._trust, now)
        if now is not None and opened.manifest.channel != TRUST_CHANNEL:
            self._check_time(now)
        return opened

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
        if self._ledger.knows_trust(sealed):
            return Proposal(sealed, None)
        if self.document is None:
            raise SignerError(
                "it brings a trust document, but none is installed here that it could follow; a person installs the "
                "first one: diode-receiver trust install FILE"
            )
        return Proposal(sealed, open_next(sealed, self.document, now))

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
        return self._take(sealed, open_first(sealed, now) if before is None else open_next(sealed, before, now), note)

    def _take(self, sealed: bytes, document: TrustDocument, note: Note) -> TrustDocument:
        note(document)
        self._ledger.note_trust(document.version, sealed)
        self._count(sealed, document)
        return document

    def _catch_up(self) -> None:
        """What the ledger took and the disk then kept from counting counts now."""
        newest = self._ledger.trust_document()
        if newest is not None and newest != self._sealed:
            self._ledger.keep_anchor()
            self._count(newest, read_document(newest))

    def _count(self, sealed: bytes, document: TrustDocument) -> None:
        self._sealed, self.document = sealed, document
        self._trust = document.trust.demanding(self._roles)

    def _check_time(self, now: str) -> None:
        document = self.document
        if document is not None and document.expires is not None and document.expires <= now:
            raise ExpiredError(
                f"the trust document expired at {document.expires}; until a newer one comes nothing is taken"
            )
