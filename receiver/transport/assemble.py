"""Worker: authenticate and place datagrams region by region, decode slabs, hand them to ``store``.

It has neither socket nor files: regions come from ``listen`` through the ring, complete slabs lie in the arena, and
``store`` answers with what the signature says of each bundle.

``listen`` can write the ring at any instant. So a region is copied out of it once, and screened, authenticated,
decrypted and placed from the copy: what had the right tag is what is placed.
"""

import mmap
import os
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any, Final

import numpy as np

from diode.errors import Drop
from diode.process.memory import LINK_SIZE, Counters, Ring, map_memfd
from diode.process.messages import EngineChosen, SandboxLacks
from diode.process.programs import readable_folders
from diode.process.sandbox import MODULES, confine, landlock_version
from diode.process.waiting import ready
from diode.process.workers import Mailbox, refusing_peers, start_worker
from diode.protocol.admission import Heard
from diode.protocol.assembler import Assembler
from diode.protocol.auth import DatagramViews
from diode.protocol.fec import choose_engine
from diode.protocol.gate import Gate
from diode.protocol.geometry import Geometry
from diode.protocol.handed_over import Begun, Completed, HandedOver, Parked, Wanted
from diode.protocol.heartbeat import LinkOrder, write_heartbeat
from diode.protocol.runs import Run, gather, slice_runs
from diode.protocol.sessions import Admitted
from diode.protocol.wire import Kind, ObjectType
from diode.trust.keys import read_link_key
from receiver import messages
from receiver.messages import ASSEMBLE_SAYS, ASSEMBLE_TO_STORE, STORE_TO_ASSEMBLE, OldKey
from receiver.settings import AssembleSettings
from receiver.spool.slabs import key_of, numbers_of, pack_mask, parked_keys, unpack_mask

FIGURES: Final = (
    "datagrams", "received", "expected", "filler", "heartbeats", "blocks_repaired", "blocks_lost", "slabs_given_up",
    "slabs_parked", "slabs_completed", "slabs_freed", "arena_used", "last_data_ms",
)  # fmt: skip
COUNTERS: Final = (*FIGURES, *(f"drop_{reason}" for reason in Drop))
MAX_HANDED: Final = 16  # slabs with store: few enough that neither pipe between us can fill up
REST_S: Final = 2.0  # without data for so long, what is open is parked: a power loss finds it on disk
_PATIENCE_S: Final = 30.0  # how long memory may be short because the disk is slow


