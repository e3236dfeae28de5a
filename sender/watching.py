"""Watches the outbox: packs and queues each item that has been quiet, and sets aside items that cannot be sent.

Whatever looking at one item raises is that item's matter: it is named, and the others go on. Only a failing disk of
ours ends the daemon.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from watchfiles import awatch

from diode.config.sender import SenderConfig
from diode.errors import DiodeError, SourceError, StorageError
from diode.log import log
from diode.process import tending
from sender.events.happened import Event, ItemIgnored, ItemLeft, ItemRefused
from sender.ledger import Ledger, Row
from sender.outbox.folder import OutboxFolder, printable
from sender.outbox.left import Left, LeftList
from sender.outbox.look import Look
from sender.outbox.mount import find_mount
from sender.outbox.settling import Settling, Standing
from sender.pack.hashed import Order
from sender.pack.packer import Packer
from sender.pack.retention import archive

RESCAN_S: Final = 30.0
BLIND_S: Final = 2.0  # while the kernel reports no changes
WAITING_S: Final = 1.0
UNSETTLED_S: Final = 0.25
MOST_TOLD: Final = 500  # characters of why an item is refused, where it is left; the log has all
STUCK_AGAIN_S: Final = 600.0  # after this time it is tried again to move away an item that could not be moved
UNWATCHED: Final = "rename or remove what the detail names, then start the sender again: drops are seen at once then"
STAYED: Final = "let the sender's user move it, on the mount of outbox.path, or remove it; it is not sent again"


class _Taken(NamedTuple):
    """What became of an item that was handled, and where it belongs."""

    what: str = "was handled"
    to: str = "failed"


class Watcher:
    """Looks for items, has them packed, and gives the bundles to ``queue``.

    ``origins`` returns the paths of items that are queued or in flight already.
    """

    def __init__(
        self,
        config: SenderConfig,
        folder: OutboxFolder,
        ledger: Ledger,
        packer: Packer,
        queue: Callable[[Row], None],
        origins: Callable[[], set[str]],
        say: Callable[[Event], None],
    ) -> None:
        self._config = config
        self._folder = folder
        self._ledger = ledger
        self._packer = packer
        self._queue = queue
        self._origins = origins
        self._say = say
        self._settling = Settling(folder, config.outbox.settle_s)
        self._taken: dict[Path, str] = {}  # what items looked like that were queued
        self._is_blind = True
        self._again_at: dict[Path, float] = {}  # when to try to move an item once more that could not be moved
        self.left = LeftList(config.state, lambda one: say(ItemLeft(one.item, one.why, one.do)))

    async def run(self, changed: asyncio.Event, stopping: asyncio.Event, is_idle: Callable[[], bool]) -> None:
        """Scan the outbox whenever it changes, until ``stopping`` is set or ``is_idle`` says that nothing is left.

        The caller sets ``changed`` whenever something was sent, and together with ``stopping``. Items that wait for
        somebody (``left``) do not keep it from ending.
        """
        hint = asyncio.Event()
        hints = tending.start("outbox hint", lambda: self._hint(hint, stopping))
        try:
            while not stopping.is_set():
                hint.clear()
                unsettled = await self._scan(stopping)
                scan_at = time.monotonic() + self._pause_s(unsettled=unsettled)
                while not (hint.is_set() or stopping.is_set() or time.monotonic() >= scan_at):
                    if not unsettled and is_idle():
                        return
                    await _first(hint.wait(), changed.wait(), timeout_s=max(0.0, scan_at - time.monotonic()))
                    changed.clear()
        finally:
            hints.cancel()

    def _pause_s(self, *, unsettled: bool) -> float:
        """How long the outbox is not looked at, unless the kernel reports a change."""
        if unsettled:
            return UNSETTLED_S
        return WAITING_S if self.left.is_waiting() else BLIND_S if self._is_blind else RESCAN_S

    async def _hint(self, hint: asyncio.Event, stopping: asyncio.Event) -> None:
        """Wake the scan when something changes; a missed event costs at most RESCAN_S.

        It cannot go on beside a name that is not UTF-8, nor after the outbox went away: that is said once, and the
        outbox is scanned every BLIND_S then.
        """
        path = self._config.outbox.path
        options: dict[str, Any] = {"watch_filter": None, "ignore_permission_denied": True}
        self._is_blind = find_mount(path).is_blind
        try:
            async for _ in awatch(path, stop_event=stopping, step=100, debounce=200, **options):
                hint.set()
        except Exception as error:  # noqa: BLE001 - whatever it is, the scans do without it
            consequence = f"it is scanned every {BLIND_S:.0f} s; all else goes on"
            log.warning("outbox_not_watched", detail=str(_first_cause(error)), consequence=consequence, do=UNWATCHED)
        finally:
            self._is_blind = True
            hint.set()  # the scan that comes now sets the shorter pause

    async def _scan(self, stopping: asyncio.Event) -> bool:
        """Take all items that can be taken. Returns whether there are others, which are not quiet yet."""
        try:
            strays, entries = await asyncio.to_thread(lambda: (self._folder.strays(), list(self._folder.entries())))
        except OSError as error:
            do = "mount it again, or repair it; what it holds is sent then"
            why = f"the outbox cannot be read: {error.strerror}"
            self.left.update([Left(printable(self._config.outbox.path), why, do)])
            return False
        for stray in strays:
            self._say(ItemIgnored(printable(stray)))
        self._forget_others(entries)
        busy = self._origins()
        left, unsettled = self._folder.closed(), False
        for entry in entries:
            if stopping.is_set():
                return unsettled
            if str(entry) in busy:
                continue
            standing = await self._consider(entry)
            unsettled |= standing is Standing.BUSY
            left += [standing] if isinstance(standing, Left) else []
        self.left.update(left)
        return unsettled

    def _forget_others(self, entries: list[Path]) -> None:
        """What was removed, and comes again, is another item."""
        there = set(entries)
        self._settling.forget_others(entries)
        self._taken = {entry: seen for entry, seen in self._taken.items() if entry in there}
        self._again_at = {entry: tick for entry, tick in self._again_at.items() if entry in there}

    async def _consider(self, entry: Path) -> Standing | Left:
        """Take an item if it can be taken. What it returns is Left for an item that stays where it is."""
        if (stays := await self._maybe_stays(entry)) is not None:
            return stays
        standing = await asyncio.to_thread(self._settling.judge, entry, time.time(), time.monotonic())
        if standing is not Standing.READY:
            return standing
        before = await self._maybe_look(entry)
        taken = await self._take(entry)
        if str(entry) in self._origins():
            self._taken[entry] = before.seen.hex() if before else ""
            return Standing.READY
        return await self._after(entry, before, taken)

    async def _after(self, entry: Path, before: Look | None, taken: _Taken) -> Standing | Left:
        """What is to be remembered of an item that was handled, and of which no bundle is on its way."""
        after = await self._maybe_look(entry)
        if not self._folder.has(entry) or (before is not None and before != after):
            return Standing.READY
        self._again_at[entry] = time.monotonic() + STUCK_AGAIN_S
        seen = before.seen.hex() if before else "unreadable"
        why = f"{taken.what}, and cannot be moved to {taken.to}"
        return Left(printable(entry), why, STAYED, seen=seen, to=taken.to)

    async def _maybe_stays(self, entry: Path) -> Standing | Left | None:
        """What is known of an item that was handled before, and has not changed since: it is not read again."""
        known = self.left.handled(printable(entry))
        sent = self._taken.get(entry)
        if known is None and not sent:
            return None
        found = await self._maybe_look(entry)
        seen = found.seen.hex() if found else "unreadable"
        row = self._ledger.from_origin(str(entry))
        if known is None and row is not None and seen == sent:
            known = Left(printable(entry), "was sent, and cannot be moved to sent", STAYED, seen=seen, to="sent")
            self._again_at[entry] = time.monotonic() + STUCK_AGAIN_S
        if known is None or known.seen != seen:
            self._taken.pop(entry, None)
            return None
        if time.monotonic() >= self._again_at.get(entry, 0.0):
            self._again_at[entry] = time.monotonic() + STUCK_AGAIN_S
            self._move_again(entry, row, known.to)
        return known if self._folder.has(entry) else Standing.READY

    def _move_again(self, entry: Path, row: Row | None, to: str) -> None:
        """Try once more to move an item away. That it fails again was said before."""
        if to == "sent":
            archive(self._folder, self._config.state, self._ledger, row, entry, is_told=True)
        else:
            self._folder.try_leaving(entry)

    async def _maybe_look(self, entry: Path) -> Look | None:
        """What an item looks like; None where that cannot be seen."""
        try:
            return await asyncio.to_thread(self._folder.look, entry)
        except OSError:
            return None

    async def _take(self, entry: Path) -> _Taken:
        """Pack and queue an item, or set it aside. What it returns counts if no bundle of it is on its way."""
        try:
            item = self._folder.item(entry)
            send = self._config.send
            order = Order(item, [self._folder.root(entry)], send.passes, send.pass_delay_s, str(entry))
            row = await self._packer.pack(order)
        except FileNotFoundError:
            return _Taken()  # somebody took it away again
        except StorageError:
            raise  # our own disk failed: the item is not at fault, and stays where it is
        except DiodeError as error:
            return self._set_aside(entry, error)
        except OSError as error:
            return self._set_aside(entry, SourceError(f"{error.strerror}: {printable(Path(str(error.filename)))}"))
        except Exception as error:
            log.exception("item_raised", item=printable(entry), consequence="it is set aside, and all else goes on")
            return self._set_aside(entry, SourceError(f"it cannot be packed: {type(error).__name__}: {str(error)!a}"))
        else:
            if row is None:
                archive(self._folder, self._config.state, self._ledger, self._ledger.from_origin(str(entry)), entry)
                return _Taken(to="sent")
            self._queue(row)
        return _Taken()

    def _set_aside(self, entry: Path, error: DiodeError) -> _Taken:
        channel, name = printable(Path(entry.parent.name)), printable(Path(entry.name))
        self._packer.reject(channel, name, error)
        self._say(ItemRefused(channel, name, error.reason))
        self._folder.set_aside(entry, error)
        return _Taken(f"is refused: {error}"[:MOST_TOLD])


def _first_cause(error: Exception) -> Exception:
    """What was raised in a group of tasks, or in a group of groups."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


async def _first(*waits: Awaitable[Any], timeout_s: float) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
