"""The serving process of the gateway: gives up what it does not need, waits for its turn, serves until told to end.

It holds the listening sockets and its TLS key. It can read the channels that are served, the index and Python's
modules, and write its log. No other key, no ledger, nothing in ``.diode`` can be read, and it can connect to nobody.
"""

import asyncio
import os
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final, cast

from diode.console.logs import configure
from diode.layouts.kinds import Kind
from diode.process import tending
from diode.process.judges import Account
from diode.process.programs import readable_folders
from diode.process.sandbox import EVENTS, READS, confine, has_seccomp
from diode.process.workers import Mailbox, start_worker
from receiver.gateway.server.access import Access, Token
from receiver.gateway.server.app import Gateway
from receiver.gateway.server.counts import Counts
from receiver.gateway.server.engine import Engine
from receiver.gateway.server.journal import Journal
from receiver.gateway.server.messages import SERVE_HEARS, SERVE_SAYS, Drain, Ended, Ready, Serve, ServeSettings, Serving
from receiver.gateway.server.plan import check_pair
from receiver.gateway.server.routing import Routes, mounted

SAVE_EVERY_S: Final = 10.0
# beside what every worker needs: to take clients, answer them, send files, and turn its log. Not to make a socket.
SERVING: Final = (
    *(*READS, *EVENTS, "epoll_create1", "accept4", "listen", "shutdown", "getsockname", "getpeername", "getsockopt"),
    *("setsockopt", "recvfrom", "recvmsg", "sendto", "sendmsg", "writev", "sendfile", "dup", "openat2", "renameat2"),
    *("rename", "renameat", "unlink", "unlinkat", "fsync", "fdatasync", "fchmod", "getcwd", "getuid", "geteuid"),
    *("getgid", "getegid", "access", "faccessat", "faccessat2", "uname", "sysinfo", "sched_getaffinity"),
)


def main() -> None:
    """Serve until the parent says that it is over, or is gone."""
    settings, control = start_worker(ServeSettings, says=SERVE_SAYS, hears=SERVE_HEARS)
    configure(json=True)
    os.umask(0o027)
    asyncio.run(_serve(settings, control))


async def _serve(settings: ServeSettings, control: Mailbox) -> None:
    tls = check_pair(_maybe(settings.certificate), _maybe(settings.key))  # its key may be root's alone
    has_seccomp()  # loads what it takes, which the other user may not be able to read
    become(settings.account)
    journal, counts = Journal(Path(settings.log)), Counts(Path(settings.log))
    proxies = frozenset(settings.proxies)
    engine = Engine(_gateway(settings, journal, counts, proxies), tls, proxies=proxies)
    sockets = [socket.socket(fileno=fd) for fd, _, _ in settings.sockets]
    lacks = confine_to(settings) if settings.is_confined else ["it was told not to confine itself"]
    control.send(Ready(tuple(lacks)))
    order = await _order(control)
    if isinstance(order, Serve):
        journal.reopen()  # it may have been turned meanwhile
        await engine.start(sockets)
        control.send(Serving())
        saving = tending.start("counts", partial(_save, counts))
        order = await _order(control)
        saving.cancel()
    journal.may_rotate = False  # the next process does
    drain = order if isinstance(order, Drain) else Drain(0, 0)
    cut = await engine.drain(drain.within_ms / 1000, drain.idle_ms / 1000)
    counts.save()
    journal.close()
    if not control.closed:
        control.send(Ended(cut))


def _gateway(settings: ServeSettings, journal: Journal, counts: Counts, proxies: frozenset[str]) -> Gateway:
    mounts = mounted(cast("dict[str, Sequence[Kind]]", settings.serve))
    ports = {port: cast("Kind", kind) for _, port, kind in settings.sockets if kind}
    return Gateway(
        Path(settings.inbox),
        Path(settings.index),
        mounts,
        routes=Routes(mounts, settings.url, cast("dict[str, Kind]", settings.hosts), ports),
        access=Access({name: [Token(*one) for one in found] for name, found in settings.tokens.items()}),
        journal=journal,
        counts=counts,
        proxies=proxies,
    )


async def _order(control: Mailbox) -> Serve | Drain:
    """Wait for the next order. Where the parent is gone, the end is now."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(control.read_fd, readable.set)
    try:
        while True:
            await readable.wait()
            readable.clear()
            message = control.receive(0.0)
            if isinstance(message, Serve | Drain):
                return message
            if control.closed:
                return Drain(0, 0)
    finally:
        loop.remove_reader(control.read_fd)


async def _save(counts: Counts) -> None:
    while True:
        await asyncio.sleep(SAVE_EVERY_S)
        counts.save()


def _maybe(place: str) -> Path | None:
    return Path(place) if place else None


def confine_to(settings: ServeSettings) -> list[str]:
    """Give up, for good, everything but what serving takes. Returns what could not be enforced."""
    channels = [Path(settings.inbox, name) for name in settings.serve]
    reads: list[str | os.PathLike[str] | int] = [*channels, settings.index, *readable_folders()]
    return confine(SERVING, changes=[settings.log], reads=reads, threads=True)


def become(account: Account | None) -> None:
    """Become another user, for good."""
    if account is not None:
        os.setgroups(account.groups)
        os.setresgid(account.group, account.group, account.group)
        os.setresuid(account.user, account.user, account.user)
