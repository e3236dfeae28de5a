"""One world, from one seed: staging, a bad line and an enclave, with virtual time and a disk that can be lost.

The daemons' parts run unchanged (ledgers, packing, flights, scheduler, encoder, gate, assembler, the workers
`Assemble` and `Store`); only sockets, pipes, threads, clock and the disk's mercy are ours. Slabs are of 4 rows instead
of 200, so that a world takes a moment. After the faults, an operator carries codes until nothing is missing.
"""

import asyncio
import os
import random
import tempfile
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import numpy as np

from diode.audit.chain import What
from diode.audit.log import open_log
from diode.audit.verify import entries_of, heads_heard, read_service_keys, verify
from diode.config.init import init_pair
from diode.config.settings import ReceiverConfig, SenderConfig, load
from diode.console.progress import Display
from diode.errors import DiodeError, ReplayError, StorageError, UsageError
from diode.net.emulator import Impairer, Impairments
from diode.process.memory import LINK_SIZE, Counters, Ring, create_memfd
from diode.process.vocabulary import NOTHING, Vocabulary
from diode.process.workers import Mailbox
from diode.protocol.auth import Session
from diode.protocol.encoder import Part, SlabEncoder, Slot
from diode.protocol.fec import choose_engine
from diode.protocol.geometry import PROFILES, Geometry, Profile, stream_geometry
from diode.protocol.heartbeat import Heartbeat, HeartbeatSealer, read_heartbeat
from diode.protocol.resend_codes import decode
from diode.protocol.wire import datagram_bytes, symbol_bytes_for
from diode.storage.database import LEDGER_FILE
from diode.trust.keys import read_link_key, read_signer
from receiver.inbox.folder import UNSIGNED, Inbox
from receiver.ledger.ledgers import SupervisorLedger
from receiver.messages import ASSEMBLE_SAYS, ASSEMBLE_TO_STORE, STORE_SAYS, STORE_TO_ASSEMBLE, Heard
from receiver.peer.audit_heads import PeerHeads
from receiver.peer.completion import Endings
from receiver.peer.heartbeats import Hearing
from receiver.peer.requests import request_bundle, request_gaps
from receiver.recovery.rebaseline import open_ledger as open_receiver_ledger
from receiver.settings import StorePipes
from receiver.spool.disk import DiskHealth
from receiver.spool.finishing import Finishing
from receiver.store.worker import Store
from receiver.transport.assemble import COUNTERS, Assemble
from receiver.transport.pipeline import store_settings
from sender.outbox.folder import Item, OutboxFolder
from sender.pack.packer import Packer
from sender.pack.retention import find_moved
from sender.recovery.rebaseline import open_ledger as open_sender_ledger
from sender.recovery.resends import find_asked
from sender.transport.encode import Bundle
from sender.transport.flights import Flights
from sender.transport.heartbeats import Heart
from sender.transport.schedule import Filler, Job, Scheduler, Wait
from sender.transport.tally import Tally
from tests.faults.disk import Disk, KilledError, watched
from tests.worker_settings import assemble_settings

MTU: Final = 576
SMALL: Final = Profile("clean", 4, 2)
RATE: Final = 2_000_000.0
REGION_BYTES: Final = 1 << 20
MOST_ROUNDS: Final = 8


class Violation(AssertionError):  # noqa: N818 - it is what it says
    """An invariant does not hold."""


class Inline(Executor):
    """Does it at once, so that a world has one order of events."""

    def submit(self, work: Any, /, *arguments: Any, **options: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments, **options))
        except Exception as error:  # noqa: BLE001 - a future carries whatever it is
            future.set_exception(error)
        return future


