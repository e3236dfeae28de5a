"""Sends the messages of ``store``: to ``assemble`` about slabs and bundles, to the supervisor about bundles."""

from contextlib import suppress

from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.bundle.ref import BundleRef
from diode.errors import Drop
from diode.process.workers import Mailbox
from diode.protocol.handed_over import SlabKey
from receiver.ledger.bundles import Row
from receiver.ledger.ledgers import StoreLedger
from receiver.messages.pipeline import Finished, Known, PredecessorDiffers, Progress, Proving, Redo, SpaceShort
from receiver.spool.disk import DiskHealth
from receiver.spool.slabs import pack_mask, spilled_masks
from receiver.store.budgets import Kind, ReportBudgets
from receiver.store.receiving import Receiving


class Reports:
    """The two pipes out of ``store``, the alarm for a failing disk, and the budget of each kind of report."""

    def __init__(self, control: Mailbox, assemble: Mailbox, audit: AuditLog) -> None:
        self._control = control
        self._assemble = assemble
        self._audit = audit
        self._budgets = ReportBudgets(audit, control.send)
        self.disk = DiskHealth(control.send)
        self.now = 0.0  # of a monotonic clock, in seconds, as of the step that is being done

    def tell(self, message: object) -> None:
        """Send a message to the supervisor."""
        self._control.send(message)

    def answer(self, message: object) -> None:
        """Send a message to ``assemble``. If that has ended, go on: the slabs that it gave are still to be done."""
        with suppress(BrokenPipeError):
            self._assemble.send(message)

    def has_turn(self, kind: Kind) -> bool:
        """Whether one more report of a kind may be made. If not, it is only counted."""
        return self._budgets.take(kind, self.now)

    def sum_up(self, now: float) -> None:
        """Report how many were only counted. Raises StorageError."""
        self._budgets.sum_up(now)

    def redo(self, key: SlabKey) -> None:
        """Ask for a slab again."""
        self.answer(Redo(*key))

    def finished(self, number: int, drop: Drop | None) -> None:
        """Tell that a bundle needs no more datagrams. ``drop`` is the reason to drop them; None: it may begin anew."""
        self.answer(Finished(number, drop or ""))

    def known(self, bundle: Receiving, ledger: StoreLedger) -> None:
        """Tell ``assemble`` what is signed, stored and spilled of a bundle."""
        manifest, shape, done = bundle.manifest, bundle.manifest.shape, bundle.judge.stored.copy()
        if not bundle.judge.is_ready:  # it is not looked for before the tables are there: what is not is asked for then
            done[ledger.slabs.kept(bundle.hex_id)[0]] = True
        for key in bundle.spilled:
            if bundle.is_whole(key):
                done[key.number] = True
        self.answer(
            Known(
                bundle.number,
                geometry=(shape.symbol_bytes, shape.columns, shape.k, shape.r),
                stream_bytes=manifest.stream_bytes,
                files_bytes=manifest.files.size,
                slabs_bytes=manifest.slabs.size,
                done=pack_mask(done),
                **spilled_masks(key for key in bundle.spilled if not bundle.is_whole(key)),
            )
        )

    def progress(self, bundle: Receiving) -> None:
        """Report the progress of a bundle that the ledger knows."""
        self.tell(Progress(bundle.hex_id, bundle.judge.stored_bytes, bundle.judge.missing))

    def proving(self, bundle: Receiving, *, is_new: bool = False) -> None:
        """Report the progress and the sizes of a bundle that the ledger does not know yet, so nobody can look it up."""
        manifest, judge = bundle.manifest, bundle.judge
        sizes = (manifest.stream_bytes, manifest.files.entries, manifest.slabs.entries)
        self.tell(Proving(bundle.hex_id, judge.stored_bytes, judge.missing, *sizes, int(is_new)))

    def predecessor(self, bundle: Receiving, before: Row | None) -> None:
        """Alarm when the bundle before this one is not the one that its signer says."""
        if before is not None and before.id != bundle.manifest.previous:
            self.tell(PredecessorDiffers(bundle.hex_id, bundle.manifest.previous or ""))

    def postponed(self, message: SpaceShort, ref: BundleRef) -> None:
        """Report that a bundle has to wait for free space."""
        if self.has_turn("waiting"):
            self.tell(message)
            unit = "inodes" if message.of == "inodes" else "bytes"
            detail = f"{message.needed} {unit} are needed, {message.free} are free"
            place = {"channel": ref.channel, "name": ref.name, "version": ref.version}
            self._audit.append(What.POSTPONED, bundle=ref.hex_id, **place, detail=detail)
