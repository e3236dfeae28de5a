"""Makes events of bundles: each message of ``store`` is looked up in the ledger, the inbox and the configuration.

From a message only two things are taken: the id of the bundle, and figures that are known nowhere else. A message is
not believed when the ledger does not know the id, or has the bundle in another state.

A message is looked up some time after it was sent. An honest ``store`` may have gone on meanwhile, and may have removed
the bundle from the ledger. Where that is possible, the message is ignored, and ``store`` is not ended for it.
"""

import time
from typing import Any, Final, Literal

from diode.bundle.ref import names_of
from diode.config.receiver import ReceiverConfig
from diode.errors import ContentError, MessageError, exit_codes
from diode.formats.escape import printable
from diode.formats.names import TRUST_CHANNEL
from diode.trust.document import read_document
from receiver.events.happened import (
    Coming,
    DescriptionFailed,
    DrillEnded,
    Ended,
    Event,
    NamesTaken,
    Noted,
    NowHeld,
    NowInUse,
    RecallChanged,
    disk_failing,
)
from receiver.inbox.folder import Inbox
from receiver.ledger.bundles import Row
from receiver.ledger.ledgers import LedgerView
from receiver.ledger.states import State
from receiver.messages.pipeline import (
    Accepted,
    AcceptedBy,
    BundleRefused,
    DecisionRefused,
    DiskFailing,
    Dropped,
    Expired,
    Held,
    ManifestRefused,
    MoreNotSaid,
    NamesRefused,
    NotDescribed,
    NumberWaits,
    PredecessorDiffers,
    Progress,
    Proving,
    Published,
    Resumed,
    SlabMismatch,
    SpaceShort,
    SpoolLost,
    SymbolsLost,
    TrustChanged,
    TrustForked,
    TrustNotPublished,
)
from receiver.messages.use import Drilled, NotLinked, Ordered, PointerMoved, Recalled
from receiver.release.waits import waits_for

MAX_DETAIL: Final = 500
EXIT_CODES: Final = exit_codes(ContentError)
SYMBOLS_DETAIL: Final = (
    "symbols of these slabs that were being assembled are lost; other passes or a resend bring them again"
)


