"""Forks children from a process that has loaded everything ahead, so that no work waits for an interpreter to start.

::

    who asks -- Bear, with the child's four descriptors --> nursery -- fork --> child
        '------------ its control pipes, its log, and a socket for files ---------'

The nursery is a worker of one thread. It hears nothing but :class:`Bear`, reads no file of a stranger, and confines
itself before it hears anything. So every child begins as the one before it did. A child does one piece of work. It is
killed when whoever asked for it closes the control pipe, and all children are killed when the nursery ends.
"""

import ctypes
import gc
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Annotated, Final, NoReturn

from diode.errors import MessageError
from diode.process import handing
from diode.process.child import close_all_but
from diode.process.sandbox import FORKING, READS
from diode.process.vocabulary import NOTHING, Vocabulary, Whole
from diode.process.waiting import ready
from diode.process.workers import Mailbox, Worker

_ADOPTS: Final = ("getsockname", "getsockopt")  # a socket by its descriptor
CALLS: Final = (*READS, *FORKING, *handing.CALLS, "dup2", "dup3", *_ADOPTS)  # of a nursery
_GONE_S: Final = 10.0  # for the nursery to end a child; no honest one takes so long
_MOST_SAID_BYTES: Final = 2048  # of last words
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True)
class NurserySettings:
    """What a nursery is told when it starts: where it is asked for children."""

    asked_read: Annotated[int, Whole(0, 1 << 20)]


@dataclass(frozen=True, slots=True)
class Bear:
    """Fork a child. Its descriptors go with it: for files, to hear, to speak, and for last words."""


TO_NURSERY: Final = Vocabulary(Bear)
Live = Callable[[int, Mailbox], None]  # what a child does with its socket for files, and its mailbox


class Born:
    """A child that was asked for: the way to hand it files, and its mailbox. It belongs to whoever asked."""

    def __init__(self, giver: handing.Giver, mailbox: Mailbox, log_fd: int) -> None:
        self.giver = giver
        self.mailbox = mailbox
        self.log_fd = log_fd

    @property
    def has_ended(self) -> bool:
        """Whether the child is gone, or its nursery before it was born."""
        poll = select.poll()
        poll.register(self.mailbox.read_fd, 0)
        return bool(poll.poll(0))

    def last_words(self) -> str:
        """The beginning of what it wrote to standard error, and nobody has read yet."""
        return os.read(self.log_fd, _MOST_SAID_BYTES).decode(errors="replace") if ready([self.log_fd], 0.0) else ""

    def close(self) -> None:
        """End the child, and wait until it is gone."""
        self.giver.close()
        os.close(self.mailbox.write_fd)
        while ready([self.mailbox.read_fd], _GONE_S) and os.read(self.mailbox.read_fd, 1 << 16):
            pass
        for fd in (self.mailbox.read_fd, self.log_fd):
            os.close(fd)


class Nursery:
    """A running nursery. It ends with the thread that made it, so that must be one that stays."""

    def __init__(self, module: str) -> None:
        """Start ``main`` of ``module``, which calls :func:`tend`. Raises the errors of :class:`Worker`."""
        ours, theirs = handing.hand_pair()
        self._giver = handing.Giver(ours, TO_NURSERY)
        try:
            self.worker = Worker(module, NurserySettings(theirs), (theirs,), says=NOTHING)
        except BaseException:
            self._giver.close()
            raise
        finally:
            os.close(theirs)

    @property
    def is_alive(self) -> bool:
        """Whether the nursery still runs."""
        return self.worker.process.poll() is None

    def bear(self, *, hears: Vocabulary, says: Vocabulary) -> Born:
        """Ask for a child that is handed ``hears``, and may say no more than ``says``. It is there a moment later.

        Raises OSError when the nursery is gone.
        """
        with ExitStack() as undo, ExitStack() as its_own:
            ours, theirs = handing.hand_pair()
            its_own.callback(os.close, theirs)
            giver = handing.Giver(ours, hears)
            undo.callback(giver.close)
            to_child, our_write = _pipe(its_own, undo)
            our_read, from_child = _pipe(undo, its_own)
            log_read, log_write = _pipe(undo, its_own)
            self._giver.give(Bear(), (theirs, to_child, from_child, log_write))
            undo.pop_all()
            return Born(giver, Mailbox(our_read, our_write, hears=says, says=NOTHING), log_read)

    def close(self) -> None:
        """End the nursery, and with it all of its children."""
        self._giver.close()
        self.worker.close()


def tend(taker: handing.Taker, live: Live, says: Vocabulary) -> None:
    """Fork a child for each message that ``taker`` gets, and end those that nobody waits for any more.

    A child may say ``says``, and ends when ``live`` returns. This returns when nobody can ask any more.
    """
    children: dict[int, int] = {}  # by the end of its control pipe that is kept here, the process id of each
    gc.freeze()  # what is loaded is shared with the children: no collection writes to it
    while True:
        found = ready((taker.fd, *children), None)
        for pipe in found & children.keys():
            _end(children.pop(pipe))
            os.close(pipe)
        if taker.fd not in found:
            continue
        message, fds = taker.take()
        if message is None:
            return
        if len(fds) != 4:
            raise MessageError("Bear", f"with {len(fds)} descriptors")
        parent, pid = os.getpid(), os.fork()
        if pid == 0:
            _live(fds, parent, live, says)
        files, to_child, from_child, log_write = fds
        children[to_child] = pid
        for fd in (files, from_child, log_write):
            os.close(fd)


def _live(fds: Sequence[int], parent: int, live: Live, says: Vocabulary) -> NoReturn:
    """The child: keep its own descriptors alone, do its work, and end. It never returns."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            files, to_child, from_child, log_write = fds
            os.dup2(to_child, 0)
            os.dup2(log_write, 1)
            os.dup2(log_write, 2)
            close_all_but(files, from_child)
            live(files, Mailbox(0, from_child, hears=NOTHING, says=says))
    except Exception:  # noqa: BLE001 - whoever asked reads it as last words
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """A pipe, each end of which is closed with its stack."""
    read, write = os.pipe()
    reader.callback(os.close, read)
    writer.callback(os.close, write)
    return read, write


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
