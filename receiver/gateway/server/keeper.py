"""The parent process of the gateway: holds the listening sockets, and keeps a serving process and a spare behind them.

A new configuration, certificate or token means a new serving process. It accepts first; then the old one accepts no
more, and ends when its clients have what they asked for. So no client is refused or cut. For one that dies the spare
serves at once: it has started, has confined itself, and waits to be told. Where that happens often there is a pause.
Whoever connects meanwhile waits in the socket.
"""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.errors import DiodeError, UsageError, WorkerError
from diode.log import log
from diode.net.address import Address
from diode.process.restarts import MOST_RESTARTS, Restarts
from diode.process.supervise import WorkerGroup
from diode.process.systemd import Reports
from diode.process.workers import Worker
from receiver.gateway.server.interfaces import refuse_diode
from receiver.gateway.server.listening import Listening
from receiver.gateway.server.messages import SERVE_HEARS, SERVE_SAYS, Drain, Ended, Ready, Serve, ServeSettings, Serving
from receiver.gateway.server.plan import fingerprint, settings_of

STOP_S: Final = 25.0  # for what is under way when the gateway ends; systemd waits a little longer
STOP_IDLE_S: Final = 1.0
HAND_OVER_S: Final = 4 * 3600.0  # for a download that an old process has begun
HAND_OVER_IDLE_S: Final = 65.0  # longer than connections are kept open
LOOK_EVERY_S: Final = 0.25
PAUSE_S: Final = 10.0  # between processes that die one after the other


