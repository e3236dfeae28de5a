"""The copies of packed identity material (docs/identity.md): what approvers are shown, and how long a copy stays."""

from contextlib import suppress
from pathlib import Path

from diode.bundle.ref import names_of
from diode.identity.kept import IDENTITY_FOLDER, Kept
from diode.log import log
from sender.ledger import Ledger, Row


def changes_of(state: Path, row: Row) -> tuple[str, ...]:
    """What a bundle of identity material changes, a line for each; none: it is something else, or has no copy."""
    with suppress(OSError):
        return Kept(state / IDENTITY_FOLDER).changes(row.channel, row.name, row.sequence)
    return ()


def forget(state: Path, row: Row) -> None:
    """Remove the copy of a bundle that was rejected: the next item must not be compared with it."""
    try:
        Kept(state / IDENTITY_FOLDER).remove(row.channel, row.name, row.sequence)
    except OSError as error:
        log.warning("identity_copy_stuck", **names_of(row), detail=f"{error.strerror}: {error.filename}")


def forget_older(state: Path, ledger: Ledger, row: Row) -> None:
    """Remove the copies that are older than a bundle that was approved, and than all that still wait under its name."""
    same = (one.sequence for one in ledger.unapproved() if (one.channel, one.name) == (row.channel, row.name))
    try:
        Kept(state / IDENTITY_FOLDER).prune(row.channel, row.name, min([row.sequence, *same]))
    except OSError as error:
        log.warning("identity_copy_stuck", **names_of(row), detail=f"{error.strerror}: {error.filename}")