class Box(Mailbox):
    """A mailbox without a pipe. ``work`` makes the peer go on, when somebody waits for it."""

    def __init__(self, says: Vocabulary = NOTHING) -> None:
        super().__init__(-1, -1, hears=NOTHING, says=says)
        self.peer: Box | None = None
        self.work = lambda: None
        self._inbox: deque[Any] = deque()

    def send(self, message: object) -> None:
        if self.peer is not None:
            self.peer._inbox.append(self._says.decode(self._says.encode(message)))

    def receive(self, timeout_s: float | None = 0.0) -> Any:
        if not self._inbox and timeout_s != 0.0:
            self.work()
        return self._inbox.popleft() if self._inbox else None


@dataclass(frozen=True)
class Faults:
    """What happens in a world. Steps count what staging sends."""

    line: Impairments = field(default_factory=Impairments)
    passes: int = 1
    bundles: int = 2
    outages: tuple[tuple[int, int], ...] = ()  # (from step, to step): nothing passes
    kills: tuple[tuple[int, str], ...] = ()  # (step, what): receiver, power, stop, sender, clock
    disk_fails: tuple[tuple[int, int], ...] = ()  # (step, for so many operations)
    lies: tuple[int, ...] = ()  # steps: the disk loses what is dirty, and says so once
    auth: str = "gmac"
    killed_by: str = "receiver"  # what happens at a kill point of the receiver: the same, or power
    kill_at: int | None = None  # operation of the disk, counted from the first bundle on

    @classmethod
    def of(cls, seed: int) -> "Faults":
        """What the seed says."""
        rng = random.Random(seed)
        line = Impairments(
            loss=rng.choice((0.0, 0.0, 0.01, 0.1, 0.3)),
            burst=rng.choice((0, 0, 50, 200)),
            burst_gap=1500,
            reorder=rng.choice((0.0, 0.05)),
            duplicate=rng.choice((0.0, 0.05)),
            corrupt=rng.choice((0.0, 0.001)),
        )
        steps = 60
        return cls(
            line=line,
            passes=rng.choice((1, 2, 3)),
            bundles=rng.choice((1, 2, 3)),
            outages=tuple((a, a + rng.randrange(1, 20)) for a in rng.sample(range(steps), rng.choice((0, 0, 1, 2)))),
            kills=tuple(
                (rng.randrange(steps), rng.choice(("receiver", "power", "stop", "sender", "clock")))
                for _ in range(rng.choice((0, 1, 1, 2, 3)))
            ),
            disk_fails=tuple((rng.randrange(steps), rng.randrange(1, 30)) for _ in range(rng.choice((0, 0, 0, 1, 2)))),
            auth=rng.choice(("gmac", "gmac", "none")),
            lies=tuple(rng.randrange(steps) for _ in range(rng.choice((0, 0, 0, 1, 3)))),
        )