class Assemble:
    """The worker's state."""

    def __init__(self, settings: AssembleSettings, control: Mailbox) -> None:
        self._control = control
        self._store = Mailbox(
            settings.store_read, settings.store_write, hears=STORE_TO_ASSEMBLE, says=ASSEMBLE_TO_STORE
        )
        self._ring = Ring(settings.ring, settings.regions, settings.region_bytes)
        self._region = memoryview(mmap.mmap(-1, settings.region_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        self._ready_read, self._free_write = settings.ready_read, settings.free_write
        self._counters = Counters(settings.counters, COUNTERS)
        self._drops: Counter[Drop] = Counter()
        keys = [read_link_key(Path(path)) for path in settings.keys]
        admitted = [Admitted(*session) for session in settings.admitted]
        orders = {key: LinkOrder(*order) for key, order in settings.orders.items()}
        self._gate = Gate(keys, settings.auth, self._drops, orders, admitted)
        engine = choose_engine(settings.engine)
        arena = np.frombuffer(map_memfd(settings.arena), dtype=np.uint8)
        self._assembler = Assembler(arena, engine, self._drops, self._wait_for_space)
        self._handed = 0  # with store now
        self._freed = 0
        self._decisions: deque[object] = deque()
        self._views: dict[int, tuple[Any, DatagramViews]] = {}  # of the whole region, by the datagrams' size
        self._datagrams = 0
        self._link_size = Counters(settings.link_size, LINK_SIZE)
        self._usual_bytes = settings.datagram_bytes  # of the newest heartbeat; 0: not known
        self._heard = self._told = 0
        self._resting_from: float | None = None  # the last data; None: all is parked since
        control.send(EngineChosen(engine.name))

    def run(self) -> None:
        """Work until ``listen``, ``store`` or the supervisor is gone; what is open then is parked."""
        self._await_start()
        while True:
            can_read = ready((self._ready_read, self._store.read_fd), 1.0)
            if self._store.read_fd in can_read:
                self._hear_store()
            if self._ready_read in can_read:
                data = os.read(self._ready_read, Ring.READY.size * 64)
                if not data:
                    self._park(None)
                    return
                for region, runs in self._ring.ready(data):
                    self._take(region, runs)
                    os.write(self._free_write, Ring.FREE.pack(region))
                    self._decide()
                    self._hand_over()
            if self._resting_from is not None and time.monotonic() - self._resting_from > REST_S:
                self._resting_from = None
                self._park(None)
            self._publish_figures()

    def _await_start(self) -> None:
        """``store`` first tells which bundles it already keeps."""
        while (message := self._store.receive(None)) is not None:
            if isinstance(message, messages.Started):
                return
            self._apply(message)
        raise SystemExit(0)

    def _take(self, region: int, runs: int) -> None:
        now = time.monotonic()
        lengths = self._ring.take(region, runs, self._region)
        for run in gather(self._region, slice_runs(self._region, lengths, self._drops, self._usual_bytes)):
            datagrams, views = self._matrix(run)
            self._datagrams += run.count
            rows = self._gate.admit(datagrams, views, now)
            if self._gate.heartbeats != self._heard:
                self._heed(run.size)
            if len(rows):
                self._assembler.feed(datagrams, rows)
                self._resting_from = now
                self._counters["last_data_ms"] = int(now * 1000)
        while self._gate.old_key_sessions:
            key_id, session = self._gate.old_key_sessions.popleft()
            self._control.send(OldKey(f"{key_id:04x}", f"{session:016x}"))
        if self._gate.heard is not None and self._gate.heartbeats != self._told:
            self._told = self._gate.heartbeats
            self._on_heartbeat(self._gate.heard)

    def _heed(self, size_bytes: int) -> None:
        """A heartbeat came in a run of this size: the link's datagrams have it. Data says less: it may be recorded."""
        self._heard = self._gate.heartbeats
        self._usual_bytes = self._link_size["datagram_bytes"] = size_bytes

    def _on_heartbeat(self, heard: Heard) -> None:
        """It came through the same ring: what was sent before it has been taken. A pass that is over is parked."""
        for bundle in heard.heartbeat.bundles:
            if bundle.state != "sending":
                self._park(int(bundle.id, 16))
        beat, has_mac = write_heartbeat(heard.heartbeat), int(heard.order.has_mac)
        self._control.send(messages.Heard(beat, tuple(self._gate.admitted), heard.key, has_mac))

    def _park(self, bundle: int | None) -> None:
        """Keep what is open, of one bundle or of all, on disk."""
        self._assembler.park(bundle)
        self._hand_over()

    def _matrix(self, run: Run) -> tuple[Any, DatagramViews]:
        """The run as a matrix, and views for its tags: made once for runs that begin a region, which nearly all do.

        Only of the link's own size, so that a stranger's datagram does not take the others' place.
        """
        if run.offset or run.size != self._usual_bytes:
            return self._make(run)
        if run.size not in self._views:
            self._views.clear()  # the sender changed its MTU
            self._views[run.size] = self._make(Run(0, run.size, len(self._region) // run.size))
        matrix, views = self._views[run.size]
        return matrix[: run.count], views

    def _make(self, run: Run) -> tuple[Any, DatagramViews]:
        buffer = self._region[run.offset : run.offset + run.size * run.count]
        return np.frombuffer(buffer, np.uint8).reshape(-1, run.size), DatagramViews(buffer, run.size, run.count)

    def _hand_over(self) -> None:
        """Give ``store`` all that the assembler hands over, waiting while it has enough to do."""
        self._push()
        while self._assembler.handed_over:
            self._wait_for_space()
            self._push()

    def _push(self) -> None:
        """Give ``store`` what it may have now."""
        queue = self._assembler.handed_over
        while queue and self._handed < MAX_HANDED:
            item = queue.popleft()
            self._handed += not isinstance(item, Begun)
            self._store.send(_describe(item))

    def _wait_for_space(self) -> bool:
        """Wait until ``store`` gives a slab's memory back; decisions it sends meanwhile are kept for later."""
        self._push()
        if not self._handed:
            return False
        message = self._store.receive(_PATIENCE_S)
        if message is None:
            if self._store.closed:
                raise SystemExit(0)
            return False
        if isinstance(message, messages.Free | messages.Loaded):
            self._apply(message)
        else:
            self._decisions.append(message)
        return True

    def _hear_store(self) -> None:
        self._decisions.extend(self._store.drain())
        if self._store.closed:
            raise SystemExit(0)
        self._decide()
        self._hand_over()

    def _decide(self) -> None:
        while self._decisions:
            self._apply(self._decisions.popleft())

    def _apply(self, message: object) -> None:
        match message:
            case messages.Free():
                self._handed -= 1
                self._freed += 1
                self._assembler.release(message.offset)
            case messages.Known():
                self._know(message)
            case messages.Loaded():
                self._handed -= 1
                self._freed += 1
                self._assembler.loaded(key_of(message), unpack_mask(message.have, message.symbols))
            case messages.Redo():
                self._assembler.redo(key_of(message))
            case messages.Finished():
                self._assembler.finish(message.bundle, Drop(message.drop) if message.drop else None)

    def _know(self, known: messages.Known) -> None:
        sizes = {
            (Kind.DATA, 0): known.stream_bytes,
            (Kind.OBJECT, int(ObjectType.FILES)): known.files_bytes,
            (Kind.OBJECT, int(ObjectType.SLABS)): known.slabs_bytes,
        }
        done = numbers_of(known.done).tolist()
        self._assembler.know(known.bundle, Geometry(*known.geometry), sizes, done, parked_keys(known))

    def _publish_figures(self) -> None:
        assembler, counters, figures = self._assembler, self._counters, self._assembler.figures
        counters["datagrams"] = self._datagrams
        counters["received"], counters["expected"] = self._gate.received, self._gate.expected
        counters["heartbeats"], counters["filler"] = self._gate.heartbeats, figures.filler
        counters["blocks_repaired"], counters["blocks_lost"] = (
            figures.blocks_repaired,
            figures.blocks_lost,
        )
        counters["slabs_given_up"], counters["arena_used"] = figures.slabs_given_up, assembler.used_bytes
        counters["slabs_parked"] = figures.slabs_parked
        counters["slabs_completed"] = self._freed + self._handed + len(assembler.handed_over)
        counters["slabs_freed"] = self._freed
        for reason, count in self._drops.items():
            counters[f"drop_{reason}"] = count


def _describe(item: HandedOver) -> object:
    """As ``store`` is told of it."""
    match item:
        case Completed():
            return messages.Complete(*item.key, offset=item.offset, length=item.length)
        case Parked():
            symbols, have = len(item.have), pack_mask(item.have)
            return messages.Parked(
                *item.key, offset=item.offset, symbol_bytes=item.symbol_bytes, symbols=symbols, have=have
            )
        case Wanted():
            return messages.Wanted(*item.key, offset=item.offset, symbol_bytes=item.symbol_bytes, symbols=item.symbols)
        case Begun():
            return messages.Begun(*item.key)


def main() -> None:
    """Entry point of the worker."""
    settings, control = start_worker(AssembleSettings, says=ASSEMBLE_SAYS, nice=-10)
    worker = Assemble(settings, control)
    writes = (control.write_fd, settings.free_write, settings.store_write)
    folders = readable_folders() if landlock_version() else []  # numpy imports parts of itself when they are first used
    control.send(SandboxLacks(tuple(confine(MODULES if folders else (), writes=writes, reads=folders))))
    with refusing_peers(control):
        worker.run()
