"""Keeps one program, and whatever it starts, until all of it has ended. Nothing that it started outlives it.

A kill of a process group misses who left the group (setsid). So this process takes in everybody below it who loses its
parent (PR_SET_CHILD_SUBREAPER, prctl(2)), and ends them one generation after the other. It does so when the program has
ended, when it is told to end (SIGTERM), and when whoever started it dies.
"""

import ctypes
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final, NoReturn

from diode.process.waiting import ready

PATIENCE_S: Final = 5.0  # for a warden to end all that is below it

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36
_TOLD: Final = {signal.SIGCHLD, signal.SIGTERM}
_SIGNALLED: Final = 128  # a signal's number is added to it, as a shell says how a program ended


def keep(run: Callable[[], NoReturn]) -> int:
    """Call ``run`` in a child, and return its exit code when nothing of it is left. This process must have no threads.

    ``run`` becomes another program. From here on this process has neither standard input nor output: they are the
    child's alone, so who talks to it learns when it closes them.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # the program may be of our user, and is to find no way into this one
    signal.pthread_sigmask(signal.SIG_BLOCK, _TOLD)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _TOLD)
        run()
    _let_go_of_pipes()
    status = _wait_for(child)
    _end_all()
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else _SIGNALLED - code


def end(pid: int) -> None:
    """Have a warden end all that it keeps, and end itself; then kill its group, where it could not. Does not reap it.

    ``pid``: a child that nobody has waited for yet, so no other process can have its number.
    """
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        fd = os.pidfd_open(pid)
        ready((fd,), PATIENCE_S)
        os.close(fd)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, also after it has executed another program."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _let_go_of_pipes() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    os.close(nothing)


def _wait_for(child: int) -> int:
    """The status of the child; as killed, when this process is told to end before. Others who end are reaped."""
    while signal.sigwait(_TOLD) != signal.SIGTERM:
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] == child:
                    return found[1]
    return signal.SIGKILL


def _end_all() -> None:
    """Kill our children, and theirs as they become ours, until there are none.

    A child that forks and ends at once, again and again, is met only by who is fast: all that have ended are reaped
    before the next look, or their number would make that slow.
    """
    with suppress(ChildProcessError):
        while True:
            for pid in _children():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            os.waitpid(-1, 0)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _children() -> Iterable[int]:
    """Our children, as the kernel lists them by their parent; where it does not, by the process table."""
    ours = os.getpid()
    try:
        with open(f"/proc/self/task/{ours}/children", "rb") as file:
            return map(int, file.read().split())
    except OSError:
        return _children_by_table(ours)


def _children_by_table(ours: int) -> Iterator[int]:
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
            if int(file.read().rpartition(b")")[2].split()[1]) == ours:
                yield int(name)
