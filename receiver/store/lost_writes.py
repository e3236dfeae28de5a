"""After the disk lost writes: forgets everything that no successful sync has covered, so that it is asked for again."""

from collections.abc import Iterator
from contextlib import contextmanager

from diode.errors import LostWritesError
from diode.storage.durable import WriteBack
from receiver.messages.pipeline import Resumed
from receiver.spool.bundle import write_manifest_again
from receiver.store.receiving import Bundles, Receiving
from receiver.store.records import Records
from receiver.store.reports import Reports


class LostWrites:
    """Notices that writes were lost. Nothing is published while ``pending``: until the ledger has forgotten them."""

    def __init__(self, records: Records, reports: Reports, bundles: Bundles) -> None:
        self.pending = False
        self._records = records
        self._reports = reports
        self._bundles = bundles

    @contextmanager
    def forgetting(self) -> Iterator[None]:
        """When writes were lost, forget what may be lost, of every bundle: nobody says which it is."""
        try:
            yield
        except LostWritesError:
            self.pending = True
            self.forget()
            raise

    def make_durable(self) -> None:
        """Forget what could not be forgotten before, then sync what was recorded.

        Raises StorageError, also LostWritesError.
        """
        with self.forgetting():
            if self.pending:
                self.forget()
            self._bundles.finishing.make_durable(self._records.ledger, self._records.write_back)

    def forget(self) -> None:
        """First in the ledger, then of each bundle whose end is not certain yet."""
        self._records.ledger.slabs.forget_unsynced()
        self.pending = False
        for bundle in self._bundles.each():
            is_settled = bundle.target is not None or bundle.is_released or bundle.refusal is not None
            if not is_settled and not self._bundles.finishing.is_under_way(bundle):  # that one learns it by itself
                self._begin_again(bundle)

    def _begin_again(self, bundle: Receiving) -> None:
        """Go on with what the ledger still has of a bundle; the rest, tables too, is asked for as if it never came."""
        bundle.spool.close()
        write_back, sealed = bundle.spool.write_back, bundle.spool.sealed
        with self._reports.disk.surviving():
            write_back = WriteBack(self._records.inbox.spool)
            write_manifest_again(self._records.spool, bundle.hex_id, sealed)
        again = self._bundles[bundle.number] = self._records.take_up(bundle.opened, sealed, write_back)
        again.is_said_published = bundle.is_said_published
        self._reports.known(again, self._records.ledger)
        if not self._bundles.is_recorded(again.number):
            self._reports.proving(again)
            return
        missing = bundle.manifest.slabs.entries - len(self._records.ledger.slabs.kept(bundle.hex_id)[0])
        self._reports.tell(Resumed(bundle.hex_id, stored_bytes=0, missing=missing))
