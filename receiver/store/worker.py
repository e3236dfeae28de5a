"""Worker: judge manifests, verify slabs, write them into the spool, publish complete bundles. It has no network.

For every slab that ``assemble`` hands over, complete or to be parked, it answers ``free``, for every parked one that is
wanted back ``loaded``; of every bundle it says ``known``, ``finished``, or asks to ``redo`` a slab that is not what was
signed, or that the disk did not take.

``assemble`` can write the arena at any instant. What is handed over is copied out of it once, into memory that nobody
else has, before anything is checked; what is checked is what is written.
"""

import errno
import mmap
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from diode.audit.chain import What
from diode.audit.log import AuditLog, trust_facts, why
from diode.bundle.manifest import Manifest, bundle_id
from diode.bundle.opened import Opened
from diode.bundle.receipt import RECEIPT_FILE
from diode.console.budget import Newest
from diode.errors import (
    ContentError,
    DiodeError,
    Drop,
    ExpiredError,
    ForkError,
    IntegrityError,
    LostWritesError,
    ManifestError,
    MessageError,
    NumberError,
    PlaceError,
    ReplayError,
    StorageError,
    TrustError,
)
from diode.formats.names import MAX_MANIFEST_BYTES
from diode.formats.timestamps import now_utc
from diode.process.memory import map_memfd
from diode.process.messages import Fatal, SandboxLacks
from diode.process.programs import readable_folders
from diode.process.sandbox import FILES, confine
from diode.process.waiting import ready
from diode.process.workers import Mailbox, refusing_peers, start_worker
from diode.protocol.assembler import SlabKey
from diode.protocol.geometry import MAX_SLAB_BYTES, Slab
from diode.protocol.wire import Kind, ObjectType
from diode.storage.database import LEDGER_FILE
from diode.storage.durable import WriteBack
from diode.storage.folder import Folder
from diode.storage.rollback_guard import Anchor
from diode.trust.document import TRUST_CHANNEL, TrustDocument, document_digest
from diode.trust.keys import maybe_read_service_key
from diode.trust.roles import Role
from receiver.inbox.folder import Inbox
from receiver.inbox.sidecars import facts, write_papers
from receiver.ledger.bundles import Row, named
from receiver.ledger.ledgers import StoreLedger
from receiver.ledger.states import State
from receiver.messages import (
    ASSEMBLE_TO_STORE,
    EXAMINE_TO_STORE,
    MAX_LOST,
    STORE_SAYS,
    STORE_TO_ASSEMBLE,
    STORE_TO_EXAMINE,
    Accepted,
    Begun,
    BundleRefused,
    Complete,
    Dropped,
    Expired,
    Finished,
    Free,
    Known,
    Loaded,
    ManifestRefused,
    NumberWaits,
    Parked,
    PredecessorDiffers,
    Progress,
    Proving,
    Published,
    Redo,
    Resumed,
    SlabMismatch,
    SpaceShort,
    SpoolLost,
    Started,
    SymbolsLost,
    TrustChanged,
    TrustForked,
    TrustNotPublished,
    Wanted,
)
from receiver.policy.admission import Admission
from receiver.policy.authority import Authority, Proposal
from receiver.policy.examine import Examine, Examiner, UnexaminedError, examining_here
from receiver.policy.rules import Policy
from receiver.release.held import HeldBundle, check_tree
from receiver.release.holding import Holding
from receiver.settings import StoreSettings
from receiver.spool.bundle import MANIFEST_FILE, SpoolBundle
from receiver.spool.disk import DiskHealth
from receiver.spool.finishing import Finishing
from receiver.spool.parking import ParkedSlabs
from receiver.spool.slabs import Mask, check_claim, is_manifest, key_of, pack_mask, parked_masks, unpack_mask
from receiver.store.notes import Notes
from receiver.store.unrecorded import Unrecorded

# What is wrong with one bundle's place, and not with the disk: a file where a folder must be, a name too long for here.
PLACE: Final = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EXDEV)
MAX_MET: Final = 4096  # bundle ids reported, the newest: whoever has the link key could invent more without end
TICK_S: Final = 5.0  # how long what is recorded may wait to be durable, and what the disk refused to be tried again
EXPIRE_EVERY_S: Final = 600.0
MAX_WAITING: Final = 256  # messages taken from the pipe: an honest assemble has few more than its slabs in hand