class Enclave:
    """`Assemble` and `Store` of one run of the receiver, without their processes."""

    def __init__(self, world: "World") -> None:
        self._alarms = world.alarms
        folder = world.folder / "receiver"
        self.answers, self.slabs = Box(ASSEMBLE_TO_STORE), Box(STORE_TO_ASSEMBLE)
        to_store, from_assemble = Box(STORE_SAYS), Box(ASSEMBLE_SAYS)
        self.events = Box()
        to_store.peer = from_assemble.peer = self.events
        self.slabs.peer, self.answers.peer = self.answers, self.slabs
        self._now = 0.0
        config = load(ReceiverConfig, folder / "receiver.toml")
        with patch("receiver.ledger.ledgers.boot_id", lambda: world.boot):
            open_receiver_ledger(config).close()  # as the daemon does: no crash may make it look too old
        self.fds = [create_memfd("arena", 256 << 20), Ring.create(1, REGION_BYTES), Counters.create(COUNTERS)]
        self.fds.append(Counters.create(LINK_SIZE))
        arena, ring, counters, link_size = self.fds
        store = replace(
            store_settings(config, StorePipes(arena, -1, -1, -1, -1)), reserve=0
        )  # whatever room this machine has
        with patch("receiver.ledger.ledgers.boot_id", lambda: world.boot):
            self.store = Store(store, to_store, self.slabs, Finishing(Inline()))
        disk = DiskHealth(lambda _: self._alarms.add("disk_failing"))
        self._ledger = SupervisorLedger(config.state / LEDGER_FILE)
        heads = PeerHeads(self._ledger, self.store._audit)
        self.hearing = Hearing(self._ledger, Endings(self._ledger.peer.heard()), disk, heads)
        settings = assemble_settings(
            ring=ring,
            regions=1,
            region_bytes=REGION_BYTES,
            arena=arena,
            counters=counters,
            link_size=link_size,
            keys=(str(folder / "keys" / "link.key"),),
            auth=world.faults.auth,
            orders=self.hearing.orders,
        )
        self.assemble = Assemble(settings, from_assemble)
        self.assemble._store = self.answers
        self.answers.work = self.step

    def start(self) -> None:
        """What an earlier run left is taken up."""
        self.store.start()
        self.assemble._await_start()

    def step(self) -> None:
        """`Store` handles what waits."""
        self.store.step(self._now)
        while self.store._waiting or self.slabs._inbox:
            self.store.step(self._now)

    def receive(self, datagrams: np.ndarray, now: float) -> None:
        """A train arrives."""
        self._now = now
        size = datagrams.shape[1]
        most = REGION_BYTES // size
        for first in range(0, len(datagrams), most):
            part = np.ascontiguousarray(datagrams[first : first + most])
            self.assemble._ring.data[0][: part.size] = part.tobytes()
            self.assemble._ring.lengths[0][0] = part.size
            self.assemble._take(0, 1)
            self.assemble._decide()
            self.assemble._hand_over()
        self.step()
        self.assemble._hear_store()
        self.step()
        for message in self.events.drain():
            self._alarms.add(type(message).__name__)
            if isinstance(message, Heard):
                beat = read_heartbeat(message.beat)
                assert beat is not None
                self.hearing.hear(beat, now, {}, message.key, has_mac=bool(message.has_mac))

    def stop(self) -> None:
        """SIGTERM: what is open is parked, what was handed over is done."""
        self.assemble._park(None)
        self.step()
        self.store._take_finished()

    def close(self) -> None:
        """The process is gone."""
        for ledger in (self.store._ledger, self._ledger):
            with suppress(Exception):
                ledger.close()
        self.store._arena.release()
        self.store._finishing.close()
        for fd in self.fds:
            os.close(fd)


