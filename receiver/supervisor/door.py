"""Takes each message of a worker and does what it is for.

The vocabulary of a pipe has already refused messages that a worker may not send. Here a message is looked up, and only
then becomes an event. A worker whose message cannot be true is ended.
"""

import time
from collections.abc import Callable
from typing import Final

from diode.errors import CoreError, DiodeError, MessageError
from diode.process.messages import EnginesChosen, Fatal, PathChosen, PeerRefused, SandboxLacks
from diode.process.workers import Worker
from receiver.events.happened import EnginesTaken, Event, IsalAbsent, SandboxIncomplete, UdpPathTaken
from receiver.events.lookup import Lookup
from receiver.messages.pipeline import Heard, OldKey
from receiver.spool.disk import DiskHealth
from receiver.supervisor.link import Link
from receiver.supervisor.on_the_way import OnTheWay
from receiver.supervisor.pipelines import Pipelines

_PEERS: Final = {  # whose messages a worker refuses, by their names
    "receiver.store": ("receiver.assemble", "receiver.examine", "receiver.describe"),
    "receiver.examine": ("receiver.store",),
    "receiver.describe": ("receiver.store",),
    "receiver.assemble": ("receiver.listen",),
    "receiver.listen": ("receiver.assemble",),
}


class Door:
    """Takes each message of a worker, in order.

    ``has_choice``: the configuration leaves the FEC engine to workers. ``needs_core``: it requires the compiled core.
    """

    def __init__(
        self,
        link: Link,
        lookup: Lookup,
        on_the_way: OnTheWay,
        pipelines: Pipelines,
        disk: DiskHealth,
        say: Callable[[Event], None],
        fail: Callable[[DiodeError], None],
        *,
        has_choice: bool,
        needs_core: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = link
        self._lookup = lookup
        self._on_the_way = on_the_way
        self._pipelines = pipelines
        self._disk = disk
        self._say = say
        self._has_choice = has_choice
        self._needs_core = needs_core
        self._fail = fail
        self._clock = clock

    def take(self, worker: Worker, message: object) -> None:
        """Do what a message is for. Raises MessageError for what cannot be true."""
        match message:
            case Heard():
                self._link.heard(message, self._clock(), self._on_the_way.coming)
            case OldKey():
                self._link.old_key(message)
            case EnginesChosen():
                self._engines_chosen(message)
            case SandboxLacks(lacks):
                self._sandbox_lacks(worker, lacks)
            case PathChosen(path):
                self._say(UdpPathTaken(path))
            case PeerRefused():
                self._peer_refused(worker, message)
            case Fatal():
                self._pipelines.fatal = message
            case _:
                self._of_bundle(message)

    def _engines_chosen(self, chosen: EnginesChosen) -> None:
        if chosen.fec == "zfec" and self._has_choice:
            self._say(IsalAbsent())
        self._say(EnginesTaken(chosen.fec, chosen.tags, chosen.taking, chosen.refused))
        if chosen.refused and self._needs_core:
            self._fail(CoreError(chosen.refused))

    def _sandbox_lacks(self, worker: Worker, lacks: tuple[str, ...]) -> None:
        if lacks:
            self._say(SandboxIncomplete(worker.name, lacks))

    def _peer_refused(self, worker: Worker, message: PeerRefused) -> None:
        """A worker ends itself, since another one said what it may not: that one is counted."""
        peers = _PEERS[worker.name]
        if message.peer not in ("", *peers):
            raise MessageError("PeerRefused", "it does not hear that one")
        self._pipelines.worker_group.alarm(message.peer or peers[0], message.kind, message.why)

    def _of_bundle(self, message: object) -> None:
        """``store`` names a bundle. When the ledger cannot be asked, a later message says more."""
        with self._disk.surviving():
            if event := self._lookup.event(message):
                self._say(event)
