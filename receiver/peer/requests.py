"""Makes the codes that a person carries to the sender: what is missing here, and what has arrived.

A code is shown in the log and kept below ``state/resend``: as text, and as a QR code if it is short enough to type.
Codes for bundles that a signature proves to be missing come first, and a number of places is reserved for them. All
other codes rest on heartbeats, which are hints: anybody with the link key can name any number of bundles and channels.
"""

import io
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

import segno

from diode.bundle.ref import number_of
from diode.protocol.resend_codes import LONGEST_CODE, Confirm, ResendBundle, ResendSlabs, encode
from diode.protocol.sizes import MAX_SLABS
from diode.storage.folder import Folder
from receiver.ledger.bundles import Row
from receiver.ledger.gaps import Gap
from receiver.ledger.ledgers import LedgerView
from receiver.ledger.numbers import begin_command
from receiver.ledger.states import State

MAX_SIGNED: Final = 100  # gaps that a signature proves
MAX_GAPS: Final = 32  # numbers that heartbeats alone speak of; as many bundles
MAX_JUNK: Final = 8  # numbers of channels of which nothing signed ever came
MOST_KEPT: Final = {True: 100, False: 20}  # requests in the folder, by whether they are signed
CANCELLED: Final = "; the sender says that it was withdrawn"  # unsigned: it takes nothing off the list
FOLDERS: Final = {True: ("resend",), False: ("resend", "unsigned")}
_BUNDLE: Final = re.compile("[0-9a-f]{16}", re.ASCII)


class Missing(StrEnum):
    """Why something is asked for."""

    INCOMPLETE = "incomplete"  # begun, and a part of it did not come
    WAITING = "waiting"  # its manifest came, and it could not be begun
    NAMED = "named"  # by the signed manifest of the bundle after it
    NUMBERED = "numbered"  # a later number was signed
    TOLD = "told"  # by heartbeats alone
    QUARANTINED = "quarantined"  # its manifest came and was refused
    RECALLED = "recalled"  # signed: nothing of it would be served
    EXPIRED = "expired"  # incomplete for too long: nothing of it is kept


class Request(NamedTuple):
    """One thing to ask for: what it is, in clear, the code, and whether a signature proves that there is one.

    ``bundle`` is its id, or "" where only its number is known; ``channel`` "": not even that. ``sender_says``: a word
    of a heartbeat, which is not signed.
    """

    what: str
    code: str
    is_signed: bool = False
    bundle: str = ""
    channel: str = ""
    sequence: int = 0
    state: Missing = Missing.NAMED
    sender_says: str = ""

    @property
    def text(self) -> str:
        """What it is, with what the sender says of it."""
        return self.what + (CANCELLED if self.sender_says else "")

    @property
    def subject(self) -> str:
        """By what a person dismisses it."""
        return self.bundle or f"{self.channel}/{self.sequence}"

    @property
    def is_lost(self) -> bool:
        """Whether it has to be said that this is missing: of what was quarantined, an alarm has said so already."""
        return self.is_signed or self.state != Missing.QUARANTINED

    @property
    def is_short(self) -> bool:
        """Whether the code is short enough for a person to type. Otherwise the person carries its file."""
        return len(self.code) <= LONGEST_CODE

    @property
    def command(self) -> str:
        """What to type on the other side."""
        return f"diode-sender resend {self.code}"


