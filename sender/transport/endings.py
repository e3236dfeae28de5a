"""Records how the sending of a bundle ended: it was sent, slabs of it were sent again, or it was given up.

Each end is written into the audit log first, and then into the ledger. Only then the item leaves the outbox, and an
event tells of the end.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.bundle.ref import BundleRef
from diode.errors import SourceError
from sender.events.happened import BundleResent, BundleSent, BundleWithdrawn, Event, ResendFailed
from sender.ledger import Ledger, Resend, Row, State, named
from sender.outbox.folder import OutboxFolder
from sender.pack.retention import archive


class Endings:
    """Records ends. ``state`` is the folder below which packed bundles lie.

    Each method raises StorageError when our own disk fails.
    """

    def __init__(
        self, state: Path, folder: OutboxFolder, ledger: Ledger, audit: AuditLog, say: Callable[[Event], None]
    ) -> None:
        self._state = state
        self._folder = folder
        self._ledger = ledger
        self._audit = audit
        self._say = say

    def sent(self, row: Row) -> None:
        """All passes of a bundle have been sent."""
        self._audit.append(What.SENT, **named(row), detail="1 pass" if row.passes == 1 else f"{row.passes} passes")
        self._ledger.sent(row.id, row.passes)
        if row.origin:
            archive(self._folder, self._state, self._ledger, row, Path(row.origin))
        self._say(BundleSent(BundleRef.of_row(row), row.size, row.files, row.passes))

    def resent(self, row: Row, resend: Resend, resent_bytes: int) -> None:
        """The slabs of a resend request were sent: ``resent_bytes`` in all."""
        self._audit.append(What.RESENT, **named(row))
        self._ledger.pass_over(row.id, 1)
        self._ledger.resends.end(resend.number, "sent")
        self._say(BundleResent(BundleRef.of_row(row), resent_bytes, row.files, row.passes))

    def give_up(self, resend: Resend, detail: str) -> None:
        """The slabs of a resend request cannot be sent."""
        self._audit.append(What.RESEND_FAILED, bundle=resend.bundle, detail=detail)
        self._ledger.resends.end(resend.number, "failed", detail)
        self._say(ResendFailed(resend.bundle, detail))

    def cancel(self, row: Row, detail: str) -> None:
        """Give a bundle up, because its source files are no longer what was hashed."""
        self._audit.append(What.WITHDRAWN, **named(row), detail=detail)
        self._ledger.set_state(row.id, State.WITHDRAWN, detail)
        shutil.rmtree(self._state / "bundles" / row.id, ignore_errors=True)
        self._say(BundleWithdrawn(BundleRef.of_row(row), row.passes, detail))
        if row.origin and self._folder.has(Path(row.origin)):
            self._folder.set_aside(Path(row.origin), SourceError(detail))
