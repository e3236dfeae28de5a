"""Worker processes: fresh interpreters that inherit descriptors, talk in messages by pipe, and never outlive us.

A worker is ``python -m MODULE`` with one JSON argument that names its descriptors and settings. Its standard streams
are pipes too, so that a worker of the network side holds nothing but its socket, memfds and pipes. It gets SIGKILL when
its supervisor dies (PR_SET_PDEATHSIG), ignores the terminal's Ctrl-C, and ends by itself when its control pipe closes.
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

from diode.errors import MessageError
from diode.messages import PeerRefused
from diode.vocabulary import NOTHING, Vocabulary

_PR_SET_PDEATHSIG: Final = 1
_READ_BYTES: Final = 65536


class Mailbox:
    """Messages over a pair of pipes: those of ``hears`` come in, those of ``says`` go out.

    What was read and not yet received is at most a line of ``hears`` and one read. Honest peers bound what may be under
    way, so that no write ever blocks for good.
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
        """Write one message. Raises BrokenPipeError when the peer is gone, ValueError for what must not be said."""
        data = memoryview(self._says.encode(message) + b"\n")
        while data:
            data = data[os.write(self.write_fd, data) :]

    def receive(self, timeout_s: float | None = 0.0) -> Any:
        """The next message; None when none came in time or the peer closed (then ``closed`` is set).

        Raises MessageError for what the peer may not say; there is no use in going on with it.
        """
        while not self._lines:
            ready, _, _ = select.select([self.read_fd], [], [], timeout_s)
            if not ready or not self._fill():
                return None
        message = self._hears.decode(self._lines.popleft())
        if type(message) in self._hears.once:
            if type(message) in self._heard:
                raise MessageError(type(message).__name__, "it is said once")
            self._heard.add(type(message))
        return message

    def drain(self) -> Iterator[Any]:
        """All messages that are there, without waiting."""
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
    """One running worker: its process, a pidfd to notice its end by, and the mailbox to it."""

    def __init__(
        self,
        module: str,
        settings: Mapping[str, Any],
        pass_fds: Sequence[int] = (),
        *,
        says: Vocabulary,
        hears: Vocabulary = NOTHING,
    ) -> None:
        """Start ``python -m module``; ``pass_fds`` keep their numbers in the child. ``says`` is all that it may say."""
        self.module = module
        to_child, our_end = os.pipe()
        our_read, from_child = os.pipe()
        log_read, log_write = os.pipe()
        arguments = {"control_read": to_child, "control_write": from_child, "parent": os.getpid(), **settings}
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, json.dumps(arguments)],
                pass_fds=[to_child, from_child, *pass_fds],
                stdin=to_child,
                stdout=log_write,
                stderr=log_write,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
        finally:
            for fd in (to_child, from_child, log_write):
                os.close(fd)
        self.log_fd = log_read
        self.pid_fd = os.pidfd_open(self.process.pid)
        os.set_blocking(our_end, False)  # a worker that does not read must not hold us up
        self.mailbox = Mailbox(our_read, our_end, hears=says, says=hears)
        self._hung_up = False

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


def start_worker(*, says: Vocabulary, hears: Vocabulary = NOTHING, nice: int = 0) -> tuple[dict[str, Any], Mailbox]:
    """First call of a worker's ``main``: its settings, and the mailbox to its supervisor.

    ``nice`` below 0 asks for the processor before others; it is not insisted on, since that takes a privilege.
    """
    settings: dict[str, Any] = json.loads(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != settings["parent"]:
        raise SystemExit(1)  # the supervisor died before the line above
    with contextlib.suppress(PermissionError):
        os.nice(nice)
    return settings, Mailbox(settings["control_read"], settings["control_write"], hears=hears, says=says)


@contextlib.contextmanager
def refusing_peers(control: Mailbox) -> Iterator[None]:
    """End the worker, and say why, when one that it talks to says what it may not."""
    try:
        yield
    except MessageError as error:
        control.send(PeerRefused(error.kind, error.why))
        raise SystemExit(1) from error
