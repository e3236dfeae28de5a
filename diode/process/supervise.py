"""Watches a worker group under asyncio: messages, log lines and deaths of its workers arrive as callbacks.

Nothing that a worker writes can use unbounded memory, or keep the supervisor from its other work. Messages are read a
few at a time. A worker that sends a forbidden message is killed at once. Its log lines are escaped, and only a few a
second are passed on.

A :class:`Pulse` tells a worker that is at work from one that only exists.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from diode.errors import DiodeError, MessageError
from diode.formats.escape import printable
from diode.log import log
from diode.process.waiting import ready
from diode.process.workers import Worker

MESSAGES_AT_ONCE: Final = 64  # of one worker, before others have their turn
MAX_LINE: Final = 500
LINES_AT_ONCE: Final = 200  # of a worker's log
LINES_PER_S: Final = 2.0
_READ_BYTES: Final = 65536


class Allowance:
    """Allows up to ``at_once`` events at once, and ``per_s`` events a second in the long run."""

    def __init__(self, at_once: int, per_s: float) -> None:
        self._at_once = at_once
        self._per_s = per_s
        self._left = float(at_once)
        self._at = 0.0
        self.refused = 0  # since something was last allowed

    def take(self, now: float) -> bool:
        """Whether one more event is allowed at ``now`` (seconds of one clock)."""
        self._left = min(self._at_once, self._left + max(0.0, now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            self.refused += 1
            return False
        self._left -= 1
        return True


class Pulse:
    """Measures for how long a worker has shown no sign of life.

    A sign is a change of a number that the worker counts up.
    """

    def __init__(self, now: float) -> None:
        self._beats = 0
        self._at = now

    def feel(self, beats: int, now: float, *, is_excused: bool = False) -> float:
        """Seconds since ``beats`` last changed, or since the worker last had an excuse for not changing it."""
        if beats != self._beats or is_excused:
            self._beats, self._at = beats, now
        return now - self._at


@dataclass(frozen=True, slots=True)
class WorkerRefused:
    """A worker sent a forbidden message. ``is_new``: its first of this kind."""

    worker: str
    said: str
    why: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class WorkerSaid:
    """A worker wrote a line to its standard error. ``left_out``: lines not passed on since the last one."""

    worker: str
    line: str
    left_out: int


def log_worker(event: WorkerRefused | WorkerSaid) -> None:
    """Write the log line for an event. A refusal is logged once for each kind of message."""
    match event:
        case WorkerRefused(worker, said, why, True):
            consequence = "it was ended, and the workers begin anew; nothing that it said was believed"
            do = "it is broken or taken over: keep the log, and find out what reached it"
            log.error("worker_refused", worker=worker, said=said, why=why, consequence=consequence, do=do)
        case WorkerSaid(worker, line, left_out):
            more = {"lines_left_out": left_out} if left_out else {}
            log.warning("worker_said", worker=worker, line=line, **more)


class WorkerGroup:
    """Watches workers. Calls ``on_message(worker, message)`` for each message, and ``on_death(worker)`` for each death.

    When ``on_message`` fails at its own work, such as writing a ledger, ``on_error(error)`` is called. A worker is
    killed when its message is not in its vocabulary, or when ``on_message`` raises MessageError: it is broken or taken
    over, and nothing more of it is read. ``refused`` counts such workers by name. ``tell(event)`` is called for
    refusals, and for lines that workers wrote to standard error.
    """

    def __init__(
        self,
        on_message: Callable[[Worker, object], None],
        on_death: Callable[[Worker], None],
        on_error: Callable[[DiodeError], None],
        tell: Callable[[WorkerRefused | WorkerSaid], None] = log_worker,
    ) -> None:
        self.workers: list[Worker] = []
        self.refused: Counter[str] = Counter()
        self._unheard: set[Worker] = set()  # refused
        self._waiting: set[Worker] = set()  # with more to say when others have had their turn
        self._said: set[tuple[str, str]] = set()  # (name, kind) of refusals that were told
        self._lines: dict[str, Allowance] = {}  # by name: a worker that is replaced has no new one
        self._on_message = on_message
        self._on_death = on_death
        self._on_error = on_error
        self._tell = tell
        self._loop = asyncio.get_running_loop()

    @property
    def is_alive(self) -> bool:
        """Whether there are workers, and none of them has ended."""
        return bool(self.workers) and all(worker.process.poll() is None for worker in self.workers)

    def add(self, worker: Worker) -> Worker:
        """Watch ``worker`` until :meth:`close`."""
        self.workers.append(worker)
        self._loop.add_reader(worker.mailbox.read_fd, self._read, worker)
        self._loop.add_reader(worker.log_fd, self._relay, worker)
        self._loop.add_reader(worker.pid_fd, self._died, worker)
        return worker

    def close(self, grace_s: float = 0.0) -> dict[str, int]:
        """End all workers, wait for them, and forget them. Returns their exit codes by name.

        A closed pipe tells them to end. Those that still run after ``grace_s`` are killed.
        """
        workers, self.workers = self.workers, []
        self._let_end(workers, time.monotonic() + grace_s)
        for worker in workers:
            worker.kill()
        codes = {}
        for worker in workers:
            for fd in (worker.mailbox.read_fd, worker.log_fd, worker.pid_fd):
                self._loop.remove_reader(fd)
            self._relay(worker)
            codes[worker.name] = worker.close()
        self._unheard -= set(workers)
        return codes

    def _let_end(self, workers: list[Worker], deadline: float) -> None:
        """Close the control pipes, and read the workers' last messages until all have ended."""
        for worker in workers:
            worker.hang_up()
        has_more = False
        while alive := [worker for worker in workers if worker.process.poll() is None]:
            left = 0.0 if has_more else deadline - time.monotonic()
            if time.monotonic() >= deadline:
                return
            unread = [worker.mailbox.read_fd for worker in alive if self._is_heard(worker)]
            ready([*unread, *(fd for worker in alive for fd in (worker.pid_fd, worker.log_fd))], left)
            has_more = False
            for worker in alive:
                has_more |= self._take_some(worker)
                self._relay(worker)
        for worker in workers:
            self._take_rest(worker)

    def _is_heard(self, worker: Worker) -> bool:
        return worker not in self._unheard and not worker.mailbox.closed

    def _read(self, worker: Worker) -> None:
        """Read some of a worker's messages. The rest is read after other workers had their turn."""
        if worker in self.workers and worker not in self._waiting and self._take_some(worker):
            self._waiting.add(worker)
            self._loop.call_soon(self._read_on, worker)

    def _read_on(self, worker: Worker) -> None:
        self._waiting.discard(worker)
        self._read(worker)

    def _take_rest(self, worker: Worker) -> None:
        """Read all that a worker wrote before it ended: at most what a pipe holds."""
        while self._take_some(worker):
            pass

    def _take_some(self, worker: Worker) -> bool:
        """Receive a few messages. Returns whether there are more, for which the event loop will not wake up."""
        for _ in range(MESSAGES_AT_ONCE):
            if not self._is_heard(worker) or not self._take_one(worker):
                return False
        return worker.mailbox.has_more

    def _take_one(self, worker: Worker) -> bool:
        message: object = None
        try:
            message = worker.mailbox.receive(0.0)
            if message is not None:
                self._on_message(worker, message)
        except MessageError as error:
            self._refuse(worker, error)
        except DiodeError as error:
            self._on_error(error)
        except Exception as error:  # noqa: BLE001 - whatever it made of us, it is replaced, and we go on
            self._refuse(worker, MessageError(type(message).__name__, repr(error)))
        else:
            if worker.mailbox.closed and worker in self.workers:
                self._loop.remove_reader(worker.mailbox.read_fd)
            return message is not None
        return True

    def _refuse(self, worker: Worker, error: MessageError) -> None:
        """Kill a worker that sent a forbidden message."""
        if worker in self.workers:
            self._loop.remove_reader(worker.mailbox.read_fd)
        self._unheard.add(worker)
        worker.kill()
        self.alarm(worker.name, error.kind, error.why)

    def alarm(self, name: str, kind: str, why: str) -> None:
        """Count that a message of a worker was refused, here or by another worker, and tell the event."""
        self.refused[name] += 1
        is_new = (name, kind) not in self._said
        self._said.add((name, kind))
        self._tell(WorkerRefused(name, kind, printable(why, MAX_LINE), is_new))

    def _relay(self, worker: Worker) -> None:
        """Log what a worker wrote to its standard error: escaped, cut, and no more than is allowed."""
        os.set_blocking(worker.log_fd, False)
        try:
            text = os.read(worker.log_fd, _READ_BYTES)
        except BlockingIOError:
            return
        if not text:
            self._loop.remove_reader(worker.log_fd)
        allowed = self._lines.setdefault(worker.name, Allowance(LINES_AT_ONCE, LINES_PER_S))
        now = time.monotonic()
        lines = text.decode(errors="replace").splitlines()
        allowed.refused += max(0, len(lines) - LINES_AT_ONCE)
        for line in lines[:LINES_AT_ONCE]:
            if allowed.take(now):
                unsaid, allowed.refused = allowed.refused, 0
                self._tell(WorkerSaid(worker.name, printable(line, MAX_LINE), unsaid))

    def _died(self, worker: Worker) -> None:
        self._loop.remove_reader(worker.pid_fd)
        self._take_rest(worker)
        self._on_death(worker)
