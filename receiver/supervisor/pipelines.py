"""Starts and watches the workers, and replaces all of them when one dies. The ledger knows which slabs are stored."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from diode.config.receiver import ReceiverConfig
from diode.process.messages import Fatal
from diode.process.restarts import MOST_RESTARTS, Rebuilding, Restarts, failure_of
from diode.process.shutdown import Shutdown
from diode.process.supervise import Pulse, WorkerGroup
from diode.process.workers import Worker
from diode.protocol.link_order import LinkOrder
from receiver.events.happened import Event, Health, WorkerDied
from receiver.supervisor.figures import Figures
from receiver.transport.pipeline import Pipeline

GRACE_S: Final = 20.0  # for workers to spill and store what they have
LISTEN_PATIENCE_S: Final = 10.0  # it shows life five times a second, unless it waits for assemble
ASSEMBLE_PATIENCE_S: Final = 300.0  # once a second, unless it waits for a disk; and a restart mends no disk
WAITING_S: Final = 2.0


class KnownOfLink(Protocol):
    """What a new pipeline need not wait for."""

    admitted: Sequence[Sequence[int]]

    @property
    def orders(self) -> Mapping[str, LinkOrder]:
        """How far the heartbeats of each link key have come."""


class Pulses:
    """For how long ``listen`` and ``assemble`` have shown no sign of life, of one pipeline."""

    def __init__(self, now: float) -> None:
        self._listen, self._assemble = Pulse(now), Pulse(now)

    def are_moving(self, listened: int, assembled: int, now: float, *, is_excused: bool = False) -> bool:
        """Whether they are at work, by how often each of them has written figures."""
        assemble_s = self._assemble.feel(assembled, now, is_excused=is_excused)
        is_full = is_excused or assemble_s > WAITING_S  # the ring may be
        listen_s = self._listen.feel(listened, now, is_excused=is_full)
        return listen_s < LISTEN_PATIENCE_S and assemble_s < ASSEMBLE_PATIENCE_S


class Pipelines:
    """One pipeline after another. ``on_message(worker, message)`` takes what the workers say."""

    def __init__(
        self,
        config: ReceiverConfig,
        socket_fd: int,
        link: KnownOfLink,
        figures: Figures,
        shutdown: Shutdown,
        say: Callable[[Event], None],
    ) -> None:
        self.fatal: Fatal | None = None  # a worker's last word: it cannot work, and a new one could not either
        self._config = config
        self._socket_fd = socket_fd
        self._link = link
        self._figures = figures
        self._shutdown = shutdown
        self._say = say
        self._datagram_bytes = config.link.datagram_bytes
        self._restarts = Restarts(MOST_RESTARTS)

    def start(self, on_message: Callable[[Worker, object], None]) -> None:
        """Start the workers, within a running loop."""
        self.worker_group = WorkerGroup(on_message, self._on_death, self._shutdown.fail, self._say)
        self._start()

    def close(self) -> None:
        """End the workers: what they have is spilled and stored, within the grace."""
        self.worker_group.close(GRACE_S)
        self._figures.settle()

    @property
    def received_bytes(self) -> int:
        """What the socket gave so far, of this pipeline."""
        return self._pipeline.listen_counters["bytes"]

    @property
    def slabs(self) -> tuple[int, int]:
        """How many slabs this pipeline has assembled, and how many of them were stored."""
        counters = self._pipeline.assemble_counters
        return counters["slabs_completed"], counters["slabs_freed"]

    def health(self, now: float, *, is_excused: bool = False) -> Health:
        """How the workers are. Begun is who writes figures: ``assemble`` waits for ``store`` first.

        ``is_excused``: another program holds the ledger, so that they may have to wait.
        """
        listened, assembled = self._pipeline.listen_counters.writes, self._pipeline.assemble_counters.writes
        is_moving = self._pulses.are_moving(listened, assembled, now, is_excused=is_excused)
        return Health(now, has_begun=bool(listened and assembled), is_well=self.worker_group.is_alive and is_moving)

    def _start(self) -> None:
        link = self._link
        self._pulses = Pulses(time.monotonic())
        self._pipeline = Pipeline(
            self._config, self._socket_fd, link.orders, link.admitted, self._datagram_bytes, self.worker_group
        )
        self._figures.follow(self._pipeline.listen_counters, self._pipeline.assemble_counters)

    def _on_death(self, worker: Worker) -> None:
        """Build the pipeline anew. What is stored is kept; slabs that were being assembled are lost."""
        if self._shutdown.has_begun:
            return
        code = self.worker_group.close(GRACE_S)[worker.name]  # the others end in order: what they have is spilled
        self._figures.settle()
        if self.fatal:
            self._shutdown.fail(failure_of(self.fatal))
            return
        now = time.monotonic()
        self._say(WorkerDied(now, worker.name, code))
        if error := self._restarts.died(worker.name, now):
            self._shutdown.fail(error)
            return
        self._datagram_bytes = self._pipeline.datagram_bytes or self._datagram_bytes
        self._rebuild()

    def _rebuild(self) -> None:
        """Build the next pipeline, now or a little later, or end the daemon: it never lives on without workers."""
        shutdown, undo = self._shutdown, lambda: self.worker_group.close(0.0)
        Rebuilding(self._start, undo, lambda: shutdown.has_begun, self._say, shutdown.fail).begin()
