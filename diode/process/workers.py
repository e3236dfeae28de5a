"""Starts worker processes, and passes messages to and from them. A worker never outlives its supervisor.

A worker runs ``main`` of one module in a fresh interpreter, started as :mod:`diode.process.programs` says. Its argument
only names its pipes, because anybody may read arguments. Its settings come first through the control pipe, and after
them only messages of its vocabulary. Its standard streams are pipes too, so that a worker on the network holds nothing
but its socket, memfds and pipes. The kernel kills it when its supervisor dies (PR_SET_PDEATHSIG). It ignores the
terminal's Ctrl-C, and ends by itself when its control pipe closes.
"""

import contextlib
import ctypes
import os
import signal
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from diode.errors import MessageError
from diode.process.messages import PeerRefused
from diode.process.programs import environment, python
from diode.process.vocabulary import NOTHING, Vocabulary, Whole
from diode.process.waiting import ready

S = TypeVar("S")

_PR_SET_PDEATHSIG: Final = 1
_KEPT: Final = ("CREDENTIALS_DIRECTORY", "TZ")  # where systemd has put keys; people's time
_READ_BYTES: Final = 65536
_MOST_SAID_BYTES: Final = 2048  # of last words
_LENGTH: Final = struct.Struct(">I")
_MAX_SETTINGS_BYTES: Final = 32 << 20  # a thousand places, each as long as a path can be


@dataclass(frozen=True, slots=True)
class _Pipes:
    """The argument of a worker: descriptors of its control pipe, and who started it."""

    control_read: Annotated[int, Whole()]
    control_write: Annotated[int, Whole()]
    parent: Annotated[int, Whole()]


_ARGUMENT: Final = Vocabulary(_Pipes)


