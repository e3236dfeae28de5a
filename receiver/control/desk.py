"""Answers what commands ask of the running receiver. Each request that changes something is in the audit log first."""

from collections.abc import Mapping
from typing import Any

from diode.audit.chain import What
from diode.audit.facts import unix_user
from diode.audit.log import AuditLog
from diode.errors import MessageError
from diode.process.peer import Peer
from receiver.control.picture import Picture
from receiver.control.retrying import Retrying
from receiver.control.words import Dismiss, Retry, Status, TakeBack
from receiver.ledger.bundles import named
from receiver.peer.dismissing import Dismissing, Subject


class Desk:
    """``audit`` belongs to the thread of the event loop, as this does."""

    def __init__(self, audit: AuditLog, picture: Picture, retrying: Retrying, dismissing: Dismissing) -> None:
        self._audit = audit
        self._picture = picture
        self._retrying = retrying
        self._dismissing = dismissing

    async def answer(self, message: object, peer: Peer) -> Mapping[str, Any]:
        """Do what is asked. Raises UsageError, StorageError."""
        match message:
            case Status(coming):
                return self._picture.now(coming)
            case Dismiss(bundle, channel, sequence, why):
                subject = Subject(bundle, channel, sequence)
                return {"changed": self._dismissing.dismiss(subject, why, unix_user(peer.uid))}
            case TakeBack(bundle, channel, sequence, why):
                subject = Subject(bundle, channel, sequence)
                return {"changed": self._dismissing.undo(subject, why, unix_user(peer.uid))}
            case Retry(bundle):
                return self._retry(bundle, unix_user(peer.uid))
        raise MessageError(type(message).__name__, "nobody answers this")

    def _retry(self, bundle: str, who: str) -> Mapping[str, Any]:
        row, what, begin = self._retrying.find(bundle)
        self._audit.append(What.RETRIED, **named(row), who=who, detail=what)
        begin()
        return {"id": row.id, "label": row.label, "what": what}