class _Known:
    """What the ledger knows of bundles that are not here, read once."""

    def __init__(self, ledger: LedgerView) -> None:
        self.named = ledger.gaps.predecessors()
        self.ahead = ledger.waiting.ahead()
        self.postponed = ledger.waiting.postponed()
        self.held_up = ledger.waiting.held_up()
        self.cancelled = ledger.peer.cancelled()
        refused = ledger.quarantined.all()
        self.quarantined = {one.bundle: one for one in refused}
        self.quarantined_as = {(one.channel, one.sequence): one for one in reversed(refused) if one.is_known}
        self.strange = sum(not one.is_known for one in refused)

    def ask(self, bundle: str, what: str, *, gap: Gap | None, state: Missing, is_signed: bool) -> Request:
        """Ask for everything of a bundle of which nothing was begun."""
        everything = ResendSlabs(number_of(bundle), ((0, MAX_SLABS),))
        place = (gap.channel, gap.sequence) if gap is not None else ("", 0)
        if (refused := self.quarantined.get(bundle)) is not None:
            label = refused.label or "its manifest"
            what, state = f"{label} is quarantined: {refused.reason}: {refused.detail}", Missing.QUARANTINED
        said = "withdrawn" if bundle in self.cancelled else ""
        return Request(f"{everything}: {what}", encode(everything), is_signed, bundle, *place, state, said)

    def ask_unbegun(self, bundle: str) -> Request:
        """Ask for a bundle of which nothing was begun, and say why that is."""
        if gap := self.ahead.get(bundle):
            what = f"{_number(gap)} waits for a person, who types: {begin_command(gap.channel, gap.sequence)}"
            return self.ask(bundle, what, gap=gap, state=Missing.WAITING, is_signed=True)
        if gap := self.named.get(bundle):
            return self.ask(bundle, _named(gap), gap=gap, state=Missing.NAMED, is_signed=True)
        if place := self.postponed.get(bundle):
            gap = Gap(*place, bundle)
            return self.ask(bundle, "there was no room for it", gap=gap, state=Missing.WAITING, is_signed=True)
        if gap := self.held_up.get(bundle):
            what = f"{_number(gap)} waited, for another bundle with its number or name, or for a person"
            return self.ask(bundle, what, gap=gap, state=Missing.WAITING, is_signed=True)
        return self.ask(bundle, "not even its manifest arrived", gap=None, state=Missing.TOLD, is_signed=False)

    def ask_number(self, gap: Gap, *, is_signed: bool) -> Request:
        """Ask for a number of which no bundle is known."""
        code = ResendBundle(gap.channel, gap.sequence)
        what = f"{code}, as a later bundle's signature proves" if is_signed else str(code)
        state = Missing.NUMBERED if is_signed else Missing.TOLD
        if (refused := self.quarantined_as.get((gap.channel, gap.sequence))) is not None:
            what += f"; {refused.bundle}, which says that it has this number, is quarantined: {refused.reason}"
            state = Missing.QUARANTINED
        elif self.strange:
            what += f"; perhaps it is one of the {self.strange} in quarantine whose signers nobody here knows"
        return Request(what, encode(code), is_signed, "", gap.channel, gap.sequence, state)


def request_bundle(ledger: LedgerView, bundle: str) -> Request:
    """Ask for what is missing of a bundle; for all of it when nothing of it was begun."""
    row = ledger.bundles.get(bundle)
    return _Known(ledger).ask_unbegun(bundle) if row is None else request_row(ledger, row, ledger.peer.cancelled())


def request_row(ledger: LedgerView, row: Row, cancelled: Collection[str]) -> Request:
    """Ask for what is missing of a bundle that was begun. ``cancelled``: those that the sender says are withdrawn."""
    asked = ResendSlabs(number_of(row.id), ledger.slabs.missing(row.id, row.slabs))
    what, state = f"{row.label}, {asked}", Missing.INCOMPLETE
    recall = ledger.recalls.of(row.id, row.channel, row.name, row.version)
    if recall is not None and not recall.undone:
        what, state = f"{what}; recalled: {recall.reason}", Missing.RECALLED
    elif row.state == State.EXPIRED:
        what, state = f"{what}; given up here: {row.detail}", Missing.EXPIRED
    said = "withdrawn" if row.id in cancelled else ""
    return Request(what, encode(asked), True, row.id, row.channel, row.sequence, state, said)


def request_begun(ledger: LedgerView, most: int) -> list[Request]:
    """Ask for the rest of every bundle that was begun, oldest first, then for those given up since, newest first."""
    cancelled = ledger.peer.cancelled()
    rows = [row for row in ledger.bundles.in_progress() if row.state == State.RECEIVING]
    rows += ledger.bundles.expired(most)
    return [request_row(ledger, row, cancelled) for row in rows if ledger.dismissals.of(row.id) is None]


def _check_id(bundle: str) -> None:
    """Raise ValueError for what is no bundle's id, before it is a name of a file."""
    if not _BUNDLE.fullmatch(bundle):
        raise ValueError(f"no bundle has the id {bundle!r}")


