"""One run of the receiver in a world: the workers ``Assemble`` and ``Store``, without processes, pipes and threads."""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.process.memory import LINK_SIZE, Counters, Ring, create_memfd
from diode.process.vocabulary import NOTHING, Vocabulary
from diode.process.workers import Mailbox
from diode.protocol.heartbeat import read_heartbeat
from diode.storage.database import LEDGER_FILE
from receiver.ledger import ledgers
from receiver.ledger.ledgers import SupervisorLedger
from receiver.messages.pipeline import ASSEMBLE_SAYS, ASSEMBLE_TO_STORE, STORE_SAYS, STORE_TO_ASSEMBLE, Heard
from receiver.peer.audit_checkpoints import PeerCheckpoints
from receiver.peer.completion import Endings
from receiver.recovery.rebaseline import open_ledger as open_receiver_ledger
from receiver.settings import StorePipes
from receiver.spool.disk import DiskHealth
from receiver.spool.finishing import Finishing
from receiver.store.worker import Store
from receiver.transport.assemble import COUNTERS, Assemble
from receiver.transport.pipeline import store_settings
from tests.faults.replaced import Replacement, replaced
from tests.hearing import Hearing
from tests.worker_settings import assemble_settings

if TYPE_CHECKING:
    from tests.faults.world import World

REGION_BYTES: Final = 1 << 20


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
        self.work: Callable[[], None] = lambda: None
        self._inbox: deque[Any] = deque()

    def send(self, message: object) -> None:
        if self.peer is not None:
            self.peer._inbox.append(self._says.decode(self._says.encode(message)))

    def receive(self, timeout_s: float | None = 0.0) -> Any:
        if not self._inbox and timeout_s != 0.0:
            self.work()
        return self._inbox.popleft() if self._inbox else None


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
        booted = Replacement(ledgers, "boot_id", lambda: world.boot)
        with replaced(booted):
            open_receiver_ledger(config).close()  # as the daemon does: no crash may make it look too old
        self.fds = [create_memfd("arena", 256 << 20), Ring.create(1, REGION_BYTES), Counters.create(COUNTERS)]
        self.fds.append(Counters.create(LINK_SIZE))
        arena, ring, counters, link_size = self.fds
        store = replace(
            store_settings(config, StorePipes(arena, -1, -1, -1, -1, -1, -1)), reserve=0
        )  # whatever room this machine has
        with replaced(booted):
            self.store = Store(store, to_store, self.slabs, Finishing(Inline()))
        disk = DiskHealth(lambda _: self._alarms.add("disk_failing"))
        self._ledger = SupervisorLedger(config.state / LEDGER_FILE)
        heads = PeerCheckpoints(self._ledger, self.store.records.audit, lambda _: None)
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
        self.assemble._handover.mailbox = self.answers
        self.answers.work = self.step

    def start(self) -> None:
        """What an earlier run left is taken up."""
        self.store.start()
        self.assemble._handover.await_start()

    def step(self) -> None:
        """`Store` handles what waits."""
        self.store.step(self._now)
        while self.store.queue or self.slabs._inbox:
            self.store.step(self._now)

    def receive(self, datagrams: np.ndarray, now: float) -> None:
        """A train arrives."""
        self._now = now
        size = datagrams.shape[1]
        most = REGION_BYTES // size
        for first in range(0, len(datagrams), most):
            part = np.ascontiguousarray(datagrams[first : first + most])
            self.assemble._regions.ring.data[0][: part.size] = part.tobytes()
            self.assemble._regions.ring.lengths[0][0] = part.size
            self.assemble._take(0, 1)
            self.assemble._handover.decide()
            self.assemble._handover.grow(1)
        self.step()
        self.assemble._handover.hear()
        self.step()
        for message in self.events.drain():
            self._alarms.add(type(message).__name__)
            if isinstance(message, Heard):
                beat = read_heartbeat(message.beat)
                assert beat is not None
                self.hearing.hear(beat, now, {}, message.key, has_mac=bool(message.has_mac))

    def stop(self) -> None:
        """SIGTERM: what is open is spilled, what was handed over is done."""
        self.assemble._handover.spill(None)
        self.step()
        self.store.publishing.take_finished()

    def close(self) -> None:
        """The process is gone."""
        with suppress(Exception):
            self.store.records.ledger.close()
        with suppress(Exception):
            self._ledger.close()
        self.store.arena.release()
        self.store.bundles.finishing.close()
        for fd in self.fds:
            os.close(fd)