class Lookup:
    """Makes events of the messages of ``store``."""

    def __init__(self, config: ReceiverConfig, ledger: LedgerView) -> None:
        self._config = config
        self._ledger = ledger
        self._inbox = Inbox(config.inbox.path)

    def event(self, message: object) -> Event | None:
        """The event of a message. None: the message came too late, or a later message will say more.

        Raises MessageError when the ledger shows that the message is untrue, StorageError when the ledger does not
        answer.
        """
        match message:
            case Proving():
                return self._proving(message)
            case Accepted() | Progress():
                return self._coming(message)
            case Dropped():
                return self._dropped(message)
            case Held():
                return self._held(message)
            case Published():
                return self._published(message)
            case BundleRefused():
                row = self._row(message, "refused")
                return self._refused(message, row, printable(row.detail, MAX_DETAIL))
            case ManifestRefused():
                return self._refused(message, None, message.detail)
            case Expired():
                gone = self._ledger.bundles.get(message.bundle)  # by now another bundle may have its sequence number
                return Ended("expired", message.bundle, gone, {}) if gone is not None else None
            case PointerMoved():
                return self._in_use(message)
            case _:
                return self._of_its_content(message) or self._of_use(message)

    def _of_use(self, message: object) -> Event | None:
        match message:
            case Recalled(bundle):
                recalls = self._ledger.recalls.about(bundle)
                is_here = self._ledger.bundles.get(bundle) is not None
                return RecallChanged(recalls[-1], is_here) if recalls else None
            case Drilled(drill):
                ended = self._ledger.drills.get(drill)
                return DrillEnded(ended) if ended is not None else None
        return self._noted(message)

    def _in_use(self, message: PointerMoved) -> NowInUse | None:
        """The pointer may have moved on meanwhile."""
        row = self._ledger.bundles.get(message.bundle)
        pointer = self._ledger.pointers.get(row.channel, row.name) if row is not None else None
        if row is None or pointer is None or pointer.number != message.number:
            return None
        return NowInUse(row, message.number, message.why)

    def _row(self, message: Any, *states: str) -> Row:
        row = self._ledger.bundles.get(message.bundle)
        if row is None or (states and row.state not in states):
            state = row.state if row else "unknown"
            raise MessageError(type(message).__name__, f"bundle {message.bundle} is {state} to the ledger")
        return row

    def _coming(self, message: Accepted | Progress) -> Coming | None:
        if isinstance(message, Accepted):
            row = self._row(message)
            return Coming(row, "accepted", 0, row.slabs)
        kept = self._ledger.bundles.get(message.bundle)
        return self._progress(message, kept) if kept is not None else None

    def _progress(self, message: Progress, row: Row) -> Coming:
        how: Literal["resumed", "progress"] = "resumed" if isinstance(message, Resumed) else "progress"
        return Coming(row, how, min(message.stored_bytes, row.size), min(message.missing, row.slabs))

    def _proving(self, message: Proving) -> Coming:
        """Its name is not known here before it is proven, so it is called by its id; by now it may be proven."""
        if (known := self._of_trust(message)) is not None:
            return self._progress(message, known)
        sizes = (0, message.size_bytes, message.files, message.slabs)
        row = Row(message.bundle, TRUST_CHANNEL, message.bundle, "?", *sizes, "", "", State.RECEIVING, "", "")
        return Coming(row, "accepted" if message.is_new else "progress", message.stored_bytes, message.missing)

    def _of_trust(self, message: Proving | Dropped) -> Row | None:
        """What the ledger has of a bundle of channel ``trust``."""
        row = self._ledger.bundles.get(message.bundle)
        if row is not None and row.channel != TRUST_CHANNEL:
            raise MessageError(type(message).__name__, f"bundle {message.bundle} is of channel {row.channel}")
        return row

    def _dropped(self, message: Dropped) -> Ended:
        self._of_trust(message)
        return Ended("dropped", message.bundle, None, {})

    def _held(self, message: Held) -> NowHeld | None:
        row = self._ledger.bundles.get(message.bundle)
        if row is None or row.state != "held":
            return None  # decided meanwhile
        channel = self._config.channels.get(row.channel)
        is_scanned = channel is not None and bool(channel.scan)
        waits = waits_for(message.people, scanned=is_scanned)
        return NowHeld(row, str(self._inbox.held / row.id), waits, is_scanned)

    def _published(self, message: Published) -> Ended:
        row = self._row(message, "published")
        has_place = not row.detail  # otherwise that says why its trust document counts without
        path = str(self._inbox.path / row.channel / row.name / row.version) if has_place else ""
        fields = {"bytes": row.size, "files": row.files, "path": path, "signer": row.signer}
        return Ended("published", row.id, row, fields | {"at_ms": int(time.monotonic() * 1000)})

    def _refused(self, message: BundleRefused | ManifestRefused, row: Row | None, detail: str) -> Ended:
        fields = {"reason": message.reason, "detail": detail}
        return Ended("quarantined", message.bundle, row, fields, EXIT_CODES[message.reason])

    def _of_its_content(self, message: object) -> DescriptionFailed | NamesTaken | None:
        match message:
            case NotDescribed():
                return DescriptionFailed(self._row(message, "published"), message.detail)
            case NamesRefused():
                return NamesTaken(self._row(message, "published"), message.count, message.detail)
        return None

    def _noted(self, message: object) -> Noted | None:
        match message:
            case AcceptedBy() | PredecessorDiffers() | SymbolsLost():
                row = self._ledger.bundles.get(message.bundle)
                return self._of_row(message, row) if row is not None else None
            case SlabMismatch():  # the ledger does not know all bundles of channel trust
                detail = f"slab {message.number} does not have its signed digest"
                return Noted("error", "slab_mismatch", self._names(message.bundle) | {"detail": detail})
            case SpoolLost():  # the ledger has forgotten it
                return Noted("error", "spool_lost", self._names(message.bundle) | {"detail": message.detail})
            case SpaceShort():
                return self._space_short(message)
            case DecisionRefused():
                return Noted("error", "decision_refused", {"file": message.file, "detail": message.detail})
            case DiskFailing():
                return disk_failing(message)
            case NotLinked() | Ordered():
                return self._of_pointers(message)
        return self._of_trust_and_numbers(message)

    def _of_pointers(self, message: NotLinked | Ordered) -> Noted | None:
        if isinstance(message, NotLinked):
            row, do = self._ledger.bundles.get(message.bundle), "move it away; the link is made again at the next start"
            if row is None:
                return None
            fields = {"bundle": message.bundle, "label": row.label}
            return Noted("error", "current_not_linked", fields | {"detail": message.detail, "do": do})
        ended = self._ledger.pointers.outcome(message.order)
        if ended is None:
            return None
        level: Literal["info", "error"] = "error" if ended.outcome == "refused" else "info"
        fields = {"order": ended.id, "what": ended.what, "channel": ended.channel, "name": ended.name}
        return Noted(level, f"order_{ended.outcome}", fields | {"who": ended.who, "detail": ended.detail})

    def _of_row(self, message: AcceptedBy | PredecessorDiffers | SymbolsLost, row: Row) -> Noted:
        match message:
            case AcceptedBy():
                return Noted("info", "accepted_by", {"bundle": row.id, "label": row.label, "person": message.person})
            case SymbolsLost():
                fields = {**names_of(row), "slabs": list(message.slabs), "detail": SYMBOLS_DETAIL}
                return Noted("error", "symbols_lost", fields)
        return self._predecessor(message, row)

    def _of_trust_and_numbers(self, message: object) -> Noted | None:
        match message:
            case TrustChanged():
                return self._trust_changed(message)
            case TrustForked():
                do = "ask each person of the root what they signed; until then believe none of them"
                return Noted("error", "trust_fork", self._names(message.bundle) | {"detail": message.detail, "do": do})
            case TrustNotPublished():
                row, do = self._row(message), "nothing; 'diode-receiver trust show' has the document"
                told = {"bundle": row.id, "label": row.label, "detail": message.detail, "do": do}
                return Noted("error", "trust_not_published", told)
            case NumberWaits():
                return self._number_waits(message)
            case MoreNotSaid():
                return Noted("error", "more_not_said_singly", {"count": message.count, "what": message.what})
        raise MessageError(type(message).__name__, "nothing is to be looked up of it")

    def _trust_changed(self, message: TrustChanged) -> Noted:
        sealed = self._ledger.trust.document()
        if sealed is None:
            raise MessageError("TrustChanged", "the ledger has no trust document")
        document = read_document(sealed)
        document_facts = {"version": document.version, "expires": document.expires}
        return Noted("info", "trust_changed", self._names(message.bundle) | document_facts)

    def _number_waits(self, message: NumberWaits) -> Noted | None:
        """Its number may be in order by now, or is held by another bundle: then no range of numbers says so."""
        gap = self._ledger.waiting.noted_ahead(message.bundle)
        if gap is None:
            return None
        fields = {"bundle": message.bundle, "channel": gap.channel, "sequence": gap.sequence}
        return Noted("error", "number_waits", fields | {"detail": message.detail, "do": message.do})

    def _names(self, bundle: str) -> dict[str, Any]:
        """What a bundle is called in a line; the ledger may have forgotten its label, or not know it yet."""
        row = self._ledger.bundles.get(bundle)
        return {"bundle": bundle} if row is None else {**names_of(row)}

    def _predecessor(self, message: PredecessorDiffers, row: Row) -> Noted:
        before = self._ledger.bundles.numbered(row.channel, row.sequence - 1)
        do = "two senders number this channel, or its sender's ledger was put back without rebaseline"
        if not message.signed:
            do = "its sender does not know the one before: as it should be once, after its rebaseline"
        fields = {"bundle": row.id, "label": row.label, "here": before.id if before else None}
        return Noted("error", "predecessor_differs", fields | {"signed": message.signed or None, "do": do})

    def _space_short(self, message: SpaceShort) -> Noted | None:
        """There may be room by now, or it was begun before."""
        waiting = self._ledger.waiting.noted_postponed(message.bundle)
        if waiting is None:
            return None
        channel, sequence = waiting
        do = "make room; until then its data is not kept"
        if message.of == "quota":
            do = f"take bundles of channel {channel} out of the inbox; until then its data is not kept"
        if message.of == "inodes":
            do = "delete files below the inbox, or give its file system more inodes; until then its data is not kept"
        fields = {"bundle": message.bundle, "channel": channel, "sequence": sequence, "of": message.of}
        return Noted("error", "space_short", fields | {"needed": message.needed, "free": message.free, "do": do})
