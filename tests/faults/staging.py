"""One run of the sender in a world: its ledger, its flights, its scheduler and an encoder, without processes."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from diode.audit.log import open_log
from diode.protocol.auth import Session
from diode.protocol.encoder import SlabEncoder, Slot
from diode.protocol.fec import choose_engine
from diode.protocol.geometry import Geometry, Profile, stream_geometry
from diode.protocol.heartbeat import Heartbeat, HeartbeatSealer
from diode.protocol.sizes import datagram_bytes
from diode.trust.keys import read_link_key, read_signer
from sender.outbox.folder import Item, OutboxFolder
from sender.pack.hashed import Order
from sender.pack.packer import Packer
from sender.pack.retention import find_moved
from sender.recovery.rebaseline import guard_of
from sender.recovery.rebaseline import open_ledger as open_sender_ledger
from sender.transport.flights import Flights
from sender.transport.heartbeats import Heart
from sender.transport.plan import Job, Padding, Wait
from sender.transport.reading import Bundle, Compared
from sender.transport.schedule import Scheduler
from tests.faults.replaced import Replacement, replaced

if TYPE_CHECKING:
    from tests.faults.world import World
from tests.sealing import datagrams_of

SMALL: Final = Profile("clean", 4, 2)
RATE: Final = 2_000_000.0


class Staging:
    """One run of the sender: its ledger, its flights, its scheduler, and an encoder under a session of its own."""

    def __init__(self, world: "World") -> None:
        self.world = world
        config = world.config
        guard = guard_of(config)
        self.ledger = open_sender_ledger(config, guard)
        self.size = datagram_bytes(config.link.symbol_bytes)
        self.scheduler = Scheduler(RATE, self.size)
        key = read_link_key(config.link.key)
        with replaced(Replacement(time, "time", lambda: world.clock)):
            self.audit = open_log(config.audit_folder, config.service_key, "sender")
            guard.follow(self.audit)
            self.heart = Heart(config.link, key, self.ledger.next_epoch())
        say = self.heart.hear
        self.packer = Packer(config, self.ledger, read_signer(config.send.key), self.audit, say)
        folder = OutboxFolder(config.outbox)
        self.flights = Flights(config, folder, self.ledger, self.scheduler, self.audit, say)
        self.session = world.rng.getrandbits(64)
        self.encoder = SlabEncoder(choose_engine(), Session(key, self.session, config.link.auth), key.key_id)
        full = stream_geometry(config.link.symbol_bytes, SMALL)
        self.slot = Slot(memoryview(bytearray(full.rows * full.columns * self.size)), full)
        self.padding = Slot(memoryview(bytearray(64 * self.size)), Geometry(full.symbol_bytes, 1, 64, 0))
        self.encoder.padding(self.padding, 64)
        self.sealer = HeartbeatSealer(key, Session(key, world.rng.getrandbits(64), config.link.auth), full.symbol_bytes)
        self.beats = 0
        self.beat_at = world.now
        find_moved(config.outbox, config.state, self.ledger)
        self.flights.find_queued()

    def take(self, entry: Path) -> None:
        """An item of the outbox is packed and queued, as the daemon does it."""
        item = Item(entry, entry.parent.name, entry.name, None)
        row = asyncio.run(self.packer.pack(Order(item, [entry], self.world.faults.passes, 3.0, str(entry))))
        if row is not None:
            self.flights.queue(row)

    def next(self) -> np.ndarray | None:
        """Datagrams of the next step, or None when all is sent."""
        world = self.world
        if world.now >= self.beat_at:
            self.beat_at = world.now + 1.0
            return self.heartbeat()
        self.flights.find_resends()
        self.flights.launch()
        step = self.scheduler.next(world.now)
        if step is None:
            return None
        if isinstance(step, Wait):
            world.now += min(step.seconds, 1.0)
            return np.empty((0, self.size), np.uint8)
        datagrams = self.encode(step)
        world.now += datagrams.size / RATE
        over = self.scheduler.sent(step, world.now)
        if isinstance(step, Job):
            self.flights.sent(step, is_over=over)
        return datagrams

    def encode(self, step: Job | Padding) -> np.ndarray:
        """As `encode` and `transmit` do."""
        if isinstance(step, Padding):
            return np.tile(self.padding.datagrams, (-(-step.datagrams // 64), 1))[: step.datagrams]
        plan = self.flights.outgoing[step.bundle].plan
        bundle = Bundle(self.world.config.state / "bundles" / f"{step.bundle:016x}", plan, Compared(plan.slabs_bytes))
        return datagrams_of(self.encoder, self.slot, self.padding, plan, step, bundle.fill(step))

    def heartbeat(self) -> np.ndarray:
        """As `Heart` says it."""
        self.beats += 1
        shown = self.heart._shown(self.scheduler.flights(), self.flights.queued())
        sessions = {f"{self.session:016x}": self.encoder.counter, f"{self.sealer_session():016x}": 0}
        beat = Heartbeat(
            epoch=self.heart._epoch, number=self.beats, clock=int(self.world.clock), sessions=sessions,
            channels=self.ledger.sequences(), bundles=shown, audit=self.audit.head(),
        )  # fmt: skip
        return np.frombuffer(self.sealer.seal_mac(beat), np.uint8).reshape(1, -1)

    def sealer_session(self) -> int:
        """Number of the session that seals heartbeats."""
        return self.sealer._session.session

    def close(self) -> None:
        """The process is gone."""
        self.packer.close()
        self.ledger.close()
