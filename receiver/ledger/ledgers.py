"""The receiver's ledger as each process opens it. Two write it, each its own tables; commands read.

A process has no methods that change the tables of the other process, and the database refuses such a statement, too.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from diode.storage.database import Database
from diode.storage.listing import Listing
from diode.storage.rollback_guard import RollbackGuard
from receiver.ledger.bundles import Bundles, BundleWriter, Row
from receiver.ledger.catalogue import CatalogueRecord, CatalogueWriter
from receiver.ledger.dismissals import Dismissals, DismissalWriter
from receiver.ledger.drills import DrillRecord, DrillWriter
from receiver.ledger.gaps import Gaps
from receiver.ledger.numbers import Numbers, NumberWriter
from receiver.ledger.peer import PeerRecord, PeerWriter
from receiver.ledger.pointers import PointerRecord, PointerWriter, Recall
from receiver.ledger.quarantined import QuarantineRecord, QuarantineWriter
from receiver.ledger.recalls import RecallRecord, RecallWriter
from receiver.ledger.schema import BY_STORE, BY_SUPERVISOR, MIGRATIONS, PROOFS_SINCE, SCHEMA
from receiver.ledger.slabs import Slabs, SlabWriter, boot_id
from receiver.ledger.trust import TrustRecord, TrustWriter
from receiver.ledger.waiting import Waiting, WaitingWriter


class LedgerView(Database):
    """The ledger as it is read: by commands, beside a running daemon or without one. SQLite in WAL mode."""

    side = "receiver"
    migrations = MIGRATIONS
    bundles: Bundles
    slabs: Slabs
    numbers: Numbers
    waiting: Waiting
    trust: TrustRecord
    peer: PeerRecord
    dismissals: Dismissals
    quarantined: QuarantineRecord
    catalogue: CatalogueRecord
    pointers: PointerRecord
    recalls: RecallRecord
    drills: DrillRecord

    def __init__(self, path: Path, guard: RollbackGuard | None = None, *, read_only: bool = True) -> None:
        super().__init__(path, SCHEMA, "NORMAL", read_only=read_only, guard=guard)
        self.bundles = Bundles(self._connection)
        self.listing = Listing(self._connection, "changed")
        self.slabs = Slabs(self._connection)
        self.numbers = Numbers(self._connection)
        self.gaps = Gaps(self._connection, self.numbers)
        self.waiting = Waiting(self._connection, self.numbers)
        self.trust = TrustRecord(self._connection)
        self.peer = PeerRecord(self._connection)
        self.dismissals = Dismissals(self._connection)
        self.quarantined = QuarantineRecord(self._connection)
        self.catalogue = CatalogueRecord(self._connection)
        self.pointers = PointerRecord(self._connection)
        self.recalls = RecallRecord(self._connection)
        self.drills = DrillRecord(self._connection)

    def trust_checkpoint(self) -> tuple[int, str] | None:
        """(version, digest) of the newest trust document that ever counted here, whether it is still in here or not."""
        return self.trust.head()

    def _epoch(self) -> int:
        """None: what is heard is not signed, and the guard holds nothing that somebody else could have raised."""
        return 0

    def _in_copies(self) -> str:
        """By the time a copy is used the spool may hold something else, and other sessions are live."""
        proof = ", proof = 'written'" if self.version >= PROOFS_SINCE else ""
        return f"UPDATE slab SET boot = ''{proof}; UPDATE parked SET boot = ''{proof}; DELETE FROM session"


class StoreLedger(LedgerView):
    """As ``store`` writes it, and a person while no ``store`` runs: bundles, slabs, numbers, trust, pointers."""

    writes: ClassVar = BY_STORE
    bundles: BundleWriter
    slabs: SlabWriter
    numbers: NumberWriter
    waiting: WaitingWriter
    quarantined: QuarantineWriter
    trust: TrustWriter
    catalogue: CatalogueWriter
    pointers: PointerWriter
    recalls: RecallWriter
    drills: DrillWriter

    def __init__(self, path: Path, guard: RollbackGuard | None = None, *, read_only: bool = False) -> None:
        super().__init__(path, guard, read_only=read_only)
        self.slabs = SlabWriter(self._connection, boot_id())
        self.numbers = NumberWriter(self._connection)
        self.waiting = WaitingWriter(self._connection, self.numbers)
        self.quarantined = QuarantineWriter(self._connection)
        self.bundles = BundleWriter(self._connection, self.slabs, self.numbers, self.keep_guard)
        self.trust = TrustWriter(self._connection, self.keep_guard)
        self.catalogue = CatalogueWriter(self._connection)
        self.pointers = PointerWriter(self._connection, self.keep_guard)
        self.recalls = RecallWriter(self._connection)
        self.drills = DrillWriter(self._connection, self.keep_guard)

    def rebaseline(
        self,
        published: Iterable[Row],
        channels: Mapping[str, int],
        decisions: int,
        trust: tuple[int, str] | None = None,
        recalls: Iterable[Recall] = (),
    ) -> None:
        """Take up what an older ledger has forgotten: bundles in the inbox, recalls, and the last published numbers.

        Unknown numbers up to those are spent, since what they named may have been published and taken away. ``trust``:
        the trust document that counted. All of it happens, or nothing. Heartbeats are not signed: how far they had come
        is not taken up.
        """
        with self._connection.synchronously("FULL"), self._connection.transaction():
            for row in published:
                self.bundles.take_published(row)
            for channel, sequence in channels.items():
                self.numbers.spend(channel, sequence)
            if trust is not None:
                self.trust.raise_floor(trust)
            for recall in recalls:
                self.recalls.put(recall)
            self._outdo(decisions)
        self.keep_guard()


class SupervisorLedger(LedgerView):
    """As the supervisor writes it: what was heard of the sender, and what people said about what is missing."""

    writes: ClassVar = BY_SUPERVISOR
    peer: PeerWriter
    dismissals: DismissalWriter

    def __init__(self, path: Path, guard: RollbackGuard | None = None, *, read_only: bool = False) -> None:
        super().__init__(path, guard, read_only=read_only)
        self.peer = PeerWriter(self._connection)
        self.dismissals = DismissalWriter(self._connection)
