"""Opens the ledger and the audit log that a configuration names."""

from typing import TYPE_CHECKING

from diode.config.sender import SenderConfig
from diode.errors import UsageError
from diode.storage.database import LEDGER_FILE
from sender.ledger import Ledger

if TYPE_CHECKING:
    from diode.audit.log import AuditLog


def open_audit(config: SenderConfig) -> "AuditLog":
    """The audit log of this side."""
    from diode.audit.log import open_log  # loads what signs, which most commands do not need

    return open_log(config.audit_folder, config.service_key, "sender")


def maybe_ledger(config: SenderConfig, *, read_only: bool = True) -> Ledger | None:
    """The ledger; None when nothing was ever sent from here."""
    path = config.state / LEDGER_FILE
    return Ledger(path, read_only=read_only) if path.exists() else None


def open_ledger(config: SenderConfig, *, read_only: bool = True) -> Ledger:
    """The ledger. Raises UsageError when nothing was ever sent from here."""
    ledger = maybe_ledger(config, read_only=read_only)
    if ledger is None:
        raise UsageError(f"nothing was ever sent from {config.state}")
    return ledger
