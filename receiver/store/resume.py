"""Takes up what an earlier run left in the spool and in ``held``: each bundle goes on from its last certain step."""

from contextlib import suppress
from typing import Final

from diode.audit.chain import What
from diode.audit.facts import why
from diode.bundle.receipt import RECEIPT_FILE
from diode.errors import ContentError, ReplayError
from receiver.ledger.bundles import Row, named
from receiver.ledger.states import State
from receiver.messages.pipeline import MAX_LOST, Resumed, SpoolLost, SymbolsLost
from receiver.release.held import check_tree
from receiver.release.holding import Holding
from receiver.spool.bundle import read_manifest_file
from receiver.store.collect import Collecting
from receiver.store.publish import Publishing
from receiver.store.receiving import Bundles, Receiving
from receiver.store.records import Records
from receiver.store.refuse import Refusing
from receiver.store.reports import Reports

FACTS: Final = ("channel", "name", "version", "sequence", "signer")  # of a row, for the reason of a refusal


class Resuming:
    """Takes up once, before anything is received, what an earlier run left."""

    def __init__(
        self,
        records: Records,
        reports: Reports,
        bundles: Bundles,
        refusing: Refusing,
        publishing: Publishing,
        collecting: Collecting,
    ) -> None:
        self._records = records
        self._reports = reports
        self._bundles = bundles
        self._refusing = refusing
        self._publishing = publishing
        self._collecting = collecting

    def resume(self, holding: Holding) -> None:
        """Take up what is held, then what was being received. Raises StorageError."""
        self._records.ledger.slabs.begin_run()
        holding.resume(lambda sealed: self._records.authority.open(sealed, None))
        self._records.ledger.bundles.forget_strays()
        rows = self._records.ledger.bundles.in_progress()
        self._remove_strays({row.id for row in rows})
        for row in rows:
            try:
                bundle = self._reopen(row.id)
            except (OSError, ContentError) as error:
                self._forget(row, error)
                continue
            with self._reports.disk.surviving(), self._refusing.refusing(bundle):
                self._go_on(bundle, row.state)

    def _remove_strays(self, known: set[str]) -> None:
        spool = self._records.spool
        for stray in spool.names():
            if stray not in known:
                with suppress(OSError):
                    spool.remove(stray)

    def _reopen(self, hex_id: str) -> Receiving:
        sealed = read_manifest_file(self._records.spool, hex_id)
        return self._records.take_up(self._records.authority.open(sealed, None), sealed)

    def _forget(self, row: Row, error: OSError | ContentError) -> None:
        """Its manifest was lost with the power, or its key is trusted no more: it may begin anew."""
        if row.state == "publishing":
            self._refuse_half_published(row, error)
            return
        self._records.audit.append(What.SPOOL_LOST, **named(row), **why(error))
        self._records.ledger.bundles.forget(row.id, State.RECEIVING)
        with suppress(OSError):
            self._records.spool.remove(row.id)
        self._reports.tell(SpoolLost(row.id, str(error)))

    def _refuse_half_published(self, row: Row, cause: OSError | ContentError) -> None:
        """A ledger that was put back may have been kept in the middle of a publication; never publish it twice."""
        error = ReplayError(
            f"it was being published, and may have been; if not, have it sent under a new version: {cause}"
        )
        self._records.audit.append(What.REFUSED, **named(row), **why(error))
        self._records.ledger.bundles.set_state(row.id, State.REFUSED, str(error))
        about = {name: getattr(row, name) for name in FACTS}
        self._refusing.quarantine(row.id, error, about, self._records.spool)

    def _go_on(self, bundle: Receiving, state: str) -> None:
        self._bundles[bundle.number] = bundle
        bundle.is_said_published = state == "publishing"
        if state == "publishing" and not bundle.spool.has("tree"):  # renamed; its reader may have moved it on since
            bundle.target = self._records.inbox.version_folder(bundle.manifest)
            self._publishing.publish(bundle)
        elif state == "publishing" and bundle.spool.has(f"tree/{RECEIPT_FILE}"):  # complete, durable, to be renamed
            check_tree(bundle.spool.path, bundle.number, self._records.authority.trust, self._records.own_key)
            bundle.is_released = True
            self._publishing.publish(bundle)
        else:
            self._receive_on(bundle)

    def _receive_on(self, bundle: Receiving) -> None:
        ledger = self._records.ledger
        is_ready = bundle.maybe_read_tables(from_disk=True)
        ledger.slabs.forget_doubtful(bundle.hex_id)
        if is_ready:
            self._collecting.restore_slabs(bundle)
        self._reports.known(bundle, ledger)
        self._reports.tell(Resumed(bundle.hex_id, bundle.judge.stored_bytes, bundle.judge.missing))
        if lost := ledger.slabs.take_begun(bundle.hex_id):
            self._reports.tell(SymbolsLost(bundle.hex_id, tuple(lost[:MAX_LOST])))
        if is_ready:
            self._collecting.store_whole(bundle)
            self._publishing.maybe_publish(bundle)
