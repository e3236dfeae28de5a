"""Starts the workers, hears their messages, replaces them when one dies, and tells whether they make progress.

The vocabulary of a pipe has already refused messages that a worker may not send. This module refuses messages that
cannot be true, such as a job that nobody was given. A refused message ends its worker.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from diode.config.sender import SenderConfig
from diode.errors import CoreError, DiodeError, WorkerError
from diode.net.address import Address
from diode.process import tending
from diode.process.messages import EnginesChosen, Fatal, PathChosen, PeerRefused, SandboxLacks
from diode.process.restarts import Rebuilding, Restarts, failure_of
from diode.process.supervise import Pulse, WorkerGroup
from diode.process.workers import Worker
from sender.events.happened import (
    EnginesTaken,
    Event,
    IsalAbsent,
    LineReady,
    OffloadRefused,
    SandboxIncomplete,
    UdpPathTaken,
    WorkerDied,
)
from sender.messages import Degraded, Failed, Proven, SendAccepted, SendRefused, Sent, SessionBegun
from sender.supervisor.destination import Destination
from sender.supervisor.figures import Figures
from sender.supervisor.refusals import LocalRefusals
from sender.supervisor.shutdown import Shutdown
from sender.supervisor.supply import Supply
from sender.transport.encode import SUPERVISOR
from sender.transport.pipeline import Pipeline

PATIENCE_S: Final = 300.0  # for workers that have a job and send nothing: files may lie on a slow disk
_PEERS: Final = {
    "sender.encode": "sender.transmit",
    "sender.transmit": "sender.encode",
}


class Pipelines:
    """Runs one pipeline at a time. ``announce`` sends some heartbeats that name a new session to the receiver."""

    def __init__(
        self,
        config: SenderConfig,
        key_id: int,
        supply: Supply,
        figures: Figures,
        shutdown: Shutdown,
        say: Callable[[Event], None],
        announce: Callable[[], Awaitable[None]],
        refusals: LocalRefusals,
        destination: Destination,
        *,
        restarts: Restarts,
        start: Callable[[SenderConfig, Address, int, WorkerGroup], Pipeline] = Pipeline,
    ) -> None:
        self._config = config
        self._key_id = key_id
        self._supply = supply
        self._figures = figures
        self._shutdown = shutdown
        self._say = say
        self._announce = announce
        self._refusals = refusals
        self._start: Callable[[WorkerGroup], Pipeline] = lambda group: start(
            config, destination.at, supply.first_rate, group
        )
        destination.follow(self.move)
        self._restarts = restarts

    def open(self) -> None:
        """Start the first pipeline. This must be called within a running event loop."""
        self._worker_group = WorkerGroup(self.hear, self.mourn, self._shutdown.fail)
        self._renew()

    def close(self) -> None:
        """End the workers."""
        self._worker_group.close()

    @property
    def refused(self) -> Mapping[str, int]:
        """How many messages were refused, by the worker that sent them."""
        return self._worker_group.refused

    def sent(self) -> dict[str, int]:
        """How many data datagrams were sent under the session; empty before there is one."""
        pipeline = self._pipeline
        return {pipeline.session: pipeline.counters["data_datagrams"]} if pipeline.session else {}

    def are_well(self, now: float) -> bool:
        """Whether the workers are alive, and make progress with the jobs that they have."""
        pipeline = self._pipeline
        still_s = self._pulse.feel(pipeline.counters.writes, now, is_excused=pipeline.jobs.is_idle)
        return self._worker_group.is_alive and still_s < PATIENCE_S

    def hear(self, worker: Worker, message: object) -> None:
        """Act on a message of a worker. Raises MessageError when it cannot be true."""
        match message:
            case Sent(job) | Proven(job):
                self._supply.sent(self._pipeline.jobs, job)
                self._pulse = Pulse(time.monotonic())  # what proves slabs sends nothing
            case Failed(job, detail):
                self._supply.failed(self._pipeline.jobs, job, detail)
            case SessionBegun():
                self._greet(message)
            case Degraded(detail):
                self._say(OffloadRefused(detail))
            case SendRefused() | SendAccepted():
                self._refusals.note("slabs", message.code if isinstance(message, SendRefused) else 0)
            case Fatal():
                self._shutdown.fail(failure_of(message))
            case PeerRefused():
                self._worker_group.alarm(_blamed(worker, message), message.kind, message.why)
            case SandboxLacks() | PathChosen() | EnginesChosen():
                self._introduced(worker, message)

    def _introduced(self, worker: Worker, message: SandboxLacks | PathChosen | EnginesChosen) -> None:
        """A worker said at its start how it works."""
        match message:
            case PathChosen(path):
                self._say(UdpPathTaken(path))
            case EnginesChosen():
                self._engines_chosen(message)
            case SandboxLacks(lacks) if lacks:
                self._say(SandboxIncomplete(worker.name, lacks))

    def _engines_chosen(self, chosen: EnginesChosen) -> None:
        if chosen.fec == "zfec" and self._config.fec.engine == "auto":
            self._say(IsalAbsent())
        self._say(EnginesTaken(chosen.fec, chosen.tags, chosen.refused))
        if chosen.refused and self._config.core == "require":
            self._shutdown.fail(CoreError(chosen.refused))

    def mourn(self, worker: Worker) -> None:
        """A worker died: build a new pipeline. Slabs that were under way are sent again."""
        if self._shutdown.failure:
            return
        self._refusals.note("slabs", 0)  # the next one finds out
        lost = self._supply.lose(self._pipeline.jobs)
        code = self._worker_group.close()[worker.name]
        self._say(WorkerDied(worker.name, code, lost))
        if error := self._restarts.died(worker.name, time.monotonic()):
            self._shutdown.fail(error)
            return
        self._rebuild()
        self._shutdown.changed.set()

    def move(self) -> None:
        """Everything goes to another address from now on: what was under way is treated as lost."""
        if self._shutdown.has_begun or not self._worker_group.workers:  # else the next pipeline goes there by itself
            return
        self._refusals.note("slabs", 0)
        self._supply.lose(self._pipeline.jobs)
        self._worker_group.close()
        self._rebuild()
        self._shutdown.changed.set()

    def _rebuild(self) -> None:
        """Build the next pipeline, now or a little later, or end the daemon: it never lives on without workers."""
        shutdown, undo = self._shutdown, self._worker_group.close
        Rebuilding(self._renew, undo, lambda: shutdown.has_begun, self._say, shutdown.fail).begin()

    def _renew(self) -> None:
        self._pipeline = self._start(self._worker_group)
        self._pulse = Pulse(time.monotonic())
        self._figures.follow(self._pipeline.counters)

    def _greet(self, begun: SessionBegun) -> None:
        """Take the new session, if it is under the same link key as the heartbeats that announce it."""
        if begun.key_id != self._key_id:
            self._shutdown.fail(WorkerError("the link key was changed since the start; start again, all is kept"))
            return
        self._pipeline.session = begun.session
        self._greeting = tending.start("announcement", partial(self._introduce, self._pipeline))

    async def _introduce(self, pipeline: Pipeline) -> None:
        """Announce the new session before its first datagram is sent: a receiver loses most at the start."""
        try:
            await self._announce()
        except DiodeError as error:
            self._shutdown.fail(error)
            return
        if pipeline is self._pipeline:
            self._say(LineReady())
            self._supply.begin(pipeline.jobs)


def _blamed(worker: Worker, message: PeerRefused) -> str:
    """The name of the process whose message a worker refused: this one, or else the other worker."""
    return SUPERVISOR if message.peer == SUPERVISOR else _PEERS[worker.name]
