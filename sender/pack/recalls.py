"""Recalls that wait for signatures, and their way into the outbox.

A recall is a statement of the people who may sign for the recalled bundle's channel. Where the daemon signs a channel,
its key is enough. Otherwise the statement lies in ``state/recalls`` until enough people have signed it. Then it is put
into the outbox as an item of channel ``recall``, which the daemon packs and sends as any other.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.bundle.beginning import find_bundle
from diode.bundle.recall import (
    MAX_RECALL_BYTES,
    NOT_RECALLED,
    RECALL_CHANNEL,
    RECALL_FILE,
    RECALL_TYPE,
    RecallStatement,
    check_reason,
    read_recall,
    write_recall,
)
from diode.bundle.ref import label_of
from diode.config.sender import SenderConfig
from diode.errors import ManifestError, NotInitialisedError, SourceError, TrustError, UsageError
from diode.formats.dsse import read_envelope, write_envelope
from diode.formats.signers import Envelope, Signer
from diode.storage.folder import Folder
from diode.trust.keys import read_signer, read_trusted
from diode.trust.roles import Trust
from sender.ledger import Ledger, Row, State, named

FOLDER: Final = "recalls"  # below the state folder


class Signed(NamedTuple):
    """A recall, who has signed it so far, and how many people must. ``needed`` 0: the daemon's key is enough."""

    statement: RecallStatement
    persons: tuple[str, ...]
    needed: int

    @property
    def is_enough(self) -> bool:
        """Whether it may be sent."""
        return len(self.persons) >= max(1, self.needed)


def find_recallable(ledger: Ledger, text: str) -> Row:
    """The bundle whose id is, or begins with, ``text``. Raises UsageError unless it is one that can be recalled."""
    row = find_bundle(ledger.ids, text, "'diode-sender status' shows them")
    if row.channel in NOT_RECALLED:
        raise UsageError(f"{label_of(row)} ({row.id}) cannot be recalled: it is of channel {row.channel}")
    if row.state == State.UNAPPROVED:
        raise UsageError(f"{row.id} was never sent: it waits for signatures; type diode-sender reject {row.id}")
    return row