def request_gaps(
    ledger: LedgerView, configured: Collection[str] = (), *, most_signed: int = MAX_SIGNED, most: int = MAX_GAPS
) -> list[Request]:
    """Ask for bundles of which nothing was begun: what signatures prove, then what the sender spoke of; each once.

    What a person has dismissed is not asked for.
    """
    known = _Known(ledger)
    named, waiting, postponed = known.named, known.ahead, known.postponed
    held_up = [bundle for bundle in known.held_up if bundle not in named and bundle not in postponed]
    signed = {*named, *waiting, *postponed, *held_up}
    heard = [bundle for bundle in ledger.peer.heard() if bundle not in signed]
    numbers = {(gap.channel, gap.sequence) for gap in waiting.values()} | set(postponed.values())
    hints = [gap for gap in ledger.gaps.told(configured, most, MAX_JUNK) if (gap.channel, gap.sequence) not in numbers]
    bundles = [
        *list(waiting)[:most_signed],
        *[bundle for bundle in postponed if bundle not in waiting and bundle not in named][-most_signed:],
        *held_up[:most_signed],
        *_newest(heard, known.cancelled, most),
    ]
    asked = [known.ask_unbegun(bundle) for bundle in bundles]
    told = [known.ask_number(gap, is_signed=False) for gap in hints]
    return [
        *_signed(ledger, known, known.named, most_signed),
        *(request for request in asked if request.is_signed),
        *told,
        *(request for request in asked if not request.is_signed),
    ]


def _newest(heard: list[str], cancelled: set[str], most: int) -> list[str]:
    """So many of these, what the sender says it withdrew last, and only where the others leave room."""
    newest = sorted(heard, key=lambda bundle: bundle not in cancelled)[-most:]
    return sorted(newest, key=lambda bundle: bundle in cancelled)


def request_signed(ledger: LedgerView, most: int = MAX_SIGNED, *, older_than_s: int = 0) -> list[Request]:
    """Ask for what signatures prove to be missing: the bundle before a signed one, and numbers below accepted ones."""
    return _signed(ledger, _Known(ledger), ledger.gaps.predecessors(older_than_s=older_than_s), most)


def _signed(ledger: LedgerView, known: _Known, named: Mapping[str, Gap], most: int) -> list[Request]:
    asked = [
        known.ask(bundle, _named(gap), gap=gap, state=Missing.NAMED, is_signed=True)
        for bundle, gap in list(named.items())[:most]
    ]
    numbers = {(gap.channel, gap.sequence) for gap in known.named.values()}
    holes = [gap for gap in ledger.gaps.signed(most) if (gap.channel, gap.sequence) not in numbers]
    return asked + [known.ask_number(gap, is_signed=True) for gap in holes[: most - len(asked)]]


def _number(gap: Gap) -> str:
    return f"channel {gap.channel}, sequence {gap.sequence}"


def _named(gap: Gap) -> str:
    return f"{_number(gap)}, named by the signed manifest of the bundle after it"


def keep_request(state: Path, name: str, request: Request) -> Path:
    """Keep the code for a bundle, and its QR code beside it where it is short. Returns where.

    The oldest ones are removed when there are too many: ``missing`` still makes their codes from the ledger. Raises
    OSError, and ValueError for what is no bundle's id.
    """
    _check_id(name)
    with Folder.open(state) as top:
        folder = _folder(top, is_signed=request.is_signed)
        with folder:
            folder.put(f"{name}.txt", f"{request.code}\n".encode(), 0o666)
            folder.remove(f"{name}.png")
            if request.is_short:
                picture = io.BytesIO()
                segno.make(request.code, error="m").save(picture, kind="png", scale=6)
                folder.put(f"{name}.png", picture.getvalue(), 0o666)
            _keep_newest(folder, MOST_KEPT[request.is_signed])
            return folder.path / f"{name}.txt"


def _folder(top: Folder, *, is_signed: bool) -> Folder:
    resend = top.folder(FOLDERS[True][0], create=True, mode=0o777)
    if is_signed:
        return resend
    with resend:
        return resend.folder(FOLDERS[False][1], create=True, mode=0o777)


def _keep_newest(folder: Folder, most: int) -> None:
    codes = [name.removesuffix(".txt") for name in folder.oldest_first() if name.endswith(".txt")]
    for name in codes[: max(0, len(codes) - most)]:
        for suffix in (".txt", ".png"):
            folder.remove(name + suffix)


def drop_request(state: Path, name: str) -> None:
    """The bundle is over: nothing is asked for any more. Raises as :func:`keep_request`."""
    _check_id(name)
    for parts in FOLDERS.values():
        with suppress(FileNotFoundError), Folder.open(state.joinpath(*parts)) as folder:
            for suffix in (".txt", ".png"):
                folder.remove(name + suffix)


def confirm_code(row: Row) -> str:
    """The code that tells the sender that this bundle was published."""
    return encode(Confirm(number_of(row.id), int(row.content[:8], 16)))


def qr_text(code: str) -> str:
    """A QR code to be shown in a terminal."""
    out = io.StringIO()
    segno.make(code, error="m").terminal(out=out, compact=True)
    return out.getvalue()
