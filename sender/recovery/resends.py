"""Finds in the ledger the bundle that a code of the receiver names. A code about an unknown bundle is refused."""

from pathlib import Path
from typing import Final

from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.bundle.ref import hex_of, label_of, number_of
from diode.errors import SourceError, UsageError
from diode.protocol.geometry import slab_count
from diode.protocol.resend_codes import Code, Confirm, Range, ResendBundle, ResendSlabs
from diode.protocol.sizes import MAX_SLABS
from sender.ledger import Ledger, Row, named
from sender.pack.packed import load_packed

EVERYTHING: Final[tuple[Range, ...]] = ((0, MAX_SLABS),)  # of a bundle whose manifest never arrived


def find_asked(ledger: Ledger, state: Path, code: Code) -> tuple[Row, tuple[Range, ...]]:
    """The bundle that a resend code names, and the slabs of it that are asked for. Raises UsageError, SourceError."""
    wanted = EVERYTHING
    match code:
        case ResendSlabs(bundle, ranges):
            row, wanted = ledger.get(hex_of(bundle)), ranges
        case ResendBundle(channel, sequence):
            row = ledger.numbered(channel, sequence)
        case Confirm():
            raise UsageError("this is a confirm code; nothing was done, type 'diode-sender confirm CODE'")
    if row is None:
        raise UsageError(f"this code asks for {code}, which this sender never sent; nothing was done")
    if row.state == "queued":
        raise UsageError(_not_sent_yet(row, ledger.exports.of(row.id)))
    try:
        manifest = load_packed(state, number_of(row.id)).manifest
    except (OSError, ValueError, KeyError):
        raise SourceError(
            f"{label_of(row)} is {row.state} and not kept any more; drop it into the outbox under a new version"
        ) from None
    slabs = slab_count(manifest.shape.geometry, manifest.stream_bytes)
    if wanted != EVERYTHING and wanted and wanted[-1][1] > slabs:
        raise UsageError(f"this code names slabs beyond the last of {row.id}, which has {slabs}; nothing was done")
    return row, tuple((first, min(last, slabs)) for first, last in wanted if first < slabs)


def _not_sent_yet(row: Row, exports: list[str]) -> str:
    """Why no slab of a queued bundle is sent again. One that was only exported may have no link to go over."""
    if not exports:
        return f"{row.id} is being sent still; nothing was done, ask again when its passes are over"
    return (
        f"{row.id} was exported at {exports[-1]} and was not sent over the link yet, so nothing can be sent again and "
        f"nothing was done. Write it to another medium: diode-sender export FOLDER --bundle {row.id}; or send all of "
        "it: diode-sender run"
    )


def note_resend(audit: AuditLog, row: Row, ranges: tuple[Range, ...]) -> None:
    """Write into the audit log that slabs of a bundle are asked for."""
    asked = f"slabs {', '.join(f'{first}-{last - 1}' for first, last in ranges)}"
    audit.append(What.RESEND_ASKED, **named(row), detail=asked)


def find_confirmed(ledger: Ledger, code: Code) -> Row:
    """The bundle that a confirm code names. Raises UsageError."""
    if not isinstance(code, Confirm):
        raise UsageError("this is a resend code; nothing was done, type 'diode-sender resend CODE'")
    row = ledger.get(hex_of(code.bundle))
    if row is None or int(row.content[:8], 16) != code.content:
        raise UsageError(f"{hex_of(code.bundle)} is no bundle of this sender, or had other content; nothing was done")
    has_left = row.state in ("sent", "confirmed") or (row.state in ("approved", "queued") and ledger.exports.of(row.id))
    if not has_left:
        raise UsageError(f"{row.id} is {row.state}; nothing was done")
    return row