class Store:
    """The worker's state: ledger, trusted keys, and the bundles being received."""

    def __init__(
        self,
        settings: StoreSettings,
        control: Mailbox,
        assemble: Mailbox,
        finishing: Finishing,
        look: Examine | None = None,
    ) -> None:
        self._control = control
        self._assemble = assemble
        self._finishing = finishing
        self._arena = memoryview(map_memfd(settings.pipes.arena))
        room = min(len(self._arena), MAX_SLAB_BYTES)
        self._copy = memoryview(mmap.mmap(-1, room, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        self._inbox = Inbox(Path(settings.inbox))
        self._write_back = WriteBack(self._inbox.spool)  # before anything is written there
        self._signer = maybe_read_service_key(Path(settings.service_key))
        self._audit = AuditLog(Path(settings.audit), "receiver", self._signer)
        anchor = Anchor(Path(settings.anchor), "diode-receiver", self._audit)
        self._ledger = StoreLedger(Path(settings.state) / LEDGER_FILE, anchor)
        anchor.check(self._ledger.standing())  # somebody may have taken the ledger away since the daemon looked
        roles = {
            name: Role(channel.signatures, frozenset(channel.signers) if channel.signers else None)
            for name, channel in settings.channels.items()
        }
        self._authority = Authority(self._ledger, Path(settings.signers), roles)
        self._verify = {name: channel.verify for name, channel in settings.channels.items() if channel.verify}
        self._verify_default = settings.verify
        self._keep_incomplete_s = settings.keep_incomplete_s
        self._admission = Admission(settings, self._inbox, self._ledger, self._postpone)
        self._policy = Policy(settings, look or examining_here(self._inbox.spool))
        own_key = self._signer.public_key if self._signer else None
        self._holding = Holding(
            settings, self._ledger, self._inbox, self._authority, self._audit, finishing, control.send, own_key
        )
        self._disk = DiskHealth(control.send)
        self._bundles: dict[int, SpoolBundle] = {}
        self._unrecorded = Unrecorded()
        self._met = Newest[int](MAX_MET)
        self._known = Newest[int](MAX_MET)
        self._unbegun = Newest[int](MAX_MET)
        self._ahead = Newest[int](MAX_MET)
        self._notes = Notes(self._audit, control.send)
        self._now = 0.0
        self._has_lost = False  # writes, and the ledger could not say so yet
        self._waiting: deque[Begun | Complete | Parked | Wanted] = deque()
        self._tick_at = self._expire_at = 0.0

    def run(self) -> None:
        """Work until ``assemble`` or the supervisor is gone, and all that it handed over is done."""
        self.start()
        while self._waiting or not self._assemble.closed:
            if not self._waiting:
                ready((self._assemble.read_fd, self._finishing.fd), TICK_S)
            self.step(time.monotonic())
        self._finishing.wait()
        self._take_finished()
        with self._disk.surviving():
            self._notes.sum_up(float("inf"))
        self._ledger.close()

    def start(self) -> None:
        """Take up what an earlier run left, and say so to ``assemble``."""
        self._resume()
        self._answer(Started())

    def step(self, now: float) -> None:
        """Handle what has come. ``now`` is of a monotonic clock, in seconds."""
        self._now = now
        self._waiting.extend(islice(self._assemble.drain(), max(0, MAX_WAITING - len(self._waiting))))
        self._take_finished()
        if self._waiting:
            self._handle(self._next())
        if now >= self._tick_at:
            self._tick_at = now + TICK_S
            self._tick(now)

    def _take_finished(self) -> None:
        for bundle, outcome in self._finishing.done():
            if isinstance(bundle, HeldBundle):
                with self._disk.surviving():
                    self._release(bundle, outcome.result)
                continue
            assert isinstance(bundle, SpoolBundle)
            if self._bundles.get(bundle.number) is not bundle:
                continue  # given up meanwhile: another tree may lie in its place, of which nothing is proven
            with (
                self._disk.surviving(),
                self._refusing(bundle),
                self._forgetting(),
                suppress(UnexaminedError),  # it is asked again
            ):
                outcome.result()
                self._publish(bundle)

    def _release(self, held: HeldBundle, outcome: Callable[[], object]) -> None:
        """People let it go, and it was verified once more."""
        if self._holding.finished(held, outcome):
            bundle = self._spool(held.opened, self._read_manifest(held.hex_id))  # synced before it was held
            bundle.is_released = True
            self._bundles[bundle.number] = bundle
            with self._refusing(bundle):
                self._publish(bundle)

    def _tick(self, now: float) -> None:
        """Once in a while: make durable what was recorded, try again what the disk refused, give up what is too old."""
        with self._disk.surviving(), self._forgetting():
            if self._has_lost:
                self._forget()
            self._finishing.make_durable(self._ledger, self._write_back)
        with self._disk.surviving():
            self._holding.look()
        with self._disk.surviving():
            self._ledger.follow_audit()
        for bundle in list(self._bundles.values()):
            with self._disk.surviving(), self._refusing(bundle):
                self._go_on(bundle)
        with self._disk.surviving():
            self._notes.sum_up(now)
        if now >= self._expire_at:
            self._expire_at = now + EXPIRE_EVERY_S
            with self._disk.surviving():
                self._expire()

    # a disk that did not take what it was given

    @contextmanager
    def _forgetting(self) -> Iterator[None]:
        """When writes were lost, forget all that no good sync has covered, of every bundle: nobody says which."""
        try:
            yield
        except LostWritesError:
            self._has_lost = True
            self._forget()
            raise

    def _forget(self) -> None:
        """First in the ledger: until that has happened nothing is published."""
        self._ledger.slabs.forget_unsynced()
        self._has_lost = False
        for bundle in list(self._bundles.values()):
            is_settled = bundle.target is not None or bundle.is_released or bundle.refusal is not None
            if not is_settled and not self._finishing.is_under_way(bundle):  # that one learns it by itself
                self._begin_again(bundle)

    def _begin_again(self, bundle: SpoolBundle) -> None:
        """Go on with what the ledger still has of a bundle; the rest, tables too, is asked for as if it never came."""
        bundle.close()
        write_back = bundle.write_back
        with self._disk.surviving():
            write_back = WriteBack(self._inbox.spool)
            with self._inbox.spool_folder.folder(bundle.hex_id) as folder:
                folder.put(MANIFEST_FILE, bundle.sealed, 0o666)
        again = self._bundles[bundle.number] = self._spool(bundle.opened, bundle.sealed, write_back)
        again.is_said_published = bundle.is_said_published
        self._say_known(again)
        if again.number in self._unrecorded:
            self._say_progress(again)
            return
        missing = bundle.manifest.slabs.entries - len(self._ledger.slabs.kept(bundle.hex_id)[0])
        self._control.send(Resumed(bundle.hex_id, stored_bytes=0, missing=missing))

    def _expire(self) -> None:
        """Give up what has been incomplete for too long. It may begin anew, should its manifest come again."""
        for row in self._ledger.bundles.untouched(self._keep_incomplete_s):
            bundle = self._bundles.get(int(row.id, 16))
            if bundle is None:
                continue
            self._note(What.EXPIRED, bundle)
            self._ledger.bundles.set_state(
                row.id, State.EXPIRED, "incomplete for longer than limits.keep_incomplete_days"
            )
            self._drop(bundle)
            self._control.send(Expired(bundle.hex_id))
        for number in self._unrecorded.begun_before(self._now - self._keep_incomplete_s):
            self._give_up_unrecorded(number)

    def _give_up_unrecorded(self, number: int) -> None:
        """A bundle of channel ``trust`` that never came whole, or made room for a newer one."""
        bundle = self._bundles.get(number)
        self._unrecorded.end(number)
        if bundle is not None:
            self._drop(bundle)
            self._control.send(Dropped(bundle.hex_id))

    def _drop(self, bundle: SpoolBundle) -> None:
        """Nothing is kept of a bundle; it may begin anew."""
        self._bundles.pop(bundle.number, None)
        bundle.remove()
        self._answer(Finished(bundle.number, ""))

    def _go_on(self, bundle: SpoolBundle) -> None:
        """Do what the disk did not take before."""
        if bundle.refusal is not None:
            raise bundle.refusal
        if bundle.is_ready and not self._has_lost:
            self._store_whole(bundle)
        self._maybe_publish(bundle)

    def _next(self) -> Begun | Complete | Parked | Wanted:
        """What waits longest, but manifests and tables first: data of bundles not yet known has little room."""
        for message in self._waiting:
            if message.kind == Kind.OBJECT:
                self._waiting.remove(message)
                return message
        return self._waiting.popleft()

    def _handle(self, message: Begun | Complete | Parked | Wanted) -> None:
        """Do what ``assemble`` asks for. Raises MessageError when what it says of a slab cannot be true."""
        check_claim(message, self._signed(message), len(self._arena))
        key = key_of(message)
        match message:
            case Begun():
                self._note_begun(key)
            case Complete():
                self._use(key, message.offset, message.length, self._take)
                self._answer(Free(message.offset))
            case Parked():
                have = unpack_mask(message.have, message.symbols)
                keep = partial(self._park, symbol_bytes=message.symbol_bytes, have=have)
                self._use(key, message.offset, message.symbols * message.symbol_bytes, keep)
                self._answer(Free(message.offset))
            case Wanted():
                self._load(key, message.offset, message.symbol_bytes, message.symbols)

    def _signed(self, message: Begun | Complete | Parked | Wanted) -> Slab | None:
        """The signed shape of the slab that a message is about; None: nothing of it is signed, as far as is known."""
        bundle = self._bundles.get(message.bundle)
        if bundle is None or is_manifest(message):
            return None
        try:
            return bundle.slab(key_of(message))
        except (IndexError, ValueError):
            raise MessageError(type(message).__name__, f"its bundle has no slab {message.number}") from None

    def _use(self, key: SlabKey, offset: int, length: int, work: Callable[[SlabKey, memoryview], None]) -> None:
        """Work with a copy of a stretch of the arena, until the next one. What the disk does not take comes again."""
        if not 0 <= offset <= offset + length <= len(self._arena) or length > len(self._copy):
            return  # no slab is there, or is so large
        data = self._copy[:length]
        data[:] = self._arena[offset : offset + length]
        with self._disk.surviving(lambda: self._redo(key)):
            work(key, data)

    def _take(self, key: SlabKey, data: memoryview) -> None:
        bundle = self._bundles.get(key.bundle)
        if key.kind == Kind.OBJECT and key.flags == ObjectType.MANIFEST:
            if bundle is None:
                self._judge(key.bundle, bytes(data))
            return
        if bundle is None or bundle.refusal is not None:
            return  # refused or published meanwhile
        with self._refusing(bundle):
            if key.kind == Kind.OBJECT:
                self._take_table(bundle, key, data)
            elif bundle.is_ready:
                self._take_slab(bundle, key, data)
            else:  # its tables are still to come
                have = np.ones(bundle.slab(key).source_symbols, dtype=np.bool_)
                bundle.parked.keep(key, data, bundle.manifest.shape.symbol_bytes, have)

    # parked slabs

    def _note_begun(self, key: SlabKey) -> None:
        if key.kind == Kind.DATA and key.bundle in self._bundles:
            with self._disk.surviving():
                self._ledger.slabs.begun(f"{key.bundle:016x}", key.number)

    def _park(self, key: SlabKey, data: memoryview, *, symbol_bytes: int, have: Mask) -> None:
        bundle = self._bundles.get(key.bundle)
        if bundle is not None:
            bundle.parked.keep(key, data, symbol_bytes, have)

    def _load(self, key: SlabKey, offset: int, symbol_bytes: int, symbols: int) -> None:
        bundle, have = self._bundles.get(key.bundle), np.zeros(symbols, dtype=np.bool_)
        if bundle is not None:
            self._note_begun(key)
            place = self._arena[offset : offset + symbols * symbol_bytes]
            with self._disk.surviving():
                have = bundle.parked.load(key, place, symbol_bytes, symbols)
            place.release()
        self._answer(Loaded(*key, symbols=symbols, have=pack_mask(have)))

    def _store_whole(self, bundle: SpoolBundle) -> None:
        """Slabs that arrived whole before their tables go to their places."""
        for key in bundle.parked:
            if bundle.is_whole(key):
                self._take_slab(bundle, key, memoryview(bundle.parked.read(key, bundle.slab(key).length)))

    def _redo(self, key: SlabKey) -> None:
        self._answer(Redo(*key))

    @contextmanager
    def _refusing(self, bundle: SpoolBundle) -> Iterator[None]:
        """Set ``bundle`` aside when its content, or its place in the inbox, is at fault; others are not held up."""
        try:
            yield
        except ContentError as error:
            with self._forgetting():
                bundle.sync()  # what the disk lost is not held against who signed it
            self._refuse(bundle, error)
        except OSError as error:
            if error.errno not in PLACE:
                raise
            self._refuse(bundle, PlaceError(f"{os.strerror(error.errno)}: {error.filename2 or error.filename}"))

    # manifests

    def _judge(self, number: int, padded: bytes) -> None:
        """Verify a manifest and decide what becomes of its bundle."""
        sealed = padded.rstrip(b"\0")
        try:
            opened = self._authority.open(sealed, now_utc())
            if bundle_id(opened.payload) != number:
                raise ManifestError("the manifest is another bundle's")
        except (TrustError, ExpiredError, ManifestError) as error:
            self._reject(number, sealed, error)
            return
        manifest = opened.manifest
        if self._is_over(number) or not self._admission.has_room(number, manifest, self._bundles.values()):
            return  # if there was no room, its manifest comes again
        try:
            self._admission.check(manifest)
            self._policy.check(manifest, now_utc())
            self._ledger.numbers.check(manifest)
            write_back = self._make_folder(number, sealed)
            self._begin(number, opened)
        except NumberError as error:
            self._wait(number, manifest, error)
            return
        except ContentError as error:
            self._refuse_unbegun(number, opened, error)
            return
        bundle = self._bundles[number] = self._spool(opened, sealed, write_back)
        self._say_known(bundle)
        if number not in self._unrecorded:
            self._control.send(Accepted(bundle.hex_id))
            self._check_predecessor(bundle)
        else:  # the same one may come again and again
            self._say_progress(bundle, is_new=self._notes.take("trust", self._now))
        with self._refusing(bundle):
            self._after_tables(bundle)

    def _is_over(self, number: int) -> bool:
        """Whether nothing more of a bundle is wanted; ``assemble`` is told so."""
        row = self._ledger.bundles.get(f"{number:016x}")
        if row is None or row.state not in ("held", "publishing", "published", "refused"):
            return False
        drop = Drop.REFUSED if row.state == "refused" else Drop.REDUNDANT
        self._answer(Finished(number, drop))
        return True

    def _begin(self, number: int, opened: Opened) -> None:
        """Spend a bundle's number and version; of channel ``trust`` nothing is recorded before it is proven."""
        hex_id = f"{number:016x}"
        if opened.manifest.channel == TRUST_CHANNEL:
            self._ledger.bundles.forget(hex_id)
            for other in self._unrecorded.begin(number, opened.signer, self._now):
                self._give_up_unrecorded(other)
            return
        noted = {**_named(number, opened.manifest), "key": opened.signer}
        note = partial(self._audit.append, What.ACCEPTED, **noted)
        self._ledger.bundles.accept(hex_id, opened.manifest, opened.signer, note)

    def _wait(self, number: int, manifest: Manifest, error: NumberError) -> None:
        """Its number alone is no reason to refuse a bundle: a person can say that it is right."""
        hex_id = f"{number:016x}"
        with suppress(OSError):
            self._inbox.spool_folder.remove(hex_id)
        self._ledger.waiting.note_ahead(hex_id, manifest.channel, manifest.sequence)
        if self._ahead.meet(number) and self._notes.take("waiting", self._now):
            self._control.send(NumberWaits(hex_id, str(error), error.do))
            self._audit.append(What.POSTPONED, **_named(number, manifest), detail=str(error))

    def _refuse_unbegun(self, number: int, opened: Opened, error: ContentError) -> None:
        """Signed, and against this side's rules."""
        if opened.manifest.channel == TRUST_CHANNEL:
            self._refuse_trust(number, opened, error)
            return
        with suppress(OSError):
            self._inbox.spool_folder.remove(f"{number:016x}")
        self._audit.append(What.REFUSED, **_named(number, opened.manifest), key=opened.signer, **why(error))
        try:
            self._ledger.bundles.refuse(f"{number:016x}", opened.manifest, opened.signer, str(error))
        finally:  # a disk that fails now leaves a row, or none: in any case it is said
            if self._unbegun.meet(number):
                self._quarantine(number, error, facts(opened.manifest, opened.signer), None)
        self._answer(Finished(number, Drop.REFUSED))

    def _check_predecessor(self, bundle: SpoolBundle) -> None:
        """Alarm when the bundle before this one is not the one that its signer says."""
        manifest = bundle.manifest
        before = self._ledger.bundles.numbered(manifest.channel, manifest.sequence - 1)
        if before is not None and before.id != manifest.previous:
            self._control.send(PredecessorDiffers(bundle.hex_id, manifest.previous or ""))

    def _make_folder(self, number: int, sealed: bytes) -> WriteBack:
        """An empty spool folder with the manifest in it: there before the ledger says so."""
        name, spool, write_back = f"{number:016x}", self._inbox.spool_folder, WriteBack(self._inbox.spool)
        spool.remove(name)
        with spool.folder(name, create=True, mode=0o777) as folder:
            folder.write_new(MANIFEST_FILE, sealed, 0o666)
        return write_back

    def _read_manifest(self, bundle: str) -> bytes:
        with self._inbox.spool_folder.folder(bundle) as folder:
            return folder.read(MANIFEST_FILE, MAX_MANIFEST_BYTES)

    def _spool(self, opened: Opened, sealed: bytes, write_back: WriteBack | None = None) -> SpoolBundle:
        number, spool = bundle_id(opened.payload), self._inbox.spool_folder
        return SpoolBundle(number, spool, opened, sealed, ParkedSlabs(spool, number, self._ledger), write_back)

    def _reject(self, number: int, sealed: bytes, error: ContentError) -> None:
        """An unverified manifest is not held against its bundle. What no known key signed, anybody may have sent."""
        is_signed = self._authority.has_signed(number, sealed)
        if is_signed and self._is_over(number):
            return
        if not (self._known if is_signed else self._met).meet(number):
            return
        if not self._notes.take("known" if is_signed else "strangers", self._now):
            return
        self._audit.append(What.QUARANTINED, bundle=f"{number:016x}", **why(error))
        self._set_aside(number, error, {}, None, is_signed=is_signed)
        self._control.send(ManifestRefused(f"{number:016x}", error.reason, str(error)))

    def _say_known(self, bundle: SpoolBundle) -> None:
        """Tell ``assemble`` what is signed, stored and parked."""
        shape = bundle.manifest.shape
        done = bundle.stored.copy()
        if not bundle.is_ready:  # it is not looked for before the tables are there: what is not is asked for then
            done[self._ledger.slabs.kept(bundle.hex_id)[0]] = True
        for key in bundle.parked:
            if bundle.is_whole(key):
                done[key.number] = True
        parked = parked_masks(key for key in bundle.parked if not bundle.is_whole(key))
        self._answer(
            Known(
                bundle.number,
                geometry=(shape.symbol_bytes, shape.columns, shape.k, shape.r),
                stream_bytes=bundle.manifest.stream_bytes,
                files_bytes=bundle.manifest.files.size,
                slabs_bytes=bundle.manifest.slabs.size,
                done=pack_mask(done),
                **parked,
            )
        )

    # tables and slabs

    def _take_table(self, bundle: SpoolBundle, key: SlabKey, data: memoryview) -> None:
        for again in bundle.put_table(ObjectType(key.flags), key.number, data):
            bundle.parked.drop(key._replace(number=again))  # whatever is kept of it may be what was wrong
            self._redo(key._replace(number=again))
        bundle.parked.drop(key)
        self._after_tables(bundle)

    def _after_tables(self, bundle: SpoolBundle) -> None:
        if not self._has_lost and bundle.maybe_read_tables():
            self._restore_slabs(bundle)  # an earlier run's, whose tables did not outlive it
            self._store_whole(bundle)
            self._maybe_publish(bundle)

    def _take_slab(self, bundle: SpoolBundle, key: SlabKey, data: memoryview) -> None:
        if bundle.stored[key.number]:
            bundle.parked.drop(key)
            return
        try:
            bundle.put_slab(key.number, data)
        except IntegrityError:
            self._control.send(SlabMismatch(bundle.hex_id, key.number))
            bundle.parked.drop(key)
            self._redo(key)
            return
        try:
            self._ledger.slabs.stored(bundle.hex_id, key.number)
        except StorageError:
            bundle.stored[key.number] = False
            raise
        bundle.parked.drop(key)
        self._say_progress(bundle)
        self._maybe_publish(bundle)

    # the end of a bundle

    def _maybe_publish(self, bundle: SpoolBundle) -> None:
        if self._has_lost:
            return
        if bundle.target is not None:
            self._publish(bundle)  # it is in the inbox already: the disk failed afterwards
        elif bundle.is_released:
            self._publish(bundle)
        elif bundle.is_complete:
            mode = self._verify.get(bundle.manifest.channel) or self._verify_default
            self._finishing.start(bundle, partial(self._finish, bundle, mode))

    def _finish(self, bundle: SpoolBundle, mode: str) -> None:
        """Make a complete tree ready to be published, durably; in a thread, since it may take as long as hashing it."""
        bundle.finish_tree(at_rest=mode == "at-rest")
        self._policy.examine(bundle)
        write_papers(bundle, mode, self._signer)
        bundle.sync()

    def _publish(self, bundle: SpoolBundle) -> None:
        """Record, rename, make that durable, record: any step may be the last before a crash, or be tried again."""
        if bundle.target is None:
            if self._authority.awaited is not None and bundle.manifest.channel != TRUST_CHANNEL:
                return  # it is tried again, and judged by the document that is awaited
            self._policy.check(bundle.manifest, now_utc())
            self._authority.confirm(bundle.opened, now_utc())
            is_held = self._holding.wants(bundle.manifest) and not bundle.is_released
            if bundle.manifest.channel == TRUST_CHANNEL:
                self._prove(bundle, is_held=is_held)
            if is_held:
                self._hold(bundle)
                return
            try:
                bundle.target = self._move(bundle)
            except (ReplayError, OSError) as error:
                if not bundle.is_document or not _is_place(error):
                    raise
                self._conclude_without_place(bundle, error)
                return
        self._inbox.sync(bundle.target)
        self._conclude(bundle)

    def _move(self, bundle: SpoolBundle) -> Path:
        if bundle.is_document:
            self._inbox.check_place(bundle.manifest)  # what is not moved is not said to be published
        self._ledger.bundles.set_state(bundle.hex_id, State.PUBLISHING)
        self._note(What.PUBLISHED, bundle, again=bundle.is_said_published)
        bundle.is_said_published = True
        return self._inbox.publish(bundle.hex_id, bundle.manifest)

    def _conclude_without_place(self, bundle: SpoolBundle, error: ReplayError | OSError) -> None:
        """Its trust document counts; only its folder in the inbox is somebody else's."""
        detail = f"its trust document counts; its folder was not published: {error}"
        if bundle.is_said_published:
            self._note(What.REFUSED, bundle, detail=detail)
        self._control.send(TrustNotPublished(bundle.hex_id, detail))
        self._conclude(bundle, detail)

    def _hold(self, bundle: SpoolBundle) -> None:
        """Verified, and not yet anybody's to use: people decide."""
        self._holding.take(bundle)
        self._bundles.pop(bundle.number, None)
        bundle.remove()
        self._answer(Finished(bundle.number, Drop.REDUNDANT))

    def _prove(self, bundle: SpoolBundle, *, is_held: bool) -> None:
        """See what a bundle of channel ``trust`` brings. A document counts at once, or as soon as people released it.

        Only then the ledger knows of the bundle. Raises ContentError for a document that does not follow.
        """

        def note(document: TrustDocument, sealed: bytes) -> None:
            place = _named(bundle.number, bundle.manifest) | trust_facts(document.version, document_digest(sealed))
            self._audit.append(What.TRUST_CHANGED, **place, key=bundle.signer)

        before = self._authority.document
        proposal = self._proposed(bundle)
        if proposal is not None and not is_held:
            self._authority.follow(proposal, note)
            bundle.is_document = True
        document = self._authority.document
        if document is not None and document is not before:
            self._control.send(TrustChanged(bundle.hex_id, document.version))
            self._judge_anew()
        if bundle.number in self._unrecorded:
            self._ledger.bundles.record(bundle.hex_id, bundle.manifest, bundle.signer)
            self._unrecorded.end(bundle.number)
            self._check_predecessor(bundle)

    def _proposed(self, bundle: SpoolBundle) -> Proposal | None:
        try:
            return self._authority.proposed(bundle.tree / "data", now_utc())
        except ForkError as error:
            if self._notes.take("forks", self._now):
                self._control.send(TrustForked(bundle.hex_id, str(error)))
            raise

    def _judge_anew(self) -> None:
        """Whom to believe has changed: what revoked keys have begun blocks no number any more."""
        for bundle in list(self._bundles.values()):
            if bundle.refusal is None and not bundle.is_complete and bundle.number not in self._unrecorded:
                with self._disk.surviving(), self._refusing(bundle):
                    self._authority.trust.confirm(bundle.manifest.channel, bundle.opened.signatures)

    def _conclude(self, bundle: SpoolBundle, detail: str = "") -> None:
        """It is over; ``detail`` says why it has no place in the inbox, if so."""
        self._ledger.bundles.set_state(bundle.hex_id, State.PUBLISHED, detail)
        self._bundles.pop(bundle.number, None)
        bundle.remove()
        self._answer(Finished(bundle.number, Drop.REDUNDANT))
        self._control.send(Published(bundle.hex_id))

    def _refuse(self, bundle: SpoolBundle, error: ContentError) -> None:
        """Its signed content breaks the rules: set it aside for good, now or when the disk takes it."""
        if bundle.manifest.channel == TRUST_CHANNEL:
            self._refuse_trust(bundle.number, bundle.opened, error)
            return
        if bundle.refusal is None:
            self._note(What.REFUSED, bundle, **why(error))
            bundle.refusal = error
        self._ledger.bundles.set_state(bundle.hex_id, State.REFUSED, str(error))
        self._bundles.pop(bundle.number, None)
        bundle.close()
        self._quarantine(bundle.number, error, facts(bundle.manifest, bundle.signer), self._inbox.spool_folder)
        self._answer(Finished(bundle.number, Drop.REFUSED))

    def _refuse_trust(self, number: int, opened: Opened, error: ContentError) -> None:
        """Of channel ``trust`` nothing is refused for good: what does not follow today may follow another document."""
        if self._notes.take("trust", self._now):
            self._audit.append(What.REFUSED, **_named(number, opened.manifest), key=opened.signer, **why(error))
            self._set_aside(number, error, facts(opened.manifest, opened.signer), None)
            self._control.send(ManifestRefused(f"{number:016x}", error.reason, str(error)))
        bundle = self._bundles.get(number)
        if bundle is not None and bundle.target is not None:
            self._ledger.bundles.set_state(
                bundle.hex_id, State.REFUSED, str(error)
            )  # it may lie in the inbox: remember it
        self._ledger.bundles.forget(f"{number:016x}")
        self._unrecorded.end(number)
        if bundle is not None:
            self._drop(bundle)
            self._control.send(Dropped(bundle.hex_id))
        else:
            self._answer(Finished(number, ""))

    def _quarantine(self, number: int, error: ContentError, facts: dict[str, Any], keep: Folder | None) -> None:
        """A signed bundle is set aside, and said to be refused: for good, once the ledger has it so."""
        self._set_aside(number, error, facts, keep)
        row = self._ledger.bundles.get(f"{number:016x}")
        if row is not None and row.state == "refused":
            self._control.send(BundleRefused(row.id, error.reason))
        else:  # the disk did not take that
            self._control.send(ManifestRefused(f"{number:016x}", error.reason, str(error)))

    def _set_aside(
        self, number: int, error: ContentError, facts: dict[str, Any], keep: Folder | None, *, is_signed: bool = True
    ) -> None:
        with self._disk.surviving():  # the alarm has the reason in any case
            self._inbox.set_aside(f"{number:016x}", error, facts, keep, is_signed=is_signed)

    # after a restart

    def _resume(self) -> None:
        """Take up what an earlier run left in the spool."""
        self._ledger.slabs.begin_run()
        self._holding.resume()
        self._ledger.bundles.forget_strays()
        rows = self._ledger.bundles.in_progress()
        known = {row.id for row in rows}
        spool = self._inbox.spool_folder
        for stray in spool.names():
            if stray not in known:
                with suppress(OSError):
                    spool.remove(stray)
        for row in rows:
            try:
                bundle = self._reopen(row.id)
            except (OSError, ContentError) as error:
                if row.state == "publishing":
                    self._give_up(row, error)
                    continue
                self._audit.append(What.SPOOL_LOST, **named(row), **why(error))
                self._ledger.bundles.forget(
                    row.id, State.RECEIVING
                )  # lost with the power, or its key is trusted no more
                with suppress(OSError):
                    spool.remove(row.id)
                self._control.send(SpoolLost(row.id, str(error)))
                continue
            with self._disk.surviving(), self._refusing(bundle):
                self._resume_bundle(bundle, row.state)

    def _give_up(self, row: Row, cause: OSError | ContentError) -> None:
        """A ledger that was put back may have been kept in the middle of a publication; never publish it twice."""
        error = ReplayError(
            f"it was being published, and may have been; if not, have it sent under a new version: {cause}"
        )
        self._audit.append(What.REFUSED, **named(row), **why(error))
        self._ledger.bundles.set_state(row.id, State.REFUSED, str(error))
        facts = {name: getattr(row, name) for name in ("channel", "name", "version", "sequence", "signer")}
        self._quarantine(int(row.id, 16), error, facts, self._inbox.spool_folder)

    def _reopen(self, bundle: str) -> SpoolBundle:
        sealed = self._read_manifest(bundle)
        return self._spool(self._authority.open(sealed, None), sealed)

    def _resume_bundle(self, bundle: SpoolBundle, state: str) -> None:
        self._bundles[bundle.number] = bundle
        bundle.is_said_published = state == "publishing"
        if state == "publishing" and not bundle.has("tree"):  # renamed; its reader may have moved it on since
            bundle.target = self._inbox.version_folder(bundle.manifest)
            self._publish(bundle)
            return
        if state == "publishing" and bundle.has(f"tree/{RECEIPT_FILE}"):  # complete and durable: it was to be renamed
            own_key = self._signer.public_key if self._signer else None
            check_tree(bundle.tree, bundle.number, self._authority.trust, own_key)
            bundle.is_released = True
            self._publish(bundle)
            return
        is_ready = bundle.maybe_read_tables(from_disk=True)
        self._ledger.slabs.forget_doubtful(bundle.hex_id)
        if is_ready:
            self._restore_slabs(bundle)
        self._say_known(bundle)
        self._control.send(Resumed(bundle.hex_id, bundle.stored_bytes, bundle.missing))
        if lost := self._ledger.slabs.take_begun(bundle.hex_id):
            self._control.send(SymbolsLost(bundle.hex_id, tuple(lost[:MAX_LOST])))
        if is_ready:
            self._store_whole(bundle)
            self._maybe_publish(bundle)

    def _restore_slabs(self, bundle: SpoolBundle) -> None:
        trusted, doubtful = self._ledger.slabs.kept(bundle.hex_id)
        there = {number for number in trusted if bundle.is_there(number)}
        again = {number for number in doubtful if bundle.rehash(number)}
        bundle.stored[[*there, *again]] = True
        bundle.unproven = self._ledger.slabs.unproven(bundle.hex_id) & there
        for number in again:
            self._ledger.slabs.stored(bundle.hex_id, number)
        for number in {*trusted, *doubtful} - there - again:
            self._ledger.slabs.drop(bundle.hex_id, number)
            self._redo(SlabKey(bundle.number, Kind.DATA, 0, number))

    # audit log

    def _note(self, what: What, bundle: SpoolBundle, **facts: Any) -> None:
        """Write a decision about a bundle into the audit log: before it takes effect."""
        self._audit.append(what, **_named(bundle.number, bundle.manifest), key=bundle.signer, **facts)

    def _say_progress(self, bundle: SpoolBundle, *, is_new: bool = False) -> None:
        """How far a bundle is. Of what the ledger does not know yet the supervisor cannot look up the size."""
        if bundle.number not in self._unrecorded:
            self._control.send(Progress(bundle.hex_id, bundle.stored_bytes, bundle.missing))
            return
        manifest = bundle.manifest
        sizes = (manifest.stream_bytes, manifest.files.entries, manifest.slabs.entries, int(is_new))
        self._control.send(Proving(bundle.hex_id, bundle.stored_bytes, bundle.missing, *sizes))

    def _postpone(self, message: SpaceShort, manifest: Manifest) -> None:
        """A bundle has to wait for room."""
        detail = f"{message.needed} bytes are needed, {message.free} are free"
        place = {"bundle": message.bundle, **{n: getattr(manifest, n) for n in ("channel", "name", "version")}}
        if self._notes.take("waiting", self._now):
            self._control.send(message)
            self._audit.append(What.POSTPONED, **place, detail=detail)

    # messages

    def _answer(self, message: object) -> None:
        with suppress(BrokenPipeError):  # it has ended; what it handed over is still to be done
            self._assemble.send(message)


def _is_place(error: ReplayError | OSError) -> bool:
    """Whether it is about one bundle's place in the inbox, and not about the disk."""
    return isinstance(error, ReplayError) or error.errno in (*PLACE, errno.EEXIST)


def _named(number: int, manifest: Manifest) -> dict[str, str]:
    """A bundle as the audit log names it; its digest is that of its files table, as in receipts and ledgers."""
    names = {name: getattr(manifest, name) for name in ("channel", "name", "version")}
    return {"bundle": f"{number:016x}", **names, "digest": manifest.files.blake3}


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
        worker = Store(settings, control, assemble, Finishing(), Examiner(examine))
        folders = {
            Path(settings.inbox),
            Path(settings.state),
            Path(settings.anchor).parent,
            Path(settings.audit),
        }
        lacking = confine(FILES, changes=sorted(folders), reads=readable_folders(), threads=True)
        control.send(SandboxLacks(tuple(lacking)))
        with refusing_peers(control):
            worker.run()
    except (DiodeError, OSError) as error:  # a ledger or a folder that cannot be opened at all
        code = error.exit_code if isinstance(error, DiodeError) else 1
        control.send(Fatal(f"{error}; what is stored is kept", code))
        raise SystemExit(code) from error
