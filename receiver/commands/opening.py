"""Opens the ledger and the audit log that a configuration names."""

from typing import TYPE_CHECKING

from diode.config.receiver import ReceiverConfig
from diode.errors import UsageError
from diode.storage.database import LEDGER_FILE
from receiver.ledger.ledgers import LedgerView

if TYPE_CHECKING:
    from diode.audit.log import AuditLog


def open_audit(config: ReceiverConfig) -> "AuditLog":
    """The audit log of this side."""
    from diode.audit.log import open_log  # loads what signs, which most commands do not need

    return open_log(config.audit_folder, config.service_key, "receiver")


def maybe_ledger(config: ReceiverConfig) -> LedgerView | None:
    """The ledger, to be read. None: nothing was ever received here."""
    path = config.state / LEDGER_FILE
    return LedgerView(path, read_only=True) if path.exists() else None


def open_ledger(config: ReceiverConfig) -> LedgerView:
    """The ledger, to be read. Raises UsageError when nothing was ever received here."""
    ledger = maybe_ledger(config)
    if ledger is None:
        raise UsageError(f"nothing was ever received into {config.state}")
    return ledger
