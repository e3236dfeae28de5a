"""Worker: reads the bytes of a slab from its files, adds repair, headers and tags, and hands the slot to ``transmit``.

The worker has no socket. It can read packed bundles and the files that they consist of, and no other files; it reads
the link key once, before it is confined. The supervisor describes each bundle once, before its first slab. The worker
keeps a bounded number of such descriptions. ``transmit`` gives a slot of the arena back when its last train has left.

Each slab of a stream is compared with its signed digest, because times and sizes prove nothing. A first pass may send a
slab before that, while ``transmit`` has nothing to send and the files look as they did. The supervisor has such a slab
proven before it lets the bundle count as sent. Source rows leave before repair is computed.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from diode.bundle.ref import hex_of
from diode.errors import DiodeError, MessageError, SourceError
from diode.process.compiled import READABLE, Compiled, choose_core
from diode.process.memory import map_memfd
from diode.process.messages import EnginesChosen, SandboxLacks
from diode.process.programs import readable_folders
from diode.process.sandbox import READS, confine
from diode.process.workers import Mailbox, refusing_peers, start_worker
from diode.protocol.auth import Session
from diode.protocol.encoder import Part, SlabEncoder, Slot
from diode.protocol.fec import choose_engine
from diode.protocol.fitting import lacking
from diode.protocol.geometry import PROFILES, Geometry, Slab, slab_count, stream_geometry
from diode.protocol.sizes import MAX_SLABS, Kind
from diode.trust.keys import read_link_key
from sender.messages import (
    ENCODE_HEARS,
    ENCODE_SAYS,
    ENCODE_TO_TRANSMIT,
    MAX_ANNOUNCED,
    SLAB_DIGEST_BYTES,
    TRANSMIT_TO_ENCODE,
    BundleBegun,
    BundleEnded,
    EncodeSettings,
    Failed,
    GiveBack,
    Proven,
    ProveSlab,
    SendFiller,
    SendPadding,
    SendPart,
    SendRow,
    SendSlab,
    SendSlot,
    SessionBegun,
    SetRate,
    SlotSent,
)
from sender.outbox.scan import fingerprint, open_places
from sender.pack.packed import SOURCES_FILE
from sender.transport.plan import PROOF, WHOLE, Job, Plan
from sender.transport.reading import Bundle, Compared

MAX_OPEN_BUNDLES: Final = 8  # of the bundles that were begun
PADDING_DATAGRAMS: Final = 256
SUPERVISOR: Final = "sender.daemon"  # who is blamed for a message that the supervisor may not send


def _job(message: SendSlab | SendRow | ProveSlab) -> Job:
    """What a message asks to be sent, or to be proven."""
    if isinstance(message, ProveSlab):
        return Job(message.bundle, Kind.DATA, 0, message.slab, row=PROOF)
    if isinstance(message, SendRow):
        return Job(message.bundle, Kind.DATA, 0, message.slab, message.sending_pass, message.row)
    return Job(message.bundle, Kind(message.kind), message.flags, message.slab, message.sending_pass)


class Plans:
    """The bundles that the supervisor has begun, and so of which slabs may be sent. Each method raises MessageError."""

    def __init__(self, full: Geometry) -> None:
        self._full = full  # of every slab: the link has one shape
        self._plans: dict[int, Plan] = {}
        self._compared: dict[int, Compared] = {}

    def begin(self, message: BundleBegun) -> None:
        """Take the description of a bundle. It is refused if it fits no packed bundle, or is one too many."""
        if message.bundle in self._plans:
            raise _refused(message, "it was begun already")
        if len(self._plans) >= MAX_ANNOUNCED:
            raise _refused(message, f"{MAX_ANNOUNCED} bundles were begun, and none ended")
        slabs = slab_count(self._full, message.stream_bytes)
        if slabs > MAX_SLABS or message.slabs_bytes != SLAB_DIGEST_BYTES * slabs:
            raise _refused(message, f"a stream of {message.stream_bytes} bytes has no such table of slabs")
        self._plans[message.bundle] = Plan(
            bundle=message.bundle,
            full=self._full,
            stream_bytes=message.stream_bytes,
            manifest_bytes=message.manifest_bytes,
            files_bytes=message.files_bytes,
            slabs_bytes=message.slabs_bytes,
            files=message.files,
        )
        self._compared[message.bundle] = Compared(slabs)

    def end(self, message: BundleEnded) -> None:
        """Forget a bundle."""
        if self._plans.pop(message.bundle, None) is None:
            raise _refused(message, "it was not begun")
        del self._compared[message.bundle]

    def compared(self, plan: Plan) -> Compared:
        """Which slabs of a bundle were compared."""
        return self._compared[plan.bundle]

    def of(self, message: SendSlab | SendRow | ProveSlab) -> Plan:
        """The description of the bundle whose slab is to be sent, or proven."""
        plan = self._plans.get(message.bundle)
        if plan is None:
            raise _refused(message, "its bundle was not begun")
        return plan


def _refused(message: object, why: str) -> MessageError:
    error = MessageError(type(message).__name__, why)
    error.peer = SUPERVISOR
    return error


@dataclass(frozen=True, slots=True)
class Opened:
    """An open bundle. ``sources`` is the :func:`sender.outbox.scan.fingerprint` of its ``sources.json`` at opening."""

    sources: tuple[int, ...]
    bundle: Bundle


class Encoder:
    """The worker's state: slots, an encoder under a session of its own, and a few open bundles."""

    def __init__(self, settings: EncodeSettings, control: Mailbox, core: Compiled = READABLE) -> None:
        self._control = control
        self._transmit = Mailbox(
            settings.free_read, settings.ready_write, hears=TRANSMIT_TO_ENCODE, says=ENCODE_TO_TRANSMIT
        )
        self._state = Path(settings.state)
        profile = PROFILES[settings.profile]
        engine = choose_engine(settings.engine, core.library, (profile.k, profile.r))
        key = read_link_key(Path(settings.key))
        session = int.from_bytes(os.urandom(8), "big")
        kernel = core.kernel_for(settings.mac, settings.auth)
        self._encoder = SlabEncoder(engine, Session(key, session, settings.auth, kernel), key.key_id)
        full = stream_geometry(settings.symbol_bytes, profile)
        arena = memoryview(map_memfd(settings.arena))
        slot_bytes = settings.slot_bytes
        self._slots = [Slot(arena[i * slot_bytes : (i + 1) * slot_bytes], full) for i in range(settings.slots)]
        self._free = list(range(settings.slots))
        self._lent: Counter[int] = Counter()  # slots that transmit has, and how often it gives each back
        self._rows: tuple[tuple[int, int, int], int] | None = None  # the slab sent row by row last, and its slot
        self._plans = Plans(full)
        self._bundles: dict[int, Opened] = {}
        padding = Slot(arena[settings.slots * slot_bytes :], Geometry(settings.symbol_bytes, 1, PADDING_DATAGRAMS, 0))
        self._encoder.padding(padding, PADDING_DATAGRAMS)
        control.send(EnginesChosen(engine.name, "core" if kernel else "library", "none", core.refused))
        control.send(SessionBegun(f"{session:016x}", key.key_id))

    def run(self) -> None:
        """Work until the supervisor closes the pipe. Raises MessageError for a message that it may not send."""
        while (message := self._control.receive(None)) is not None:
            self.hear(message)

    def hear(self, message: object) -> None:
        """Do what one message of ENCODE_HEARS asks for."""
        match message:
            case SetRate() | SendPadding():
                self._transmit.send(message)
            case BundleBegun():
                self._plans.begin(message)
            case BundleEnded():
                self._plans.end(message)
                self._bundles.pop(message.bundle, None)
            case SendSlab() | SendRow() | ProveSlab():
                self._do(message, self._plans.of(message))

    def _do(self, message: SendSlab | SendRow | ProveSlab, plan: Plan) -> None:
        """Encode or prove a slab, or report why that failed: the files belong to others, who may change them."""
        job = _job(message)
        try:
            plan.slab(job)
            datagrams = plan.datagrams(job)
        except LookupError as error:
            raise _refused(message, f"its bundle has no such slab: {error}") from error
        try:
            if isinstance(message, ProveSlab):
                self._open(plan).prove(job)
                self._control.send(Proven(message.job))
            else:
                self._encode(message, job, plan)
        except SourceError as error:
            detail = str(error)
        except MessageError:
            raise
        except (DiodeError, OSError, ValueError, LookupError) as error:
            detail = f"packed bundle is damaged: {error!r}"
        else:
            return
        self._control.send(Failed(message.job, detail))
        if datagrams:
            self._transmit.send(SendFiller(min(datagrams, plan.full.burst_datagrams)))  # no rows are kept further apart

    def _encode(self, message: SendSlab | SendRow, job: Job, plan: Plan) -> None:
        bundle, slab, spread = self._open(plan), plan.slab(job), plan.spread(job)
        part, filler = Part(job.bundle, job.kind, job.flags), 0
        may_stream, fill = self._may_stream(job), bundle.fill(job)
        slot, offset = self._slot_of(job, slab), job.repair_offset(slab, spread)
        try:
            if job.row == WHOLE:
                if job.kind == Kind.DATA:
                    runs, filler = self._send_rows(slot, bundle, job, offset, may_stream=may_stream), lacking(slab)
                else:
                    runs = self._encoder.encode(self._slots[slot], slab, part, fill, repair_offset=offset)
            elif spread is not None and job.row < spread.rows:
                runs = [self._encoder.encode_row(self._slots[slot], slab, part, job.row, fill, repair_offset=offset)]
            else:
                raise _refused(message, "this slab has no such row")
        except BaseException:
            if slot not in self._lent:
                self._free.append(slot)
            raise
        self._lent[slot] += 1
        self._transmit.send(SendSlot(message.job, slot, tuple(runs), filler))

    def _send_rows(
        self, slot: int, bundle: Bundle, job: Job, offset: int, *, may_stream: bool
    ) -> Sequence[tuple[int, int]]:
        """Have the source rows of a slab leave, and add repair. Returns what is left: an empty run, and the repair."""
        place, slab = self._slots[slot], bundle.plan.slab(job)
        repair, has_left = slab.shape.k * slab.shape.columns, False
        reads, part = bundle.reads(job, place, may_stream=may_stream), Part(job.bundle, job.kind)
        runs = self._encoder.encode_as_read(place, slab, part, reads, repair_offset=offset)
        try:
            while (run := next(runs))[0] < repair:
                self._transmit.send(SendPart(slot, *run))
                has_left = True
        except BaseException:
            if has_left:
                self._lent[slot] += 1
                self._transmit.send(GiveBack(slot))
            raise
        return (repair, 0), run

    def _may_stream(self, job: Job) -> bool:
        """Whether a slab may leave before it is compared: in a first pass, while ``transmit`` waits for it."""
        is_first = job.kind == Kind.DATA and job.sending_pass == 0 and job.row == WHOLE
        return is_first and self._is_awaited()

    def _open(self, plan: Plan) -> Bundle:
        """The packed bundle, opened again when its ``sources.json`` was rewritten, because its files were moved."""
        folder = self._state / "bundles" / hex_of(plan.bundle)
        sources = fingerprint((folder / SOURCES_FILE).stat())
        opened = self._bundles.get(plan.bundle)
        if opened is None or opened.sources != sources:
            self._bundles.pop(plan.bundle, None)
            if len(self._bundles) >= MAX_OPEN_BUNDLES:
                del self._bundles[next(iter(self._bundles))]
            opened = self._bundles[plan.bundle] = Opened(sources, Bundle(folder, plan, self._plans.compared(plan)))
        return opened.bundle

    def _is_awaited(self) -> bool:
        """Whether ``transmit`` has nothing to send, so that a comparison would cost time of the line."""
        while self._lent and (message := self._transmit.receive(0.0)) is not None:
            self._take_back(message)
        return not self._lent

    def _slot_of(self, job: Job, slab: Slab) -> int:
        """Where the datagrams of a job belong. Source rows of one slab have places of their own in one slot.

        So they need not wait for each other: a row is a thousandth of a second of the line, and a wait may be more.
        """
        key, rows, is_source = (job.bundle, job.slab, job.sending_pass), self._rows, 0 <= job.row < slab.shape.k
        if is_source and job.row and rows is not None and rows[0] == key and rows[1] in self._lent:
            return rows[1]
        slot = self._take_slot()
        if is_source or (rows is not None and rows[1] == slot):
            self._rows = (key, slot) if is_source else None
        return slot

    def _take_slot(self) -> int:
        while not self._free:
            message = self._transmit.receive(None)
            if message is None:
                raise SystemExit(0)  # transmit is gone; the supervisor knows
            self._take_back(message)
        return self._free.pop()

    def _take_back(self, message: SlotSent) -> None:
        if message.slot not in self._lent:
            raise MessageError("SlotSent", f"slot {message.slot} was not handed over")
        self._lent[message.slot] -= 1
        if not self._lent[message.slot]:
            del self._lent[message.slot]
            self._free.append(message.slot)


def main() -> None:
    """Entry point of the worker."""
    settings, control = start_worker(EncodeSettings, says=ENCODE_SAYS, hears=ENCODE_HEARS)
    core = choose_core(settings.core, int.from_bytes(os.urandom(8)))
    encoder = Encoder(settings, control, core)
    writes = (control.write_fd, settings.ready_write)
    reads: Iterator[str | int] = chain(open_places(settings.reads), readable_folders())
    lacking = confine((*READS, "openat2"), writes=writes, reads=reads)
    control.send(SandboxLacks(tuple(lacking)))
    with refusing_peers(control):
        encoder.run()
