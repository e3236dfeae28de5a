"""Makes the codes that a person carries to the sender: what is missing here, and what has arrived.

A code is shown in the log and kept below ``state/resend``: as text, and as a QR code if it is short enough to type.
Codes for bundles that a signature proves to be missing come first, and a number of places is reserved for them. All
other codes rest on heartbeats, which are hints: anybody with the link key can name any number of bundles and channels.
"""

import io
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import segno

from diode.bundle.ref import label_of, number_of
from diode.protocol.resend_codes import LONGEST_CODE, Confirm, ResendBundle, ResendSlabs, encode
from diode.protocol.sizes import MAX_SLABS
from diode.storage.folder import Folder
from receiver.ledger.bundles import Row
from receiver.ledger.gaps import Gap
from receiver.ledger.ledgers import LedgerView
from receiver.ledger.numbers import begin_command

MAX_SIGNED: Final = 100  # gaps that a signature proves
MAX_GAPS: Final = 32  # numbers that heartbeats alone speak of; as many bundles
MAX_JUNK: Final = 8  # numbers of channels of which nothing signed ever came
MOST_KEPT: Final = {True: 100, False: 20}  # requests in the folder, by whether they are signed
CANCELLED: Final = "; the sender says that it was withdrawn"  # unsigned: it takes nothing off the list
FOLDERS: Final = {True: ("resend",), False: ("resend", "unsigned")}
_BUNDLE: Final = re.compile("[0-9a-f]{16}", re.ASCII)


class Request(NamedTuple):
    """One thing to ask for: what it is, in clear, the code, and whether a signature proves that there is one."""

    what: str
    code: str
    is_signed: bool = False

    @property
    def is_short(self) -> bool:
        """Whether the code is short enough for a person to type. Otherwise the person carries its file."""
        return len(self.code) <= LONGEST_CODE

    @property
    def command(self) -> str:
        """What to type on the other side."""
        return f"diode-sender resend {self.code}"


def request_bundle(ledger: LedgerView, bundle: str) -> Request:
    """Ask for what is missing of a bundle; for all of it when nothing of it was begun."""
    row = ledger.bundles.get(bundle)
    if row is None:
        everything = ResendSlabs(number_of(bundle), ((0, MAX_SLABS),))
        why, is_signed = _why(ledger, bundle)
        return Request(f"{everything}: {why}{_word(ledger, bundle)}", encode(everything), is_signed)
    asked = ResendSlabs(number_of(bundle), ledger.slabs.missing(row.id, row.slabs))
    what = f"{label_of(row)}, {asked}{_word(ledger, bundle)}"
    return Request(what, encode(asked), is_signed=True)


def _word(ledger: LedgerView, bundle: str) -> str:
    """What the sender says of it; it is not signed, so the bundle is missing all the same."""
    return CANCELLED if bundle in ledger.peer.cancelled() else ""


def _why(ledger: LedgerView, bundle: str) -> tuple[str, bool]:
    """Why a bundle is not begun, and whether that there is one is signed."""
    if gap := ledger.waiting.ahead().get(bundle):
        return f"{_number(gap)} waits for a person, who types: {begin_command(gap.channel, gap.sequence)}", True
    if gap := ledger.gaps.predecessors().get(bundle):
        return _named(gap), True
    if bundle in ledger.waiting.postponed():
        return "there was no room for it", True
    if gap := ledger.waiting.held_up().get(bundle):
        return f"{_number(gap)} waited, for another bundle with its number or name, or for a person", True
    return "not even its manifest arrived", False


def _check_id(bundle: str) -> None:
    """Raise ValueError for what is no bundle's id, before it is a name of a file."""
    if not _BUNDLE.fullmatch(bundle):
        raise ValueError(f"no bundle has the id {bundle!r}")


def request_gaps(
    ledger: LedgerView, configured: Collection[str] = (), *, most_signed: int = MAX_SIGNED, most: int = MAX_GAPS
) -> list[Request]:
    """Ask for bundles of which nothing was begun: what signatures prove, then what the sender spoke of; each once."""
    named, waiting, postponed = ledger.gaps.predecessors(), ledger.waiting.ahead(), ledger.waiting.postponed()
    held_up = [bundle for bundle in ledger.waiting.held_up() if bundle not in named and bundle not in postponed]
    signed = {*named, *waiting, *postponed, *held_up}
    heard = [bundle for bundle in ledger.peer.heard() if bundle not in signed]
    known = {(gap.channel, gap.sequence) for gap in waiting.values()}
    known |= set(postponed.values())
    hints = [gap for gap in ledger.gaps.told(configured, most, MAX_JUNK) if (gap.channel, gap.sequence) not in known]
    bundles = [
        *list(waiting)[:most_signed],
        *[bundle for bundle in postponed if bundle not in waiting and bundle not in named][-most_signed:],
        *held_up[:most_signed],
        *_newest(heard, ledger.peer.cancelled(), most),
    ]
    asked = [request_bundle(ledger, bundle) for bundle in bundles]
    told = [Request(str(code), encode(code)) for code in map(_code, hints)]
    return [
        *request_signed(ledger, most_signed),
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
    named, cancelled = ledger.gaps.predecessors(older_than_s=older_than_s), ledger.peer.cancelled()
    asked = [_request_named(gap, is_cancelled=gap.bundle in cancelled) for gap in list(named.values())[:most]]
    numbers = {(gap.channel, gap.sequence) for gap in ledger.gaps.predecessors().values()}
    holes = [gap for gap in ledger.gaps.signed(most) if (gap.channel, gap.sequence) not in numbers]
    for gap in holes[: most - len(asked)]:
        code = _code(gap)
        asked.append(Request(f"{code}, as a later bundle's signature proves", encode(code), is_signed=True))
    return asked


def _request_named(gap: Gap, *, is_cancelled: bool) -> Request:
    """By its id. What a heartbeat says of it is told, and takes nothing away."""
    code = _code(gap)
    hint = CANCELLED if is_cancelled else ""
    return Request(f"{code}: {_named(gap)}{hint}", encode(code), is_signed=True)


def _code(gap: Gap) -> ResendSlabs | ResendBundle:
    if gap.bundle:
        return ResendSlabs(number_of(gap.bundle), ((0, MAX_SLABS),))
    return ResendBundle(gap.channel, gap.sequence)


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
