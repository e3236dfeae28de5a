"""Worker: judges manifests, verifies slabs, writes them into the spool, publishes complete bundles. It has no network.

``assemble`` hands slabs over, complete or to be spilled. The worker answers each one with ``Free``, when it no longer
needs the memory. Slabs from physical media lie in a folder (``importing``). The worker answers a request for spilled
symbols with ``Loaded``. When a manifest counts, it sends ``Known``; when a bundle needs no more datagrams,
``Finished``. By ``Redo`` it asks for a slab again that did not have its signed digest, or that could not be written.

A bundle's way through the room::

    queue -> begin -> collect -> publish        judge: what counts of it, without a disk
                |         |         |           refuse, giving_up: how it ends otherwise
              resume    lost_writes             records, reports: what is kept, what is said
                            |
                        following               what a published bundle holds, whose its names are, which is in use
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from diode.errors import DiodeError, MessageError
from diode.process.clock import ClockWatch
from diode.process.messages import Fatal, SandboxLacks
from diode.process.programs import readable_folders
from diode.process.sandbox import FILES, LINKING, confine
from diode.process.waiting import ready
from diode.process.workers import Mailbox, refusing_peers, start_worker
from diode.protocol.geometry import Slab
from diode.protocol.handed_over import SlabKey
from diode.protocol.sizes import Kind, ObjectType
from receiver.messages.pipeline import (
    ASSEMBLE_TO_STORE,
    STORE_SAYS,
    STORE_TO_ASSEMBLE,
    Begun,
    Complete,
    Free,
    Grown,
    Spilled,
    Started,
    Wanted,
)
from receiver.messages.questions import DESCRIBE_TO_STORE, EXAMINE_TO_STORE, STORE_TO_DESCRIBE, STORE_TO_EXAMINE
from receiver.policy.admission import Admission
from receiver.policy.examine import Examine, Examiner, examining_here
from receiver.policy.governed import Governed
from receiver.policy.rules import Policy
from receiver.release.held import Verdicts
from receiver.release.held_trees import HeldTrees
from receiver.release.holding import Holding
from receiver.settings import StoreSettings
from receiver.spool.finishing import Finishing
from receiver.spool.slabs import check_claim, is_manifest, key_of, unpack_mask
from receiver.store.arena import Arena
from receiver.store.begin import Beginning
from receiver.store.collect import Collecting
from receiver.store.describers import Describer, DescribeWorker
from receiver.store.following import Following
from receiver.store.giving_up import GivingUp
from receiver.store.importing import Importing
from receiver.store.judge import ArrivedManifest
from receiver.store.lost_writes import LostWrites
from receiver.store.publish import Publishing
from receiver.store.queue import HandedOver, Queue
from receiver.store.recall_channel import RecallChannel
from receiver.store.receiving import Bundles
from receiver.store.records import Records
from receiver.store.refuse import Refusing
from receiver.store.reports import Reports
from receiver.store.resume import Resuming
from receiver.store.serving import LOOK_S, Serving

TICK_S: Final = 5.0  # how long what is recorded may wait to be durable, and what the disk refused to be tried again


class Store:
    """The worker: its parts, put together here, and the place where messages of ``assemble`` come in."""

    def __init__(
        self,
        settings: StoreSettings,
        control: Mailbox,
        assemble: Mailbox,
        finishing: Finishing,
        look: Examine | None = None,
        describer: Describer | None = None,
    ) -> None:
        """``look``: who examines complete trees, ``describer``: who looks into bundles; None: this process itself."""
        self.arena = Arena(settings.pipes.arena)
        self.queue = Queue(assemble)
        self.records = records = Records.open(settings)
        self.reports = reports = Reports(control, assemble, records.audit)
        self.bundles = bundles = Bundles(finishing)
        admission = Admission(settings, records.inbox, records.ledger, reports.postponed)
        governed = Governed(settings, records.ledger)
        policy = Policy(settings, look or examining_here(records.inbox.spool), governed)
        verdicts = Verdicts.of(settings, records.authority, records.own_key)
        self.holding = Holding(
            settings,
            records.ledger,
            records.audit,
            HeldTrees(records.inbox),
            verdicts,
            finishing.start,
            reports.tell,
        )
        self.lost = lost = LostWrites(records, reports, bundles)
        clock = ClockWatch()
        giving_up = GivingUp(records, reports, bundles, settings.keep_incomplete_s, clock)
        self.refusing = refusing = Refusing(records, reports, bundles, lost, giving_up)
        self.following = Following(settings, records, reports, verdicts.releasers, finishing, clock, describer)
        recalls, follow = RecallChannel(records, self.following.serving.recalling), self.following.published
        self.publishing = Publishing(
            records, reports, bundles, lost, refusing, policy, governed, self.holding, recalls, follow
        )
        self.collecting = Collecting(records, reports, bundles, lost, self.publishing)
        self.beginning = Beginning(records, reports, bundles, admission, policy, refusing, giving_up, self.collecting)
        self.importing = Importing(Path(settings.state), bundles, reports, self._take)
        self._tick_at = 0.0

    @property
    def serving(self) -> Serving:
        """Keeps what clients are given in step with what was published and ordered."""
        return self.following.serving

    def run(self) -> None:
        """Work until ``assemble`` or the supervisor is gone, and all that it handed over is done."""
        self.start()
        while not self.queue.is_over:
            if not self.queue:
                wait_s = min(LOOK_S, self.importing.patience_s(time.monotonic()))
                ready((self.queue.fd, self.bundles.finishing.fd, *self.following.fds), wait_s)
            self.step(time.monotonic())
        self.bundles.finishing.wait()
        self.publishing.take_finished()
        with self.reports.disk.surviving():
            self.reports.sum_up(float("inf"))
        self.records.ledger.close()

    def start(self) -> None:
        """Take up what an earlier run left, and say so to ``assemble``."""
        shared = self.records, self.reports, self.bundles
        self.following.start()
        Resuming(*shared, self.refusing, self.publishing, self.collecting).resume(self.holding)
        self.reports.answer(Started())

    def step(self, now: float) -> None:
        """Handle what has come. ``now`` is of a monotonic clock, in seconds."""
        self.reports.now = now
        self.queue.fill()
        self.publishing.take_finished()
        if self.queue:
            self._handle(self.queue.next())
        self.importing.step(now)
        self.following.step(now)
        if now >= self._tick_at:
            self._tick_at = now + TICK_S
            self._tick(now)

    def _tick(self, now: float) -> None:
        """Once in a while: make durable what was recorded, try again what the disk refused, give up what is too old."""
        surviving = self.reports.disk.surviving
        with surviving():
            self.lost.make_durable()
        with surviving():
            self.holding.look()
        self.following.tick()
        with surviving():
            self.records.ledger.follow_audit()
        for bundle in self.bundles.each():
            with surviving(), self.refusing.refusing(bundle):
                self.collecting.go_on(bundle)
        with surviving():
            self.reports.sum_up(now)
        with surviving():
            self.refusing.maybe_take_back(now)
        self.refusing.giving_up.maybe_expire(now)

    def _handle(self, message: HandedOver) -> None:
        """Do what ``assemble`` asks for. Raises MessageError when what it says of a slab cannot be true."""
        check_claim(message, self._signed(message), len(self.arena))
        key = key_of(message)
        match message:
            case Begun():
                self.arena.forget(key)
                self.collecting.note_begun(key)
            case Grown():
                if self.collecting.is_wanted(key):
                    self.arena.grow(key, message.offset, message.length)
            case Complete() if key.kind == Kind.DATA:
                self._use_hashed(key, message.offset, message.length)
                self.reports.answer(Free(message.offset))
            case Complete():
                self._use(key, message.offset, message.length, self._take)
                self.reports.answer(Free(message.offset))
            case Spilled():
                self.arena.forget(key)
                have = unpack_mask(message.have, message.symbols)
                keep = partial(self.collecting.spill, symbol_bytes=message.symbol_bytes, have=have)
                self._use(key, message.offset, message.symbols * message.symbol_bytes, keep)
                self.reports.answer(Free(message.offset))
            case Wanted():
                self.arena.forget(key)
                place = self.arena.place(message.offset, message.symbols * message.symbol_bytes)
                self.collecting.load(key, place, message.symbol_bytes, message.symbols)
                place.release()

    def _signed(self, message: HandedOver) -> Slab | None:
        """The signed shape of the slab that a message is about; None: nothing of it is signed, as far as is known."""
        bundle = self.bundles.get(message.bundle)
        if bundle is None or is_manifest(message):
            return None
        try:
            return bundle.judge.slab(key_of(message))
        except (IndexError, ValueError):
            raise MessageError(type(message).__name__, f"its bundle has no slab {message.number}") from None

    def _use(self, key: SlabKey, offset: int, length: int, work: Callable[[SlabKey, memoryview], None]) -> None:
        """Work with a copy of a stretch of the arena. What the disk does not take comes again."""
        data = self.arena.maybe_copy(offset, length)
        if data is not None:
            with self.reports.disk.surviving(lambda: self.reports.redo(key)):
                work(key, data)

    def _use_hashed(self, key: SlabKey, offset: int, length: int) -> None:
        """Take a copy of a slab of data, hashed while it was copied. What the disk does not take comes again."""
        copied = self.arena.maybe_copy_hashed(key, offset, length)
        if copied is not None:
            with self.reports.disk.surviving(lambda: self.reports.redo(key)):
                self._take(key, *copied)

    def _take(self, key: SlabKey, data: memoryview, blake3: bytes | None = None) -> None:
        bundle = self.bundles.get(key.bundle)
        if key.kind == Kind.OBJECT and key.flags == ObjectType.MANIFEST:
            if bundle is None:
                self.beginning.take(ArrivedManifest(key.bundle, bytes(data)))
        elif bundle is not None and bundle.refusal is None:  # otherwise refused or published meanwhile
            with self.refusing.refusing(bundle):
                self.collecting.take(bundle, key, data, blake3)


def main() -> None:
    """Entry point of the worker."""
    settings, control = start_worker(StoreSettings, says=STORE_SAYS, nice=-5)
    try:
        assemble = Mailbox(
            settings.pipes.slabs_read, settings.pipes.answers_write, hears=ASSEMBLE_TO_STORE, says=STORE_TO_ASSEMBLE
        )
        examine = Mailbox(
            settings.pipes.verdicts_read, settings.pipes.asked_write, hears=EXAMINE_TO_STORE, says=STORE_TO_EXAMINE
        )
        describe = Mailbox(
            settings.pipes.described_read,
            settings.pipes.describe_write,
            hears=DESCRIBE_TO_STORE,
            says=STORE_TO_DESCRIBE,
        )
        worker = Store(settings, control, assemble, Finishing(), Examiner(examine), DescribeWorker(describe))
        folders = {
            Path(settings.inbox),
            Path(settings.state),
            Path(settings.guard).parent,
            Path(settings.audit),
            Path(settings.index),
        }
        lacking = confine(
            (*FILES, *LINKING),
            changes=sorted(folders),
            links=[Path(settings.inbox)],
            reads=[*readable_folders(), Path(settings.taken)],
            threads=True,
        )
        control.send(SandboxLacks(tuple(lacking)))
        with refusing_peers(control):
            worker.run()
    except (DiodeError, OSError) as error:  # a ledger or a folder that cannot be opened at all
        code = error.exit_code if isinstance(error, DiodeError) else 1
        control.send(Fatal(f"{error}; what is stored is kept", code))
        raise SystemExit(code) from error
