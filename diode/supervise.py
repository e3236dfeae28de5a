"""A crew of worker processes under an asyncio supervisor: messages, log lines and deaths arrive as callbacks.

A :class:`Pulse` tells a worker that is at work from one that only exists.
"""

import asyncio
import os
import select
import time
from collections.abc import Callable

import structlog

from diode.errors import DiodeError
from diode.workers import Message, Worker

log = structlog.get_logger()


class Pulse:
    """For how long a worker has shown no sign of life: a number of its own that does not change any more."""

    def __init__(self, now: float) -> None:
        self._beats = 0
        self._at = now

    def feel(self, beats: int, now: float, *, is_excused: bool = False) -> float:
        """Seconds since ``beats`` last changed, or since the worker last had an excuse not to change it."""
        if beats != self._beats or is_excused:
            self._beats, self._at = beats, now
        return now - self._at


class Crew:
    """Watches workers: ``on_message(worker, message)`` for each message, ``on_death(worker)`` for each death.

    ``on_error(error)`` is told what ``on_message`` could not do, such as write its ledger.
    """

    def __init__(
        self,
        on_message: Callable[[Worker, Message], None],
        on_death: Callable[[Worker], None],
        on_error: Callable[[DiodeError], None],
    ) -> None:
        self.workers: list[Worker] = []
        self._on_message = on_message
        self._on_death = on_death
        self._on_error = on_error
        self._loop = asyncio.get_running_loop()

    @property
    def is_alive(self) -> bool:
        """Whether there are workers, and none has ended."""
        return bool(self.workers) and all(worker.process.poll() is None for worker in self.workers)

    def add(self, worker: Worker) -> Worker:
        """Watch ``worker`` until :meth:`close`."""
        self.workers.append(worker)
        self._loop.add_reader(worker.mailbox.read_fd, self._read, worker)
        self._loop.add_reader(worker.log_fd, self._relay, worker)
        self._loop.add_reader(worker.pid_fd, self._died, worker)
        return worker

    def close(self, grace_s: float = 0.0) -> dict[str, int]:
        """End all workers, reap them, and forget them; returns their exit codes by module.

        For ``grace_s`` at most they may end by themselves, having been told by a closed pipe; then they are killed.
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
            codes[worker.module] = worker.close()
        return codes

    def _let_end(self, workers: list[Worker], deadline: float) -> None:
        """Hang up, and read what they still say until all have ended."""
        for worker in workers:
            worker.hang_up()
        while alive := [worker for worker in workers if worker.process.poll() is None]:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            unread = [worker.mailbox.read_fd for worker in alive if not worker.mailbox.closed]
            select.select([*unread, *(fd for worker in alive for fd in (worker.pid_fd, worker.log_fd))], [], [], left)
            for worker in alive:
                self._read(worker)
                self._relay(worker)
        for worker in workers:
            self._read(worker)

    def _read(self, worker: Worker) -> None:
        for message in worker.mailbox.drain():
            try:
                self._on_message(worker, message)
            except DiodeError as error:
                self._on_error(error)
        if worker.mailbox.closed:
            self._loop.remove_reader(worker.mailbox.read_fd)

    def _relay(self, worker: Worker) -> None:
        os.set_blocking(worker.log_fd, False)
        try:
            text = os.read(worker.log_fd, 65536)
        except BlockingIOError:
            return
        if not text:
            self._loop.remove_reader(worker.log_fd)
        for line in text.decode(errors="replace").splitlines():
            log.warning("worker_said", worker=worker.module, line=line[:500])

    def _died(self, worker: Worker) -> None:
        self._loop.remove_reader(worker.pid_fd)
        self._read(worker)
        self._on_death(worker)
