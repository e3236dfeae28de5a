"""Worker processes: fresh interpreters that inherit descriptors, talk in lines of JSON by pipe, and never outlive us.

A worker runs ``main`` of one module, started as :mod:`diode.programs` says: in ``/``, isolated from the caller's
environment and folders. Its argument names its pipes; its settings are the first message, since anybody may read
arguments. Its standard streams are pipes too, so that a worker of the network side holds nothing but its socket,
memfds and pipes. It gets SIGKILL when its supervisor dies (PR_SET_PDEATHSIG), ignores the terminal's Ctrl-C, and ends
by itself when its control pipe closes.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from diode.programs import environment, python

Message = dict[str, Any]

_PR_SET_PDEATHSIG: Final = 1
_KEPT: Final = ("CREDENTIALS_DIRECTORY", "TZ")  # where systemd has put keys; people's time
_READ_BYTES: Final = 65536


class Mailbox:
    """Lines of JSON over a pair of pipes. Peers bound what may be under way, so that no write ever blocks for good."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self.read_fd = read_fd
        self.write_fd = write_fd
        self.closed = False
        self._partial = b""
        self._inbox: deque[Message] = deque()

    def send(self, message: Message) -> None:
        """Write one message. Raises BrokenPipeError when the peer is gone."""
        data = memoryview(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        while data:
            data = data[os.write(self.write_fd, data) :]

    def receive(self, timeout_s: float | None = 0.0) -> Message | None:
        """The next message; None when none came in time or the peer closed (then ``closed`` is set)."""
        while not self._inbox:
            ready, _, _ = select.select([self.read_fd], [], [], timeout_s)
            if not ready:
                return None
            if not self._fill():
                return None
        return self._inbox.popleft()

    def drain(self) -> Iterator[Message]:
        """All messages that are there, without waiting."""
        while (message := self.receive(0.0)) is not None:
            yield message

    def _fill(self) -> bool:
        data = os.read(self.read_fd, _READ_BYTES)
        if not data:
            self.closed = True
            return False
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._inbox.extend(json.loads(line) for line in lines)
        return True


class Worker:
    """One running worker: its process, a pidfd to notice its end by, and the mailbox to it."""

    def __init__(self, module: str, settings: Mapping[str, Any], pass_fds: Sequence[int] = ()) -> None:
        """Start ``main`` of ``module``; ``pass_fds`` keep their numbers in the child. Raises as ``programs.python``."""
        command = python(module)
        self.module = module
        to_child, our_end = os.pipe()
        our_read, from_child = os.pipe()
        log_read, log_write = os.pipe()
        pipes = {"control_read": to_child, "control_write": from_child, "parent": os.getpid()}
        try:
            self.process = subprocess.Popen(
                [*command, json.dumps(pipes)],
                pass_fds=[to_child, from_child, *pass_fds],
                stdin=to_child,
                stdout=log_write,
                stderr=log_write,
                cwd="/",
                env=environment(*_KEPT, OPENBLAS_NUM_THREADS="1"),
            )
        finally:
            for fd in (to_child, from_child, log_write):
                os.close(fd)
        self.log_fd = log_read
        self.pid_fd = os.pidfd_open(self.process.pid)
        self.mailbox = Mailbox(our_read, our_end)
        self._hung_up = False
        with contextlib.suppress(BrokenPipeError):  # it has ended already, which its pidfd tells
            self.mailbox.send(dict(settings))

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def hang_up(self) -> None:
        """Tell the worker to end: its control pipe is closed. It is still listened to."""
        if not self._hung_up:
            os.close(self.mailbox.write_fd)
            self._hung_up = True

    def kill(self) -> None:
        """End the worker at once; nothing it holds is worth waiting for."""
        self.process.kill()

    def close(self) -> int:
        """Kill it if it still runs, reap it, close our descriptors; returns its exit code (negative: signal)."""
        if self.process.poll() is None:
            self.process.kill()
        code = self.process.wait()
        self.hang_up()
        for fd in (self.pid_fd, self.log_fd, self.mailbox.read_fd):
            os.close(fd)
        return code


def start_worker(nice: int = 0) -> tuple[Message, Mailbox]:
    """First call of a worker's ``main``: its settings, and the mailbox to its supervisor.

    ``nice`` below 0 asks for the processor before others; it is not insisted on, since that takes a privilege.
    """
    pipes: Message = json.loads(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != pipes["parent"]:
        raise SystemExit(1)  # the supervisor died before the line above
    with contextlib.suppress(PermissionError):
        os.nice(nice)
    mailbox = Mailbox(pipes["control_read"], pipes["control_write"])
    settings = mailbox.receive(None)
    if settings is None:
        raise SystemExit(1)
    return settings | pipes, mailbox