class Child:
    """One process that serves or is a spare. ``on_change`` is called when it serves, and when it has ended."""

    def __init__(self, settings: ServeSettings, on_change: Callable[["Child"], None]) -> None:
        """Raises UsageError, as starting one of our programs does."""
        self.is_told = self.is_serving = self.is_over = self.is_leaving = False
        self._is_ready = False
        self._on_change = on_change
        self._group = WorkerGroup(self._heard, self._died, lambda error: log.error("gateway_error", reason=str(error)))
        fds = [fd for fd, _, _ in settings.sockets]
        self._worker = self._group.add(
            Worker("receiver.gateway.server.serve", settings, fds, says=SERVE_SAYS, hears=SERVE_HEARS, name="serve")
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._worker.pid

    @property
    def is_spare(self) -> bool:
        """Whether it starts, or waits, and is not to serve yet."""
        return not (self.is_told or self.is_leaving or self.is_over)

    @property
    def is_answering(self) -> bool:
        """Whether it accepts clients."""
        return self.is_serving and not (self.is_leaving or self.is_over)

    def serve(self) -> None:
        """Have it accept clients, as soon as it can."""
        if not self.is_told:
            self.is_told = True
            if self._is_ready:
                self._send(Serve())

    def leave(self, within_s: float, idle_s: float) -> None:
        """Have it accept nobody more, and end. A spare is ended at once."""
        if self.is_told:
            self._send(Drain(int(within_s * 1000), int(idle_s * 1000)))
        else:
            self._worker.kill()
        self.is_leaving = True

    def close(self) -> None:
        """Kill it where it still runs."""
        self._group.close()

    def _send(self, order: Serve | Drain) -> None:
        with suppress(OSError):  # it has ended
            self._worker.mailbox.send(order)

    def _heard(self, worker: Worker, message: object) -> None:
        match message:
            case Ready(lacks):
                for lack in lacks:
                    log.warning("sandbox_incomplete", worker="gateway serve", lacks=lack)
                self._is_ready = True
                if self.is_told:
                    self._send(Serve())
            case Serving():
                self.is_serving = True
                self._on_change(self)
            case Ended(cut):
                if cut:
                    log.warning("clients_cut", clients=cut, reason="they were not served within the time given")

    def _died(self, worker: Worker) -> None:
        self.is_over = True
        asyncio.get_running_loop().call_soon(self._buried)

    def _buried(self) -> None:
        self._group.close()
        self._on_change(self)


class Keeper:
    """Keeps the gateway alive whose configuration is ``toml``. ``listening``: its sockets, which stay the caller's."""

    def __init__(self, toml: Path, config: ReceiverConfig, address: Address, listening: list[Listening]) -> None:
        self._toml, self._config, self._address, self._listening = toml, config, address, listening
        self._children: list[Child] = []
        self._restarts = Restarts(MOST_RESTARTS)
        self._reports = Reports()
        self._seen = fingerprint(config)
        self._not_before = 0.0  # a process that died is replaced, and a spare started
        self._stopping, self._all_over = asyncio.Event(), asyncio.Event()
        self._failure: DiodeError | None = None
        self._has_served = False
        self._asked_again = ""

    async def run(self) -> None:
        """Serve until a signal ends it. Raises UsageError, and WorkerError when no process ever came to serve."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload, "SIGHUP")
        self._start().serve()
        try:
            while not self._stopping.is_set():
                self._look()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await self._stopping.wait()
            await self._end()
        finally:
            for child in list(self._children):
                child.close()
        if self._failure:
            raise self._failure

    def _start(self) -> Child:
        settings = settings_of(self._config, self._listening, self._address)
        child = Child(settings, self._changed)
        self._children.append(child)
        return child

    @property
    def _is_answering(self) -> bool:
        return any(child.is_answering for child in self._children)

    def _look(self) -> None:
        """What has to be seen to each second."""
        if (seen := fingerprint(self._config)) != self._seen:
            self._seen = seen
            self._reload("a certificate, a token file or a folder has changed")
        is_pausing = time.monotonic() < self._not_before
        if not (is_pausing or any(self._is_coming(child) for child in self._children)):
            self._keep_two()
        serving = any(child.is_serving and not child.is_over for child in self._children)
        self._reports.tick(time.monotonic(), lambda: "serving", is_well=serving or is_pausing)

    def _keep_two(self) -> None:
        """Have one serve; and a spare, when the configuration has shown that it can be served."""
        if not self._is_answering:
            self._replace()
        elif not any(child.is_spare for child in self._children):
            self._not_before = time.monotonic() + PAUSE_S
            try:
                self._start()
            except DiodeError as error:
                self._tell_not_started(error)

    def _is_coming(self, child: Child) -> bool:
        return child.is_told and not child.is_serving

    def _reload(self, why: str) -> None:
        """Read the configuration anew, and have a new process serve by it. What is wrong is told, and the old stays."""
        if any(self._is_coming(child) for child in self._children):
            self._asked_again = why  # when the one that is starting serves
            return
        self._asked_again = ""
        try:
            config = load(ReceiverConfig, self._toml)
            if config.gateway.ports != self._config.gateway.ports:
                raise UsageError("ports below [gateway] change only with a new start of the gateway")
            for one in self._listening:
                refuse_diode(config.link.address, Address(*one.sock.getsockname()[:2]))
            before, self._config = self._config, config
            try:
                self._start().serve()
            except DiodeError:
                self._config = before
                raise
        except DiodeError as error:
            log.error(  # noqa: TRY400 - a person reads what is wrong; our own lines are of no use
                "gateway_not_renewed",
                reason=str(error),
                kept="the process before serves on, as it was",
                do="mend it: a file that changes is noticed; or send SIGHUP",
            )
            return
        self._seen = fingerprint(config)
        log.info("gateway_renewing", why=why)

    def _replace(self) -> None:
        """Have another process serve: one that is there, or else a new one."""
        coming = [child for child in self._children if child.is_spare or self._is_coming(child)]
        try:
            (coming[0] if coming else self._start()).serve()
        except DiodeError as error:
            self._tell_not_started(error)
            self._not_before = time.monotonic() + PAUSE_S

    def _tell_not_started(self, error: DiodeError) -> None:
        log.error("gateway_not_started", reason=str(error), again_in_s=PAUSE_S)

    def _changed(self, child: Child) -> None:
        if child.is_over:
            self._children.remove(child)
            if not self._children:
                self._all_over.set()
            if not child.is_leaving and not self._stopping.is_set():
                self._lost(child)
            return
        self._has_served = True
        where = [f"{one.sock.getsockname()[0]} port {one.port}" for one in self._listening]
        log.info("gateway_serving", pid=child.pid, listening=where, tls=self._config.gateway.certificate is not None)
        self._reports.ready("serving")
        for other in self._children[: self._children.index(child)]:
            if not other.is_leaving:
                other.leave(HAND_OVER_S, HAND_OVER_IDLE_S)
        if self._asked_again:
            self._reload(self._asked_again)

    def _lost(self, child: Child) -> None:
        """A process has died. It is replaced, unless another one serves: that one was to be replaced itself."""
        too_many = self._restarts.died("the gateway's serving process", time.monotonic())
        if too_many and not self._has_served:
            self._failure = WorkerError(f"{too_many}; its last words stand above")
            self._stopping.set()
            return
        if self._is_answering:
            what = "gateway_not_renewed" if child.is_told else "gateway_spare_died"
            log.error(what, reason="the new process died", kept="the process before serves on")
            self._not_before = time.monotonic() + PAUSE_S
            return
        pause_s = PAUSE_S if too_many else 0.0
        log.error("gateway_died", again_in_s=pause_s, do="look at its last words above", was_serving=child.is_serving)
        self._not_before = time.monotonic() + pause_s
        if not pause_s:
            self._replace()

    async def _end(self) -> None:
        self._reports.stopping()
        log.info("gateway_stopping", within_s=STOP_S, does="answers what is under way, and takes nothing new")
        for child in self._children:
            child.leave(STOP_S, STOP_IDLE_S)
        if not self._children:
            self._all_over.set()
        until = time.monotonic() + STOP_S + 5.0
        with suppress(TimeoutError):
            async with asyncio.timeout(until - time.monotonic()):
                await self._all_over.wait()
        log.info("gateway_stopped")
