"""What ``store`` keeps on disk: inbox, spool, ledger, audit log, keys. A decision is noted before it takes effect."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.bundle.manifest import Manifest
from diode.bundle.opened import Opened
from diode.formats.signers import Key, Signer
from diode.storage.connection import FOR_EVER
from diode.storage.database import LEDGER_FILE
from diode.storage.durable import WriteBack
from diode.storage.folder import Folder
from diode.storage.rollback_guard import RollbackGuard
from diode.trust.keys import maybe_read_service_key
from diode.trust.roles import Role
from receiver.inbox.facts import audit_names, ref_of
from receiver.inbox.folder import Inbox
from receiver.ledger.bundles import Row
from receiver.ledger.ledgers import StoreLedger
from receiver.policy.authority import Authority
from receiver.settings import StoreSettings
from receiver.spool.bundle import SpoolBundle
from receiver.spool.spilled import SpilledSlabs
from receiver.store.receiving import Receiving


@dataclass(frozen=True, slots=True)
class Records:
    """The store's own: nobody else writes there while it runs, but for the supervisor's rows of the ledger."""

    inbox: Inbox
    write_back: WriteBack  # opened before anything was written to the spool
    signer: Signer | None
    audit: AuditLog
    ledger: StoreLedger
    authority: Authority

    @classmethod
    def open(cls, settings: StoreSettings) -> "Records":
        """Raises DiodeError or OSError for what cannot be used, or is older than its rollback guard."""
        inbox = Inbox(Path(settings.inbox))
        write_back = WriteBack(inbox.spool)
        signer = maybe_read_service_key(Path(settings.service_key))
        audit = AuditLog(Path(settings.audit), "receiver", signer)
        guard = RollbackGuard(Path(settings.guard), "diode-receiver", audit)
        ledger = StoreLedger(Path(settings.state) / LEDGER_FILE, guard)
        ledger.wait(FOR_EVER)
        guard.check(ledger.checkpoint())  # somebody may have taken the ledger away since the daemon looked
        roles = {
            name: Role(channel.signatures, frozenset(channel.signers) if channel.signers else None)
            for name, channel in settings.channels.items()
        }
        authority = Authority(ledger, Path(settings.signers), roles)
        return cls(inbox, write_back, signer, audit, ledger, authority)

    @property
    def own_key(self) -> Key | None:
        """The public half of the receiver's own key."""
        return self.signer.public_key if self.signer else None

    @property
    def spool(self) -> Folder:
        """Bundles on their way, each in a folder named by its id."""
        return self.inbox.spool_folder

    def take_up(self, opened: Opened, sealed: bytes, write_back: WriteBack | None = None) -> Receiving:
        """Receive a bundle whose folder lies in the spool; ``write_back`` as :class:`SpoolBundle` has it."""
        ref = ref_of(opened)
        spilled = SpilledSlabs(self.spool, ref, self.ledger)
        return Receiving(SpoolBundle(self.spool, ref.hex_id, opened, sealed, write_back), spilled)

    def before(self, manifest: Manifest) -> Row | None:
        """The bundle that has the number before this one's."""
        return self.ledger.bundles.numbered(manifest.channel, manifest.sequence - 1)

    def note(self, what: What, opened: Opened, **facts: Any) -> None:
        """Write a decision about a bundle into the audit log: before it takes effect. ``facts`` go before its own."""
        self.audit.append(what, **(audit_names(opened) | {"key": opened.signer} | facts))
