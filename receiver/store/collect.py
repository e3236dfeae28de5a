"""Slabs of bundles whose manifest counts: spilled until they are whole, judged, written to their places, recorded."""

import numpy as np

from diode.errors import IntegrityError, StorageError
from diode.protocol.handed_over import SlabKey
from diode.protocol.sizes import Kind, ObjectType
from receiver.messages.pipeline import Loaded, SlabMismatch
from receiver.spool.slabs import Mask, pack_mask
from receiver.store.lost_writes import LostWrites
from receiver.store.publish import Publishing
from receiver.store.receiving import Bundles, Receiving
from receiver.store.records import Records
from receiver.store.reports import Reports


class Collecting:
    """Collects slabs. Tables come first: what comes before them is spilled whole."""

    def __init__(
        self, records: Records, reports: Reports, bundles: Bundles, lost: LostWrites, publishing: Publishing
    ) -> None:
        self._records = records
        self._reports = reports
        self._bundles = bundles
        self._lost = lost
        self._publishing = publishing

    def take(self, bundle: Receiving, key: SlabKey, data: memoryview, blake3: bytes | None = None) -> None:
        """Take a whole slab of a table or of data. Raises ContentError when its bundle is found to break the rules.

        ``blake3`` is of ``data``, where that is known already.
        """
        if key.kind == Kind.OBJECT:
            self._take_table(bundle, key, data)
        elif bundle.judge.is_ready:
            self._take_data(bundle, key, data, blake3)
        else:
            have = np.ones(bundle.judge.slab(key).source_symbols, dtype=np.bool_)
            bundle.spilled.keep(key, data, bundle.manifest.shape.symbol_bytes, have)

    def note_begun(self, key: SlabKey) -> None:
        """The first symbol of a slab arrived."""
        bundle = self._bundles.get(key.bundle)
        if key.kind == Kind.DATA and bundle is not None:
            with self._reports.disk.surviving():
                self._records.ledger.slabs.begun(bundle.hex_id, key.number)

    def is_wanted(self, key: SlabKey) -> bool:
        """Whether a slab of data belongs to a bundle that is being received, and is not stored yet."""
        bundle = self._bundles.get(key.bundle)
        return bundle is not None and not bundle.judge.stored[key.number]

    def spill(self, key: SlabKey, data: memoryview, *, symbol_bytes: int, have: Mask) -> None:
        """Keep the symbols of ``have``, each at its place in ``data``."""
        bundle = self._bundles.get(key.bundle)
        if bundle is not None:
            bundle.spilled.keep(key, data, symbol_bytes, have)

    def load(self, key: SlabKey, place: memoryview, symbol_bytes: int, symbols: int) -> None:
        """Put spilled symbols back into ``place``, a stretch of the arena, and answer which are there."""
        bundle, have = self._bundles.get(key.bundle), np.zeros(symbols, dtype=np.bool_)
        if bundle is not None:
            self.note_begun(key)
            with self._reports.disk.surviving():
                have = bundle.spilled.load(key, place, symbol_bytes, symbols)
        self._reports.answer(Loaded(*key, symbols=symbols, have=pack_mask(have)))

    def after_tables(self, bundle: Receiving) -> None:
        """Go on when both tables are there: with what an earlier run stored, and with what came before them."""
        if not self._lost.pending and bundle.maybe_read_tables():
            self.restore_slabs(bundle)  # an earlier run's, whose tables did not outlive it
            self.store_whole(bundle)
            self._publishing.maybe_publish(bundle)

    def go_on(self, bundle: Receiving) -> None:
        """Do what the disk did not take before. Raises the error that a bundle is to be refused for."""
        if bundle.refusal is not None:
            raise bundle.refusal
        if bundle.judge.is_ready and not self._lost.pending:
            self.store_whole(bundle)
        self._publishing.maybe_publish(bundle)

    def store_whole(self, bundle: Receiving) -> None:
        """Slabs that arrived whole before their tables go to their places."""
        for key in bundle.spilled:
            if bundle.is_whole(key):
                data = bundle.spilled.read(key, bundle.judge.slab(key).length)
                self._take_data(bundle, key, memoryview(data))

    def restore_slabs(self, bundle: Receiving) -> None:
        """Take what the ledger says is stored, as far as it is there; the rest is asked for again."""
        ledger = self._records.ledger
        trusted, doubtful = ledger.slabs.kept(bundle.hex_id)
        there = {number for number in trusted if bundle.is_there(number)}
        again = {number for number in doubtful if bundle.rehash(number)}
        bundle.judge.note_stored(*there, *again)
        bundle.unproven = ledger.slabs.unproven(bundle.hex_id) & there
        for number in again:
            ledger.slabs.stored(bundle.hex_id, number)
        for number in {*trusted, *doubtful} - there - again:
            ledger.slabs.drop(bundle.hex_id, number)
            self._reports.redo(SlabKey(bundle.number, Kind.DATA, 0, number))

    def _take_table(self, bundle: Receiving, key: SlabKey, data: memoryview) -> None:
        for again in bundle.put_table(ObjectType(key.flags), key.number, data):
            bundle.spilled.drop(key._replace(number=again))  # whatever is kept of it may be what was wrong
            self._reports.redo(key._replace(number=again))
        bundle.spilled.drop(key)
        self.after_tables(bundle)

    def _take_data(self, bundle: Receiving, key: SlabKey, data: memoryview, blake3: bytes | None = None) -> None:
        if bundle.judge.stored[key.number]:
            bundle.spilled.drop(key)
            return
        try:
            stretch = bundle.put_slab(key.number, data, blake3)
        except IntegrityError:
            self._reports.tell(SlabMismatch(bundle.hex_id, key.number))
            bundle.spilled.drop(key)
            self._reports.redo(key)
            return
        try:
            self._records.ledger.slabs.stored(bundle.hex_id, key.number)
        except StorageError:
            bundle.judge.note_lost(key.number)
            raise
        bundle.spilled.drop(key)
        if stretch is not None:
            self._bundles.finishing.begin_write_back(*stretch)
        if self._bundles.is_recorded(bundle.number):
            self._reports.progress(bundle)
        else:
            self._reports.proving(bundle)
        self._publishing.maybe_publish(bundle)