class Mailbox:
    """Messages over a pair of pipes. Incoming ones must be in the vocabulary ``hears``, outgoing ones in ``says``.

    At most one line of ``hears`` and one read are held in memory. Honest peers bound how many messages are under way,
    so that no write blocks for ever.
    """

    def __init__(self, read_fd: int, write_fd: int, *, hears: Vocabulary, says: Vocabulary) -> None:
        self.read_fd = read_fd
        self.write_fd = write_fd
        self.closed = False
        self._hears = hears
        self._says = says
        self._partial = bytearray()
        self._lines: deque[bytes] = deque()
        self._heard: set[type] = set()  # of what may be said once

    @property
    def has_more(self) -> bool:
        """Whether a message can be received without reading."""
        return bool(self._lines)

    def send(self, message: object) -> None:
        """Write one message.

        Raises BrokenPipeError when the peer is gone, ValueError for a message that must not be sent.
        """
        data = memoryview(self._says.encode(message) + b"\n")
        while data:
            data = data[os.write(self.write_fd, data) :]

    def receive(self, timeout_s: float | None = 0.0) -> Any:
        """The next message. None when none came in time, or when the peer closed its end (then ``closed`` is set).

        Raises MessageError for a message that the peer may not send. Do not read on after that.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._lines:
            left = None if until is None else max(0.0, until - time.monotonic())  # also when a line comes by bytes
            if not ready([self.read_fd], left) or not self._fill():
                return None
        message = self._hears.decode(self._lines.popleft())
        if type(message) in self._hears.once:
            if type(message) in self._heard:
                raise MessageError(type(message).__name__, "it is said once")
            self._heard.add(type(message))
        return message

    def drain(self) -> Iterator[Any]:
        """All messages that have arrived, without waiting."""
        while (message := self.receive(0.0)) is not None:
            yield message

    def _fill(self) -> bool:
        data = os.read(self.read_fd, _READ_BYTES)
        if not data:
            self.closed = True
            return False
        self._partial += data
        if b"\n" in data:
            *lines, rest = self._partial.split(b"\n")
            self._partial = rest
            self._lines.extend(map(bytes, lines))
        if len(self._partial) > self._hears.line_bytes:
            raise MessageError("?", f"a line of more than {self._hears.line_bytes} bytes")
        return True


class Worker:
    """One running worker: its process, a pidfd that tells when it ends, and the mailbox to it."""

    def __init__(
        self,
        module: str,
        settings: object,
        pass_fds: Sequence[int] = (),
        *,
        says: Vocabulary,
        hears: Vocabulary = NOTHING,
        name: str = "",
    ) -> None:
        """Start ``main`` of ``module``, which may say no more than ``says``; people know it as ``name``.

        ``settings`` is a frozen class whose fields have bounds (:mod:`diode.process.vocabulary`). ``pass_fds`` keep
        their numbers in the child. Raises as ``programs.python``.
        """
        command = python(module)
        self.module = module
        self.name = name or module  # in the log, and as a label of metrics: it stays when the module moves
        to_child, our_end = os.pipe()
        our_read, from_child = os.pipe()
        log_read, log_write = os.pipe()
        pipes = _Pipes(to_child, from_child, os.getpid())
        try:
            self.process = subprocess.Popen(
                [*command, _ARGUMENT.encode(pipes).decode()],
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
        with contextlib.suppress(BrokenPipeError):  # it has ended already, which its pidfd tells
            _write_settings(our_end, settings)  # it reads them before it does anything else
        os.set_blocking(our_end, False)  # a worker that does not read must not hold us up
        self.mailbox = Mailbox(our_read, our_end, hears=says, says=hears)
        self._hung_up = False

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def hang_up(self) -> None:
        """Tell the worker to end, by closing its control pipe. Its messages are still read."""
        if not self._hung_up:
            os.close(self.mailbox.write_fd)
            self._hung_up = True

    def kill(self) -> None:
        """Kill the worker at once, without waiting for its work."""
        self.process.kill()

    def last_words(self) -> str:
        """The beginning of what it wrote to standard error, and nobody has read yet."""
        with contextlib.suppress(OSError):
            if ready([self.log_fd], 0.0):
                return os.read(self.log_fd, _MOST_SAID_BYTES).decode(errors="replace")
        return ""

    def close(self) -> int:
        """Kill the worker if it still runs, wait for it, and close our descriptors.

        Returns its exit code (negative: signal).
        """
        if self.process.poll() is None:
            self.process.kill()
        code = self.process.wait()
        self.hang_up()
        for fd in (self.pid_fd, self.log_fd, self.mailbox.read_fd):
            os.close(fd)
        return code


def start_worker(kind: type[S], *, says: Vocabulary, hears: Vocabulary = NOTHING, nice: int = 0) -> tuple[S, Mailbox]:
    """The first call in a worker's ``main``.

    Returns its settings, of class ``kind``, and the mailbox to its supervisor.

    ``nice`` below 0 asks for priority over other processes. It needs a privilege; without one the worker runs as usual.
    """
    pipes: _Pipes = _ARGUMENT.decode(sys.argv[1].encode())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != pipes.parent:
        raise SystemExit(1)  # the supervisor died before the line above
    with contextlib.suppress(PermissionError):
        os.nice(nice)
    settings = _read_settings(pipes.control_read, kind)
    return settings, Mailbox(pipes.control_read, pipes.control_write, hears=hears, says=says)


@contextlib.contextmanager
def refusing_peers(control: Mailbox) -> Iterator[None]:
    """In this block, a forbidden message of another worker is reported to the supervisor, and ends this worker."""
    try:
        yield
    except MessageError as error:
        control.send(PeerRefused(error.kind, error.why, error.peer))
        raise SystemExit(1) from error


def _write_settings(fd: int, settings: object) -> None:
    """Write a worker's settings: their length, and one message. Raises BrokenPipeError when it ended, ValueError."""
    said = _settings_of(type(settings)).encode(settings)
    if len(said) > _MAX_SETTINGS_BYTES:
        raise ValueError(f"settings of {len(said)} bytes; a worker takes {_MAX_SETTINGS_BYTES}")
    data = memoryview(_LENGTH.pack(len(said)) + said)
    while data:
        data = data[os.write(fd, data) :]


def _read_settings(fd: int, kind: type[S]) -> S:
    """Read the settings, and no byte of the messages that follow. Ends the worker when they are missing or invalid."""
    (length,) = _LENGTH.unpack(_read_exactly(fd, _LENGTH.size))
    if length > _MAX_SETTINGS_BYTES:
        raise SystemExit(1)
    settings: S = _settings_of(kind).decode(_read_exactly(fd, length))
    return settings


def _settings_of(kind: type) -> Vocabulary:
    return Vocabulary(kind, line_bytes=_MAX_SETTINGS_BYTES)


def _read_exactly(fd: int, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        piece = os.read(fd, min(_READ_BYTES, length - len(data)))
        if not piece:
            raise SystemExit(1)  # the supervisor is gone
        data += piece
    return bytes(data)
