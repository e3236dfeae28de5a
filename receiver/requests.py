"""Codes for the person who goes to the other side: what is missing here, and what has arrived.

A code is shown in the log and kept below ``state/resend``: as text, and as a QR code where it is short enough to type.
"""

import io
import re
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import segno

from diode.codes import LONGEST_CODE, Confirm, ResendBundle, ResendSlabs, encode
from diode.storage.folder import Folder
from diode.wire import MAX_SLABS
from receiver.ledger import Ledger, Row

MAX_GAPS: Final = 32
_BUNDLE: Final = re.compile("[0-9a-f]{16}", re.ASCII)


class Request(NamedTuple):
    """One thing to ask for: what it is, in clear, and the code."""

    what: str
    code: str

    @property
    def is_short(self) -> bool:
        """Whether a person can type it; otherwise its file is carried."""
        return len(self.code) <= LONGEST_CODE

    @property
    def command(self) -> str:
        """What to type on the other side."""
        return f"diode-sender resend {self.code}"


def request_bundle(ledger: Ledger, bundle: str) -> Request:
    """Ask for what is missing of a bundle; for all of it when its manifest never arrived."""
    row = ledger.get(bundle)
    if row is None:
        everything = ResendSlabs(int(bundle, 16), ((0, MAX_SLABS),))
        why = "there was no room for it" if bundle in ledger.postponed() else "not even its manifest arrived"
        return Request(f"{everything}: {why}", encode(everything))
    asked = ResendSlabs(int(bundle, 16), ledger.missing(row))
    return Request(f"{row.channel}/{row.name}/{row.version}, {asked}", encode(asked))


def request_gaps(ledger: Ledger) -> list[Request]:
    """Ask for bundles that the sender has numbered, or spoken of, and of which nothing arrived; for each once."""
    gaps, heard = [], ledger.heard()[:MAX_GAPS]
    postponed = ledger.postponed()
    known = {postponed[bundle] for bundle in heard if bundle in postponed}
    for channel, sequence in ledger.gaps(MAX_GAPS):
        if (channel, sequence) in known:
            continue
        gap = ResendBundle(channel, sequence)
        # a heartbeat is a hint; the signed number of a later bundle is a proof
        proof = ", as a later bundle's signature proves" if sequence < ledger.highest(channel) else ""
        gaps.append(Request(f"{gap}{proof}", encode(gap)))
    return gaps + [request_bundle(ledger, bundle) for bundle in heard]


def request_path(state: Path, bundle: str) -> Path:
    """Where the code for a bundle is kept. Raises ValueError for what is no bundle's id, before it is a path."""
    if not _BUNDLE.fullmatch(bundle):
        raise ValueError(f"no bundle has the id {bundle!r}")
    return state / "resend" / f"{bundle}.txt"


def keep_request(path: Path, request: Request) -> None:
    """Write the code to ``path``, and its QR code beside it where it is short. Raises OSError."""
    with Folder.open(path.parent.parent) as state, state.folder(path.parent.name, create=True, mode=0o777) as folder:
        folder.put(path.name, f"{request.code}\n".encode(), 0o666)
        folder.remove(f"{path.stem}.png")
        if request.is_short:
            image = io.BytesIO()
            segno.make(request.code, error="m").save(image, kind="png", scale=6)
            folder.put(f"{path.stem}.png", image.getvalue(), 0o666)


def drop_request(state: Path, name: str) -> None:
    """The bundle is over: nothing is asked for any more."""
    path = request_path(state, name)
    with suppress(FileNotFoundError), Folder.open(path.parent) as folder:
        for suffix in (".txt", ".png"):
            folder.remove(f"{name}{suffix}")


def confirm_code(row: Row) -> str:
    """The code that tells the sender that this bundle was published."""
    return encode(Confirm(int(row.id, 16), int(row.content[:8], 16)))


def qr_text(code: str) -> str:
    """A QR code to be shown in a terminal."""
    out = io.StringIO()
    segno.make(code, error="m").terminal(out=out, compact=True)
    return out.getvalue()
