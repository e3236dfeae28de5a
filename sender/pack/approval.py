"""Bundles that people have to sign: finds one that waits, adds a signature, and knows when there are enough."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.bundle.beginning import find_bundle
from diode.bundle.manifest import PAYLOAD_TYPE, bundle_id
from diode.bundle.opened import Signature
from diode.bundle.ref import number_of
from diode.config.sender import SenderConfig
from diode.errors import NotInitialisedError, SourceError, TrustError, UsageError
from diode.formats.dsse import merge_signatures, read_envelope, write_envelope
from diode.formats.names import MAX_MANIFEST_BYTES
from diode.formats.signers import Envelope, Signer
from diode.storage.durable import write_durably
from diode.trust.keys import read_trusted
from sender.ledger import Ledger, Row, State, named
from sender.outbox.folder import OutboxFolder
from sender.pack.identity_copies import forget, forget_older
from sender.pack.packed import MANIFEST_FILE, check_packed

MOST_REASON: Final = 500


class Approval(NamedTuple):
    """Who has signed a bundle so far, and how many people must sign it (``needed``)."""

    signatures: tuple[Signature, ...]
    needed: int

    @property
    def persons(self) -> list[str]:
        """The people who have signed, each named once, however many keys they used."""
        return sorted({signature.person for signature in self.signatures})

    @property
    def is_enough(self) -> bool:
        """Whether enough people have signed, so that the bundle may be sent."""
        return len(self.persons) >= self.needed


def find_waiting(ledger: Ledger, text: str) -> Row:
    """The waiting bundle whose id is, or begins with, ``text``. Raises UsageError unless it is exactly one."""
    return find_bundle(
        ledger.ids, text, "'diode-sender waiting' shows those that wait for signatures", {State.UNAPPROVED}
    )


def reject_waiting(config: SenderConfig, ledger: Ledger, row: Row, reason: str, audit: AuditLog) -> None:
    """Withdraw a bundle that waits for signatures. Its item moves to the folder ``failed``."""
    detail = f"rejected: {reason[:MOST_REASON]}"
    audit.append(What.WITHDRAWN, **named(row), detail=detail)
    ledger.reject(row.id, detail)
    forget(config.state, row)
    shutil.rmtree(config.state / "bundles" / row.id, ignore_errors=True)
    if row.origin and (folder := OutboxFolder(config.outbox)).has(Path(row.origin)):
        folder.set_aside(Path(row.origin), SourceError(detail))


class Approvals:
    """The packed bundles of one sender, and who may sign them."""

    def __init__(self, config: SenderConfig, audit: AuditLog) -> None:
        self._config = config
        self._audit = audit
        try:
            self.approvers = read_trusted(config.send.approvers)
        except NotInitialisedError:
            folder = config.send.approvers
            raise NotInitialisedError(
                f"nobody may approve: {folder} holds no *.pub; put approvers' keys there"
            ) from None

    def read(self, row: Row) -> Approval:
        """Who has signed a bundle so far."""
        return self._approval(self._read(self._path(row)), row)

    def sign(self, ledger: Ledger, row: Row, signer: Signer) -> Approval:
        """Add a person's signature. Raises TrustError unless the key is an approver's."""
        if signer.public_key.keyid not in self.approvers.keys:
            raise TrustError(
                f"key {signer.public_key.keyid[:16]} is no approver's: {self._config.send.approvers} does not hold it"
            )
        return self._change(ledger, row, lambda envelope: envelope.sign(signer))

    def merge(self, ledger: Ledger, row: Row, signed: bytes) -> Approval:
        """Take over the signatures of an envelope that was signed elsewhere. Raises ManifestError, TrustError."""
        other = read_envelope(signed, PAYLOAD_TYPE, MAX_MANIFEST_BYTES)
        valid = {signature.key_id for signature in self.approvers.signatures(other, None)}
        other.signatures = {key_id: s for key_id, s in other.signatures.items() if key_id in valid}
        return self._change(ledger, row, lambda envelope: merge_signatures(envelope, other))

    def _change(self, ledger: Ledger, row: Row, change: Callable[[Envelope], object]) -> Approval:
        try:
            check_packed(self._config.state, number_of(row.id))
        except (OSError, ValueError, LookupError) as error:
            raise SourceError(f"the packed bundle {row.id} is damaged, and was not signed: {error}") from error
        path = self._path(row)
        with _locked(path.parent):
            if (fresh := ledger.get(row.id)) is None or fresh.state != "unapproved":
                state = fresh.state if fresh else "gone"
                raise UsageError(f"{row.id} is {state} meanwhile: it waits for no signature any more")
            envelope = self._read(path)
            if bundle_id(envelope.payload) != number_of(row.id):
                raise SourceError(f"the manifest of {row.id} is another one's, and was not signed")
            before = set(self._approval(envelope, row).signatures)
            change(envelope)
            approval = self._approval(envelope, row)
            for person, key_id in sorted(set(approval.signatures) - before):
                self._audit.append(What.APPROVED, **named(row), key=key_id, detail=f"signed by {person}")
            write_durably(path, write_envelope(envelope, MAX_MANIFEST_BYTES))
            if approval.is_enough:
                ledger.approve(row.id)
                forget_older(self._config.state, ledger, row)
        return approval

    def _approval(self, envelope: Envelope, row: Row) -> Approval:
        try:
            signatures = self.approvers.signatures(envelope, None)
        except TrustError:
            signatures = ()
        return Approval(signatures, self._config.approvals(row.channel))

    def _path(self, row: Row) -> Path:
        return self._config.state / "bundles" / row.id / MANIFEST_FILE

    def _read(self, path: Path) -> Envelope:
        try:
            return read_envelope(path.read_bytes(), PAYLOAD_TYPE, MAX_MANIFEST_BYTES)
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a lock on the bundle's folder: two people may sign at the same time."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