class Staging:
    """One run of the sender: its ledger, its flights, its scheduler, and an encoder under a session of its own."""

    def __init__(self, world: "World") -> None:
        self.world = world
        config = world.config
        self.ledger = open_sender_ledger(config)
        self.size = datagram_bytes(config.link.symbol_bytes)
        self.scheduler = Scheduler(RATE, self.size)
        key = read_link_key(config.link.key)
        with patch("time.time", lambda: world.clock):
            self.audit = open_log(config.audit_folder, config.service_key, "sender")
            self.heart = Heart(config.link, key, self.ledger, self.audit)
        display = Display("quiet")
        self.packer = Packer(config, self.ledger, read_signer(config.send.key), display, self.audit)
        folder = OutboxFolder(config.outbox)
        self.flights = Flights(config, folder, self.ledger, self.scheduler, self.heart, Tally(), display, self.audit)
        self.session = world.rng.getrandbits(64)
        self.encoder = SlabEncoder(choose_engine(), Session(key, self.session, config.link.auth), key.key_id)
        full = stream_geometry(config.link.symbol_bytes, SMALL)
        self.slot = Slot(memoryview(bytearray(full.rows * full.columns * self.size)), full)
        self.filler = Slot(memoryview(bytearray(64 * self.size)), Geometry(full.symbol_bytes, 1, 64, 0))
        self.encoder.filler(self.filler, 64)
        self.sealer = HeartbeatSealer(key, Session(key, world.rng.getrandbits(64), config.link.auth), full.symbol_bytes)
        self.beats = 0
        self.beat_at = world.now
        find_moved(config.outbox, config.state, self.ledger)
        self.flights.find_queued()

    def take(self, entry: Path) -> None:
        """An item of the outbox is packed and queued, as the daemon does it."""
        item = Item(entry, entry.parent.name, entry.name, None)
        row = asyncio.run(self.packer.pack(item, [entry], self.world.faults.passes, 3.0, str(entry)))
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
        over = self.scheduler.sent(step, len(datagrams), world.now)
        if isinstance(step, Job):
            self.flights.sent(step, is_over=over)
        return datagrams

    def encode(self, step: Job | Filler) -> np.ndarray:
        """As `encode` and `transmit` do."""
        if isinstance(step, Filler):
            return np.tile(self.filler.datagrams, (-(-step.datagrams // 64), 1))[: step.datagrams]
        plan = self.flights.outgoing[step.bundle].plan
        bundle = Bundle(self.world.config.state / "bundles" / f"{step.bundle:016x}", plan)
        slab = plan.slab(step)
        part = Part(step.bundle, step.kind, step.flags)
        offset = step.repair_offset(slab)
        runs = self.encoder.encode(self.slot, slab, part, bundle.fill(step), repair_offset=offset)
        return np.concatenate([self.slot.datagrams[first : first + count] for first, count in runs])

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


@dataclass
class World:
    """Staging, line and enclave; ``run`` ends when everything is published, or raises Violation."""

    seed: int
    folder: Path
    faults: Faults
    now: float = 1000.0
    epoch: float = 1.8e9  # what staging's clock says at ``now`` 0
    boot: str = "boot 1"
    counts: Counter[str] = field(default_factory=Counter)
    alarms: set[str] = field(default_factory=set)  # whatever the receiver said

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        init_pair(
            self.folder, to="127.0.0.1:9", listen="127.0.0.1:9", mtu=MTU, rate=0, profile="clean", auth=self.faults.auth
        )
        self.config = load(SenderConfig, self.folder / "sender" / "sender.toml")
        self.inbox = self.folder / "receiver" / "inbox"
        (self.folder / "receiver" / "state").mkdir(exist_ok=True)
        Inbox(self.inbox).prepare()
        self.enclave_disk = Disk(self.folder / "receiver", self.rng)
        self.staging_disk = Disk(self.folder / "sender", self.rng)
        for disk in (self.enclave_disk, self.staging_disk):
            disk.sync()
        self.staged: dict[str, bytes] = {}
        self.taken: set[str] = set()  # published, and taken away by a reader
        self.published: Counter[str] = Counter()
        self.line = Impairer(self.faults.line, self.seed)
        self.staging: Staging | None = None
        self.enclave: Enclave | None = None
        self.highest = (-1, 0)

    @property
    def clock(self) -> float:
        """What staging's clock says, in seconds."""
        return self.epoch + self.now

    # what happens

    def run(self) -> None:
        """A first bundle over a good line, then faults, then a good line again and an operator."""
        self.commission()
        for number in range(self.faults.bundles):
            self.stage(
                f"item{number}", self.rng.randbytes(self.rng.choice((0, 1, 900, 60_000, 114_688, 300_000, 500_000)))
            )
        step = 0
        kills, fails = deque(sorted(self.faults.kills)), deque(sorted(self.faults.disk_fails))
        lies = deque(sorted(self.faults.lies))
        while self.advance(dark=any(a <= step < b for a, b in self.faults.outages)) or kills:
            step += 1
            while fails and fails[0][0] <= step:
                self.enclave_disk.fails_until = self.enclave_disk.operations + fails.popleft()[1]
            while lies and lies[0] <= step:
                self.counts["lies"] += bool(lies.popleft())
                self.enclave_disk.lie()
            while kills and kills[0][0] <= step:
                self.kill(kills.popleft()[1])
        self.enclave_disk.fails_until = -1
        self.enclave_disk.kill_at = self.staging_disk.kill_at = None
        self.line = Impairer(Impairments(), self.seed)
        if len(self.published) == len(self.staged):
            self.counts["without_operator"] += 1
        self.recover()
        self.check_end()

    def commission(self) -> None:
        """The link is put into service: the receiver knows the channel from its first bundle on."""
        faulty, self.line = self.line, Impairer(Impairments(), self.seed)
        self.stage("first", b"commissioned")
        while self.advance():
            pass
        self.rest()
        self.line = faulty
        if self.faults.kill_at is not None:
            disk = self.staging_disk if self.faults.killed_by == "sender" else self.enclave_disk
            disk.kill_at = disk.operations + self.faults.kill_at

    def stage(self, name: str, data: bytes) -> None:
        """Drop an item into the outbox."""
        self.staging_disk.is_ours = True
        entry = self.config.outbox.path / "cve" / name
        entry.parent.mkdir(parents=True, exist_ok=True)
        entry.write_bytes(data)
        self.staged[name] = data
        self.staging_disk.is_ours = False

    def advance(self, *, dark: bool = False) -> bool:
        """One step of staging, and what arrives of it. False: nothing is left to send."""
        try:
            datagrams = self.send()
        except KilledError:
            self.kill("sender")
            return True
        if datagrams is None:
            return False
        arrived = self.line.apply(datagrams)
        if not dark:
            try:
                self.receiver().receive(arrived, self.now)
            except KilledError:
                self.kill(self.faults.killed_by)
            except (OSError, StorageError):  # its disk fails at the start: it is started again
                self.kill("receiver")
        self.look()
        return True

    def receiver(self) -> Enclave:
        """The receiver, started again if it was killed."""
        if self.enclave is None:
            try:
                self.enclave = Enclave(self)
            except ReplayError as error:
                raise Violation(f"I4: the receiver refuses to start: {error}") from error
            self.enclave.start()
        return self.enclave

    def send(self) -> np.ndarray | None:
        """Staging's next step, begun anew after a kill; it packs what lies in the outbox."""
        if self.staging is None:
            self.staging = Staging(self)
        for entry in sorted(self.config.outbox.path.glob("cve/*")):
            if str(entry) not in self.staging.flights.origins():
                self.staging.take(entry)
        return self.staging.next()

    def kill(self, what: str) -> None:
        """End a daemon. It is started again at its next step."""
        self.counts[what] += 1
        if what == "clock":  # it jumps while the sender is down
            self.epoch += self.rng.choice((-86400.0, -3.0, 3600.0))
        if what in ("sender", "clock"):
            if self.staging is not None:
                self.staging.close()
            self.staging = None
            return
        if what == "stop" and self.enclave is not None:
            with suppress(KilledError):
                self.enclave.stop()
        if self.enclave is not None:
            self.enclave.close()
        self.enclave = None
        if what == "power":
            self.enclave_disk.is_ours = True
            self.enclave_disk.lose_power()
            self.enclave_disk.is_ours = False
            self.boot = f"boot {self.counts['power'] + 1}"
        self.look()

    def recover(self) -> None:
        """An operator carries codes until nothing is missing."""
        for _ in range(MOST_ROUNDS):
            while self.advance():
                pass
            self.rest()
            if len(self.published) == len(self.staged):
                return
            self.counts["rounds"] += 1
            assert self.enclave is not None
            assert self.staging is not None
            ledger = self.enclave.store._ledger
            asked = [request_bundle(ledger, row.id) for row in ledger.bundles.in_progress() if row.state == "receiving"]
            for request in [*asked, *request_gaps(ledger)]:
                with suppress(UsageError):
                    row, ranges = find_asked(self.staging.ledger, self.config.state, decode(request.code))
                    self.staging.ledger.resends.ask(row.id, ranges)
        raise Violation(f"I4: {self.staged.keys() - self.published.keys()} neither published nor asked for")

    def rest(self) -> None:
        """Nothing is sent for a while, but heartbeats."""
        for _ in range(3):
            self.now += 6.0
            assert self.staging is not None
            self.receiver().receive(self.staging.heartbeat(), self.now)
        self.look()

    # what must hold

    def look(self) -> None:
        """Whatever is visible is complete and as staged; a reader may take it away, and it never comes again."""
        self.enclave_disk.drop_cache(f"{self.inbox}/cve/")  # a reader may come when memory was short
        for receipt in self.inbox.glob("cve/*/*"):
            name = receipt.parent.name
            if not (receipt / "receipt.json").exists():
                raise Violation(f"I1: {name} is visible without a receipt")
            if (receipt / "data" / name).read_bytes() != self.staged[name]:
                raise Violation(f"I2: {name} is not what was staged")
            if name in self.taken:
                raise Violation(f"I3: {name} was published twice")
            self.published[name] = 1
            if self.rng.random() < 0.5 and self.is_settled(name):
                self.taken.add(name)
                self.counts["taken"] += 1
                receipt.rename(self.folder / f"taken-{name}")
        if self.enclave is not None:
            orders = self.enclave.store._ledger.peer.link_orders()
            order = max((one.reached for one in orders.values()), default=(-1, 0))
            if order < self.highest and not self.counts["power"]:
                raise Violation("I8: the order of heartbeats went back")
            self.highest = max(order, self.highest)

    def is_settled(self, name: str) -> bool:
        """Whether the ledger has it as published: what the disk still may undo, no reader takes here."""
        if self.enclave is None:
            return False
        return any(row.name == name for row in self.enclave.store._ledger.bundles.published("cve"))

    def check_end(self) -> None:
        """All is published, and nothing of it is left behind."""
        assert self.enclave is not None
        ledger = self.enclave.store._ledger
        for table in ("slab", "parked", "begun"):
            if rows := ledger._connection.execute(f"SELECT * FROM {table}").fetchall():
                raise Violation(f"I6: {len(rows)} rows left in {table}")
        if left := [path.name for path in (self.inbox / ".diode" / "spool").iterdir()]:
            raise Violation(f"I6: {left} left in the spool")
        # Without tags a manifest may arrive broken, and then whole.
        over = {row.id for row in ledger.bundles.published("cve")}
        self.check_audit()
        quarantine = self.inbox / ".diode" / "quarantine"
        names = {path.name for folder in (quarantine, quarantine / UNSIGNED) for path in folder.glob("*")}
        if aside := names - over - {UNSIGNED}:
            raise Violation(f"I4: {aside} in quarantine")

    def check_audit(self) -> None:
        """Both logs hold, say what was published before it was, and staging's has every head that was heard."""
        inside, outside = self.folder / "receiver", self.folder / "sender"
        own = {side: read_service_keys([side / "keys" / "service.pub"]) for side in (inside, outside)}
        try:
            verify(inside / "state" / "audit", own[inside])
            heard = heads_heard(inside / "state" / "audit")
            verify(outside / "state" / "audit", own[outside], heard)
        except DiodeError as error:
            raise Violation(f"I7: {error}") from error
        said = [e for e in entries_of(inside / "state" / "audit") if e.what is What.PUBLISHED]
        first = Counter(entry.name for entry in said if not entry.again)
        if {entry.name for entry in said} != self.published.keys() or max(first.values()) > 1:
            raise Violation(f"I7: {first} are said to be published, {self.published} are")
        if any(entry.what is What.PEER_BACKWARDS for entry in entries_of(inside / "state" / "audit")):
            raise Violation("I7: the sender's log went backwards")

    def close(self) -> None:
        """End what runs."""
        if self.staging is not None:
            self.staging.close()
        if self.enclave is not None:
            self.enclave.close()


@contextmanager
def world(seed: int, faults: Faults | None = None) -> Iterator[World]:
    """A world in a temporary folder, with its disks watched."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix="diode-world-", dir=place) as folder,
        patch.dict(PROFILES, {"clean": SMALL}),
    ):
        made = World(seed, Path(folder), faults or Faults.of(seed))
        with watched([made.enclave_disk, made.staging_disk]):
            try:
                yield made
            finally:
                made.close()


assert symbol_bytes_for(MTU) == 448  # slabs of 112 KiB
