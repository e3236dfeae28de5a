"""The receiver's backup: a copy of its ledger, in which the trust document lies.

Somebody who could change the trust document in a backup would decide whom this side believes. So the signature of a
backup covers the document, and the audit log says which documents ever counted here.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from diode.audit.verify import trust_taken
from diode.errors import IntegrityError
from diode.formats.signers import Key, Signer
from diode.storage import backup
from diode.storage.backup_seal import Contents
from receiver.ledger.ledgers import LedgerView
from receiver.policy.authority import read_kept


def back_up(ledger: LedgerView, folder: Path, signer: Signer | None) -> None:
    """Copy the ledger to ``folder``, also while the daemon runs. Raises UsageError, StorageError."""
    backup.back_up(ledger, folder, _open, signer=signer)


def restore(
    folder: Path,
    state: Path,
    audit: Path,
    *,
    force: bool,
    keys: Sequence[Key],
    is_unsigned: bool = False,
    note: Callable[[LedgerView, Contents | None], None] = lambda *_: None,
) -> Path | None:
    """Put a backup back; returns where a ledger that was there is kept now.

    Raises as :func:`diode.storage.backup.restore`.

    Its trust document must be one that counted here, as far as the log in ``audit`` goes back. ``note`` is told of the
    ledger before it takes its place.
    """

    def check_trust(ledger: LedgerView, _: Contents | None) -> None:
        head = ledger.trust_checkpoint()
        read_kept(ledger)
        taken = trust_taken(audit)
        if head is None or head[0] not in taken or head[1] in taken[head[0]]:
            return
        raise IntegrityError(
            f"trust document {head[0]} in the backup is another one than the audit log {audit} says was taken here; "
            "nothing was changed: somebody changed the backup, use another one"
        )

    return backup.restore(
        folder,
        state,
        _open,
        force=force,
        keys=keys,
        is_unsigned=is_unsigned,
        check_rest=check_trust,
        put_rest=note,
    )


def _open(path: Path) -> LedgerView:
    return LedgerView(path, read_only=True)
