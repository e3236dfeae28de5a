"""Takes sockets from systemd, and reports to it: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3).

These few lines are our own, because the bindings have no wheels. All parameters come by environment variables; without
systemd every call does nothing. The socket to systemd is a local one (AF_UNIX), opened for one message and closed.
"""

import os
import socket
from collections.abc import Callable
from typing import Final, NamedTuple

from diode.errors import UsageError
from diode.formats.escape import escape

FIRST_FD: Final = 3  # SD_LISTEN_FDS_START
PATIENCE_S: Final = 1.0  # with a service manager that does not read: a daemon must not hang with it
STATUS_EVERY_S: Final = 10.0


class Passed(NamedTuple):
    """A descriptor that was open before this process started."""

    fd: int
    name: str  # FileDescriptorName= of its unit; the unit's name unless that was set


def notify(*assignments: str) -> bool:
    """Tell the service manager several things in one message: ``notify("READY=1", "STATUS=listening")``.

    False when there is no service manager, or when it could not be told. Neither is a reason to stop.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return False
    address = "\0" + path[1:] if path[0] == "@" else path  # "@": a name without a file, in the abstract namespace
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE_S)
            sock.sendto("\n".join(map(escape, assignments)).encode(), address)  # a line end would begin another one
    except OSError:
        return False
    return True


def watchdog_s() -> float | None:
    """The interval in seconds within which ``WATCHDOG=1`` must be repeated; None when nobody expects it."""
    limit, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not _is_number(limit) or int(limit) == 0 or pid not in ("", str(os.getpid())):
        return None
    return int(limit) / 1_000_000


def listen_fds() -> list[Passed]:
    """The descriptors that were passed to this process. The variables that name them are removed.

    Children do not inherit the descriptors. Raises UsageError when one is not open.
    """
    pid, count, names, _ = (
        os.environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
    )
    if pid != str(os.getpid()) or not _is_number(count):
        return []
    passed = []
    for number, fd in enumerate(range(FIRST_FD, FIRST_FD + int(count))):
        try:
            os.set_inheritable(fd, False)
        except OSError as error:
            raise UsageError(f"LISTEN_FDS={count}, and yet descriptor {fd} is not open") from error
        passed.append(Passed(fd, dict(enumerate(names.split(":"))).get(number, "")))
    return passed


class Reports:
    """What a daemon reports from its loop: that it is ready, its status, and to the watchdog that it is well."""

    def __init__(self) -> None:
        limit = watchdog_s()
        self._every_s = limit / 4 if limit else None
        self._beat_at = self._status_at = 0.0
        self._status = ""
        self._was_well = True
        self.is_ready = False

    def ready(self, status: str) -> None:
        """Report that the daemon does its work from now on. Only the first call has an effect."""
        if not self.is_ready:
            self.is_ready = True
            self._status = status
            notify("READY=1", f"STATUS={status}")

    def stopping(self) -> None:
        """Report that the daemon is ending, and finishes what is under way."""
        notify("STOPPING=1", "STATUS=stopping")

    def tick(self, now: float, status: Callable[[], str], *, is_well: bool) -> None:
        """Call this more often than the watchdog's interval, with ``now`` in seconds.

        Before :meth:`ready` it reports nothing.

        A daemon that is not well says so in its status, and stops reporting to the watchdog.
        """
        if not self.is_ready:
            return
        if is_well and self._every_s is not None and now >= self._beat_at:
            self._beat_at = now + self._every_s
            notify("WATCHDOG=1")
        if now >= self._status_at or is_well != self._was_well:
            self._status_at, self._was_well = now + STATUS_EVERY_S, is_well
            text = status() if is_well else "a worker shows no sign of life"
            if text != self._status:
                self._status = text
                notify(f"STATUS={text}")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
