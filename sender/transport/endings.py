"""How the transmission of a bundle ends: sent, sent again, or given up.

Each way is written into the audit log first, then into the ledger; then the item leaves the outbox, and it is said.
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
    """Books ends. ``state`` is the folder below which packed bundles lie. Raises StorageError when ours is at fault."""

    def __init__(
        self, state: Path, folder: OutboxFolder, ledger: Ledger, audit: AuditLog, say: Callable[[Event], None]
    ) -> None:
        self._state = state
        self._folder = folder
        self._ledger = ledger
        self._audit = audit
        self._say = say

    def sent(self, row: Row) -> None:
        """All transmissions of a bundle are over."""
        self._audit.append(What.SENT, **named(row), detail=f"{row.passes} passes")
        self._ledger.sent(row.id, row.passes)
        if row.origin:
            archive(self._folder, self._state, self._ledger, row, Path(row.origin))
        self._say(BundleSent(BundleRef.of_row(row), row.size, row.files, row.passes))

    def resent(self, row: Row, resend: Resend, resent_bytes: int) -> None:
        """The slabs that were asked for, of so many bytes, were sent again."""
        self._audit.append(What.RESENT, **named(row))
        self._ledger.pass_over(row.id, 1)
        self._ledger.resends.end(resend.number, "sent")
        self._say(BundleResent(BundleRef.of_row(row), resent_bytes, row.files, row.passes))

    def give_up(self, resend: Resend, detail: str) -> None:
        """What was asked for cannot be sent again."""
        self._audit.append(What.RESEND_FAILED, bundle=resend.bundle, detail=detail)
        self._ledger.resends.end(resend.number, "failed", detail)
        self._say(ResendFailed(resend.bundle, detail))

    def cancel(self, row: Row, detail: str) -> None:
        """Give a bundle up: its source is not what was hashed any more."""
        self._audit.append(What.WITHDRAWN, **named(row), detail=detail)
        self._ledger.set_state(row.id, State.WITHDRAWN, detail)
        shutil.rmtree(self._state / "bundles" / row.id, ignore_errors=True)
        self._say(BundleWithdrawn(BundleRef.of_row(row), row.passes, detail))
        if row.origin and self._folder.has(Path(row.origin)):
            self._folder.set_aside(Path(row.origin), SourceError(detail))
