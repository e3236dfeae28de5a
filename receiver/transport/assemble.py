"""Worker: authenticate and place datagrams region by region, decode slabs, hand them to ``store``.

It has neither socket nor files: regions come from ``listen`` through the ring, complete slabs lie in the arena, and
``store`` answers with what the signature says of each bundle.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from diode.bundle.ref import number_of
from diode.errors import Drop
from diode.process.compiled import READABLE, Compiled, choose_core
from diode.process.memory import LINK_SIZE, Counters, Ring, map_memfd
from diode.process.messages import EnginesChosen, SandboxLacks
from diode.process.programs import readable_folders
from diode.process.sandbox import MODULES, confine, landlock_version
from diode.process.waiting import ready
from diode.process.workers import Mailbox, refusing_peers, start_worker
from diode.protocol.admission import Heard
from diode.protocol.assembler import Assembler
from diode.protocol.fec import choose_engine
from diode.protocol.gate import Gate
from diode.protocol.heartbeat import write_heartbeat
from diode.protocol.link_order import LinkOrder
from diode.protocol.run_taker import RunTaker, can_take
from diode.protocol.sessions import Admitted
from diode.protocol.taking_proof import prove_taking
from diode.trust.keys import read_link_key
from receiver.messages import pipeline as messages
from receiver.messages.pipeline import ASSEMBLE_SAYS, ASSEMBLE_TO_STORE, STORE_TO_ASSEMBLE, OldKey
from receiver.settings import AssembleSettings
from receiver.transport.handover import Handover
from receiver.transport.regions import Regions

FIGURES: Final = (
    "datagrams", "received", "expected", "padding", "heartbeats", "blocks_repaired", "blocks_lost", "slabs_given_up",
    "slabs_spilled", "slabs_completed", "slabs_freed", "arena_used", "last_data_ms",
)  # fmt: skip
COUNTERS: Final = (*FIGURES, *(f"drop_{reason}" for reason in Drop))
REST_S: Final = 2.0  # without data for so long, what is open is spilled: a power loss finds it on disk


class Assemble:
    """The worker's state."""

    def __init__(self, settings: AssembleSettings, control: Mailbox, core: Compiled = READABLE) -> None:
        self._control = control
        self._ready_read, self._free_write = settings.ready_read, settings.free_write
        self._counters = Counters(settings.counters, COUNTERS)
        self._link_size = Counters(settings.link_size, LINK_SIZE)
        self._drops: Counter[Drop] = Counter()
        ring = Ring(settings.ring, settings.regions, settings.region_bytes)
        self._regions = Regions(ring, self._drops, settings.datagram_bytes)
        keys = [read_link_key(Path(path)) for path in settings.keys]
        admitted = [Admitted(*session) for session in settings.admitted]
        orders = {key: LinkOrder(*order) for key, order in settings.orders.items()}
        kernel = core.kernel_for(settings.mac, settings.auth)
        self._gate = Gate(keys, settings.auth, self._drops, orders, admitted, kernel)
        engine = choose_engine(settings.engine, core.library)
        arena = np.frombuffer(map_memfd(settings.arena), dtype=np.uint8)
        self._assembler = Assembler(arena, engine, self._drops, self._wait_for_space)
        takes = can_take(kernel, settings.auth)
        self._taker = RunTaker(self._gate, self._assembler, self._drops) if takes else None  # None: the readable way
        store = Mailbox(settings.store_read, settings.store_write, hears=STORE_TO_ASSEMBLE, says=ASSEMBLE_TO_STORE)
        self._handover = Handover(store, self._assembler)
        self._heard = self._told = 0  # heartbeats whose size was taken, and of which the supervisor was told
        self._resting_from: float | None = None  # the last data; None: all is spilled since
        tags, taking = "core" if kernel else "library", "core" if takes else "readable"
        control.send(EnginesChosen(engine.name, tags, taking, core.refused))

    def run(self) -> None:
        """Work until ``listen``, ``store`` or the supervisor is gone; what is open then is spilled."""
        handover = self._handover
        handover.await_start()
        while True:
            can_read = ready((self._ready_read, handover.mailbox.read_fd), 1.0)
            if handover.mailbox.read_fd in can_read:
                handover.hear()
            if self._ready_read in can_read:
                data = os.read(self._ready_read, Ring.READY.size * 64)
                if not data:
                    handover.spill(None)
                    return
                for region, runs in self._regions.ring.ready(data):
                    self._take(region, runs)
                    os.write(self._free_write, Ring.FREE.pack(region))
                    handover.decide()
                    handover.grow()
            if self._resting_from is not None and time.monotonic() - self._resting_from > REST_S:
                self._resting_from = None
                handover.spill(None)
            self._publish_figures()

    def _take(self, region: int, runs: int) -> None:
        now = time.monotonic()
        for size_bytes, count in self._taken(region, runs, now):
            if self._gate.heartbeats != self._heard:
                self._heed(size_bytes)
            if count:
                self._resting_from = now
                self._counters["last_data_ms"] = int(now * 1000)
        while self._gate.old_key_sessions:
            key_id, session = self._gate.old_key_sessions.popleft()
            self._control.send(OldKey(f"{key_id:04x}", f"{session:016x}"))
        if self._gate.heard is not None and self._gate.heartbeats != self._told:
            self._told = self._gate.heartbeats
            self._on_heartbeat(self._gate.heard)

    def _taken(self, region: int, runs: int, now: float) -> Iterator[tuple[int, int]]:
        """Take a region. (size of its datagrams, how many are authentic data) of each run."""
        if self._taker is not None:
            for size_bytes, datagrams in self._regions.look(region, runs):
                yield size_bytes, self._taker.take(datagrams, now)
            return
        for size_bytes, datagrams, views in self._regions.take(region, runs):
            rows = self._gate.admit(datagrams, views, now)
            if len(rows):
                self._assembler.feed(datagrams, rows)
            yield size_bytes, len(rows)

    def _heed(self, size_bytes: int) -> None:
        """A heartbeat came in a run of this size: the link's datagrams have it. Data says less: it may be recorded."""
        self._heard = self._gate.heartbeats
        self._regions.usual_bytes = self._link_size["datagram_bytes"] = size_bytes

    def _on_heartbeat(self, heard: Heard) -> None:
        """It came through the same ring: what was sent before it has been taken. A pass that is over is spilled."""
        for bundle in heard.heartbeat.bundles:
            if bundle.state != "sending":
                self._handover.spill(number_of(bundle.id))
        beat, has_mac = write_heartbeat(heard.heartbeat), int(heard.order.has_mac)
        self._control.send(messages.Heard(beat, tuple(self._gate.admitted), heard.key, has_mac))

    def _wait_for_space(self) -> bool:
        """The assembler is short of memory while ``store`` still has slabs of it."""
        return self._handover.wait_for_space()

    def _publish_figures(self) -> None:
        assembler, counters, figures = self._assembler, self._counters, self._assembler.figures
        counters["datagrams"] = self._regions.datagrams
        counters["received"], counters["expected"] = self._gate.received, self._gate.expected
        counters["heartbeats"], counters["padding"] = self._gate.heartbeats, figures.padding
        counters["blocks_repaired"], counters["blocks_lost"] = (
            figures.blocks_repaired,
            figures.blocks_lost,
        )
        counters["slabs_given_up"], counters["arena_used"] = figures.slabs_given_up, assembler.used_bytes
        counters["slabs_spilled"] = figures.slabs_spilled
        counters["slabs_completed"], counters["slabs_freed"] = self._handover.completed, self._handover.freed
        for reason, count in self._drops.items():
            counters[f"drop_{reason}"] = count


def main() -> None:
    """Entry point of the worker."""
    settings, control = start_worker(AssembleSettings, says=ASSEMBLE_SAYS, nice=-10)
    core = choose_core(settings.core, int.from_bytes(os.urandom(8)), prove_taking)
    worker = Assemble(settings, control, core)
    writes = (control.write_fd, settings.free_write, settings.store_write)
    folders = readable_folders() if landlock_version() else []  # numpy imports parts of itself when they are first used
    control.send(SandboxLacks(tuple(confine(MODULES if folders else (), writes=writes, reads=folders))))
    with refusing_peers(control):
        worker.run()