class Recalls:
    """The recalls of one sender that are not in the outbox yet. Commands of several people may run at a time."""

    def __init__(self, config: SenderConfig, audit: AuditLog) -> None:
        self._config = config
        self._audit = audit

    def needed(self, channel: str) -> int:
        """How many people must sign the recall of a bundle of this channel. 0: the daemon's key is enough."""
        return self._config.approvals(channel)

    def pending(self, row: Row) -> Signed | None:
        """The recall of a bundle that waits for more signatures."""
        with self._locked() as folder:
            envelope = self._maybe_read(folder, row)
        return None if envelope is None else self._signed(envelope, row)

    def propose(self, row: Row, reason: str | None, at: str) -> Signed:
        """The recall that the next signature is put under: the one that waits, or a new one. Nothing is written.

        Raises UsageError when no reason is given for a new one, or another one than that which waits has.
        """
        waits = self.pending(row)
        if waits is None:
            return Signed(_statement(row, reason, at), (), self.needed(row.channel))
        if reason not in (None, waits.statement.reason):
            path = self._config.state / FOLDER / _file(row)
            raise UsageError(
                f"a recall of {row.id} waits for signatures already, with the reason {waits.statement.reason!r}; to "
                f"sign that one leave --reason out; to begin anew: rm {path}"
            )
        return waits

    def sign(self, row: Row, proposed: RecallStatement, signer: Signer | None) -> Signed:
        """Put a signature under a recall, and send it when it has enough. ``signer`` None: the daemon's own.

        Raises TrustError unless the key is one that may sign, UsageError when another recall waits meanwhile.
        """
        key = self._signer(row, signer)
        with self._locked() as folder:
            envelope = self._maybe_read(folder, row) or Envelope(write_recall(proposed), RECALL_TYPE, {})
            if envelope.payload != write_recall(proposed):
                raise UsageError(f"another recall of {row.id} waits meanwhile; nothing was signed")
            before = set(self._signed(envelope, row).persons)
            envelope.sign(key)
            signed = self._signed(envelope, row)
            self._note(row, signed, before, key.public_key.keyid)
            sealed = write_envelope(envelope, MAX_RECALL_BYTES)
            folder.replace(_file(row), sealed)
            if signed.is_enough:
                self._drop(row, signed.statement, sealed)
                folder.remove(_file(row))
                folder.sync()
        return signed

    def _signer(self, row: Row, signer: Signer | None) -> Signer:
        """Who signs. A channel that people sign is recalled by people, and one that the daemon signs by its key."""
        needed = self.needed(row.channel)
        if not needed:
            if signer is not None:
                raise UsageError(f"bundles of channel {row.channel} are signed by the daemon's key: leave --key out")
            return read_signer(self._config.send.key)
        if signer is None:
            raise UsageError(f"{needed} people must sign a recall of channel {row.channel}: give --key KEY")
        if signer.public_key.keyid not in self._approvers().keys:
            key, folder = signer.public_key.keyid[:16], self._config.send.approvers
            raise TrustError(f"key {key} is no approver's: {folder} does not hold it")
        return signer

    def _approvers(self) -> Trust:
        try:
            return read_trusted(self._config.send.approvers)
        except NotInitialisedError:
            folder = self._config.send.approvers
            raise NotInitialisedError(
                f"nobody may recall: {folder} holds no *.pub; put approvers' keys there"
            ) from None

    def _signed(self, envelope: Envelope, row: Row) -> Signed:
        needed, statement = self.needed(row.channel), read_recall(envelope.payload)
        if not needed:
            return Signed(statement, ("the daemon",) * bool(envelope.signatures), 0)
        try:
            persons = {one.person for one in self._approvers().signatures(envelope, None)}
        except TrustError:
            persons = set()
        return Signed(statement, tuple(sorted(persons)), needed)

    def _note(self, row: Row, signed: Signed, before: set[str], key: str) -> None:
        """Write a signature into the audit log, before it counts."""
        new = ", ".join(sorted(set(signed.persons) - before)) or "nobody new"
        detail = f"signed by {new} ({len(signed.persons)} of {max(1, signed.needed)}): {signed.statement.reason}"
        self._audit.append(What.RECALL_SIGNED, **named(row), key=key, detail=detail)

    def _drop(self, row: Row, statement: RecallStatement, sealed: bytes) -> None:
        """Put a recall into the outbox, by one rename: the daemon packs what it finds there."""
        version = statement.at.replace("-", "").replace(":", "")
        name, new = f"{row.id}@{version}", f".{row.id}-{os.urandom(4).hex()}"
        outbox = self._config.outbox.path
        try:
            with (
                Folder.open(outbox, create=True, mode=0o777) as top,
                top.folder(RECALL_CHANNEL, create=True, mode=0o777) as channel,
            ):
                with channel.folder(new, create=True, mode=0o777) as item:
                    item.write_new(RECALL_FILE, sealed, 0o666, durably=True)
                    item.sync()
                try:
                    channel.move(new, channel, name)
                except FileExistsError:  # of a command that was killed
                    channel.remove(new)
                    _check_same(channel, name, sealed)
                channel.sync()
        except OSError as error:
            raise UsageError(
                f"{outbox / RECALL_CHANNEL} cannot be written: {error.strerror}; the signature is kept, and typing the "
                "same again sends the recall"
            ) from error

    def _maybe_read(self, folder: Folder, row: Row) -> Envelope | None:
        """The recall that waits. Raises SourceError when its file is not about this bundle."""
        try:
            envelope = read_envelope(folder.read(_file(row), MAX_RECALL_BYTES), RECALL_TYPE, MAX_RECALL_BYTES)
            statement = read_recall(envelope.payload)
        except FileNotFoundError:
            return None
        except (OSError, ManifestError) as error:
            raise SourceError(f"{folder.path / _file(row)} is no recall: {error}; remove it") from error
        if statement.place != (row.id, row.channel, row.name, row.version):
            raise SourceError(f"{folder.path / _file(row)} is about another bundle: {statement.label}; remove it")
        return envelope

    @contextmanager
    def _locked(self) -> Iterator[Folder]:
        """The folder of recalls. Two people may sign at the same time, so it is locked."""
        with Folder.open(self._config.state / FOLDER, create=True) as folder:
            fcntl.flock(folder.fd, fcntl.LOCK_EX)
            yield folder


def _check_same(channel: Folder, name: str, sealed: bytes) -> None:
    """Raise UsageError when what lies in the outbox already is another statement than this one."""
    with channel.folder(name) as item:
        if read_envelope(item.read(RECALL_FILE, MAX_RECALL_BYTES), RECALL_TYPE, MAX_RECALL_BYTES).payload != (
            read_envelope(sealed, RECALL_TYPE, MAX_RECALL_BYTES).payload
        ):
            raise UsageError(f"another recall lies in the outbox as {name}; type the same again in a second")


def _statement(row: Row, reason: str | None, at: str) -> RecallStatement:
    if reason is None:
        raise UsageError("say why: --reason TEXT; the enclave's clients are shown it")
    try:
        check_reason(reason)
        return RecallStatement(
            bundle=row.id, channel=row.channel, name=row.name, version=row.version, reason=reason, at=at
        )
    except ValueError as error:
        raise UsageError(f"this cannot be recalled so: {error}") from None


def _file(row: Row) -> str:
    return f"{row.id}.{RECALL_FILE}"
