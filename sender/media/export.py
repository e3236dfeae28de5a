"""Exports bundles: which ones may leave on a medium, what is recorded of it, and in which order.

What is exported may still be sent over the link, before or after. The enclave takes each bundle once.
"""

from pathlib import Path
from typing import Final, NamedTuple

from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.bundle.beginning import find_bundle
from diode.bundle.medium import TOP, parts_of
from diode.bundle.ref import label_of, number_of
from diode.errors import IntegrityError, ManifestError, SourceError, StorageError, UsageError
from diode.formats.timestamps import now_utc
from diode.storage.durable import disk_error
from diode.storage.folder import Folder
from sender.ledger import Ledger, Row, State, named
from sender.media.copying import Copying, Show
from sender.pack.packed import check_packed, load_packed

MAY_LEAVE: Final = frozenset({State.APPROVED, State.QUEUED, State.SENT, State.CONFIRMED})
_DAMAGED: Final = (OSError, ValueError, LookupError, ManifestError)


class Exported(NamedTuple):
    """What was done: ``is_new`` unless the medium had the bundle; ``is_direct``: it was read back by ``O_DIRECT``."""

    is_new: bool
    is_direct: bool


def find(ledger: Ledger, text: str) -> Row:
    """The bundle whose id is, or begins with, ``text``, and that may leave. Raises UsageError."""
    row = find_bundle(ledger.ids, text, "'diode-sender status' shows them")
    if row.state == State.UNAPPROVED:
        raise UsageError(f"{row.id} waits for signatures, and was not exported; type: diode-sender approve {row.id}")
    if row.state not in MAY_LEAVE:
        raise UsageError(f"{row.id} is {row.state}, and was not exported")
    return row


def export(state: Path, ledger: Ledger, audit: AuditLog, row: Row, target: Path, show: Show) -> Exported:
    """Write a bundle to the medium that is mounted at ``target``. ``show`` is told how many bytes are there.

    Raises SourceError, UsageError, StorageError, IntegrityError; each says what stayed on the medium.
    """
    copying = _begin(state, row, target, show)
    is_new = not copying.is_there
    parts = sum(1 for _ in parts_of(copying.packed.manifest))

    def commit() -> None:
        audit.append(What.EXPORTED, **named(row), detail=f"on physical media, in {parts} parts")
        ledger.exports.note(row.id, now_utc())

    try:
        if is_new:
            copying.run(commit)
        else:
            copying.check()
        return Exported(is_new, copying.reads_directly())
    except IntegrityError as error:
        raise StorageError(f"{error}; nothing on this one counts") from error
    except OSError as error:
        kept = f"what was read back stays; once it is mended, type: diode-sender export {target} --bundle {row.id}"
        raise disk_error(error, f"the medium at {target} failed", kept) from error


def _begin(state: Path, row: Row, target: Path, show: Show) -> Copying:
    number = number_of(row.id)
    try:
        check_packed(state, number)
        packed = load_packed(state, number)
    except _DAMAGED as error:
        raise SourceError(
            f"{label_of(row)} is {row.state} and not kept any more, or damaged; nothing was written: {error}"
        ) from error
    try:
        with Folder.open(target) as medium:
            top = medium.folder(TOP, create=True, mode=0o755)
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}; nothing was written") from error
    try:
        return Copying(packed, top, show)
    except _DAMAGED as error:
        raise SourceError(f"the packed bundle {row.id} is damaged; nothing was written: {error}") from error
