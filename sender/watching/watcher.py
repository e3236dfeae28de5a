"""Watches the outbox: lists what lies in it whenever it changes, and has a lane for each priority take the items.

::

    outbox -> list -> lane of priority 9 -> packer -> queue
                 '--> lane of priority 5 -> packer -> queue
"""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from watchfiles import awatch

from diode.config.sender import SenderConfig
from diode.log import log
from diode.process import tending
from sender.events.happened import Event, ItemIgnored, ItemLeft
from sender.ledger import Ledger, Row
from sender.outbox.folder import OutboxFolder, printable
from sender.outbox.left import Left, LeftList
from sender.outbox.mount import find_mount
from sender.pack.packer import Packer
from sender.watching.lane import Lane

RESCAN_S: Final = 30.0
BLIND_S: Final = 2.0  # while the kernel reports no changes
WAITING_S: Final = 1.0
UNSETTLED_S: Final = 0.25
WHILE_TAKING_S: Final = 0.1  # between two lists while items are taken, each of which changes the outbox
WATCH_AGAIN_S: Final = 1.0  # after the kernel reports no changes any more; each pause is twice as long
WATCH_AGAIN_MOST_S: Final = 60.0
FRESH_S: Final = 600.0  # then the outbox is watched anew
STEP_MS: Final = 20  # after this time without a change, changes are told of: one rename is one change
DEBOUNCE_MS: Final = 200  # and at the latest after this time
LOOK_MS: Final = 5000  # how often it is asked whether the outbox is still the folder that is watched
UNWATCHED: Final = "remove what the detail names, or raise fs.inotify.max_user_watches; it is tried again by itself"


class Watcher:
    """Lists the outbox, and gives each lane the items of its priority.

    ``queue`` is given the bundles. ``origins`` returns the paths of items that are queued or in flight already.
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
        self._origins = origins
        self._say = say
        self.left = LeftList(config.state, lambda one: say(ItemLeft(one.item, one.why, one.do)))
        self._new_lane = partial(Lane, config, folder, ledger, packer, queue, say, self.left)
        self._lanes: dict[int, Lane] = {}
        self._passes: dict[int, asyncio.Task[None]] = {}  # of the lanes that are taking items
        self._late: set[int] = set()  # lanes that were taking items when the outbox was listed last
        self._news = asyncio.Event()
        self._is_blind = True
        self._wake = asyncio.Event()  # the outbox is to be listed now
        self._outbox_left: list[Left] = []

    async def run(self, changed: asyncio.Event, stopping: asyncio.Event, is_idle: Callable[[], bool]) -> None:
        """Look at the outbox whenever it changes, until ``stopping`` is set or ``is_idle`` says that nothing is left.

        The caller sets ``changed`` whenever something was sent, and together with ``stopping``. Items that wait for
        somebody (``left``) do not keep it from ending. Raises StorageError.
        """
        self._open_lanes()
        hint = self._wake
        hints = tending.start("outbox hint", lambda: self._hint(hint, stopping))
        listed_at = 0.0
        try:
            while not stopping.is_set():
                await self._rest(listed_at + WHILE_TAKING_S, stopping)
                hint.clear()
                listed_at = time.monotonic()
                await self._offer(stopping)
                while not (hint.is_set() or stopping.is_set() or time.monotonic() >= listed_at + self._pause_s()):
                    if self._is_quiet() and is_idle():
                        return
                    timeout_s = max(0.0, listed_at + self._pause_s() - time.monotonic())
                    await _first(hint.wait(), changed.wait(), self._news.wait(), timeout_s=timeout_s)
                    changed.clear()
                    self._note_passes(hint)
        finally:
            hints.cancel()
            await self._close_lanes()

    async def _rest(self, until: float, stopping: asyncio.Event) -> None:
        """Wait while a lane takes items: what it moves away is no reason to list the outbox again and again."""
        while self._passes and not stopping.is_set() and (left_s := until - time.monotonic()) > 0:
            await _first(stopping.wait(), self._news.wait(), timeout_s=left_s)
            self._note_passes(self._wake)

    def look_again(self, entry: Path) -> None:
        """Look at the outbox now, and try at once what is tried seldom with an item that could not be moved."""
        for lane in self._lanes.values():
            lane.try_now(entry)
        self._wake.set()

    def _open_lanes(self) -> None:
        """One for each priority that a channel has. What is known of their items was written by an earlier run."""
        for priority in {channel.priority for channel in (self._config.channel(""), *self._config.channels.values())}:
            self._lanes[priority] = self._new_lane()
        for one in self.left.items:
            self._lanes[self._priority(one.channel)].left.append(one)

    async def _close_lanes(self) -> None:
        for passing in self._passes.values():
            passing.cancel()
        await asyncio.gather(*self._passes.values(), return_exceptions=True)
        for lane in self._lanes.values():
            lane.close()

    def _priority(self, channel: str) -> int:
        return self._config.channel(channel).priority

    def _is_quiet(self) -> bool:
        """Whether all that was listed has been looked at, and nothing of it is about to be taken."""
        return not self._passes and not self._late and not self._has_unsettled()

    def _has_unsettled(self) -> bool:
        """Whether a lane that is done has seen an item that is not quiet yet."""
        return any(lane.has_unsettled for priority, lane in self._lanes.items() if priority not in self._passes)

    def _pause_s(self) -> float:
        """How long the outbox is not looked at, unless the kernel reports a change."""
        if self._has_unsettled():
            return UNSETTLED_S
        return WAITING_S if self.left.is_waiting() else BLIND_S if self._is_blind else RESCAN_S

    def _note_passes(self, hint: asyncio.Event) -> None:
        """Note what lanes found that are done. One that was busy when the outbox was listed shall have a new list."""
        self._news.clear()
        for priority, passing in list(self._passes.items()):
            if not passing.done():
                continue
            del self._passes[priority]
            passing.result()  # raises what ends the daemon
            if priority in self._late:
                hint.set()
        self._tell_left()

    def _tell_left(self) -> None:
        self.left.update([*self._outbox_left, *(one for lane in self._lanes.values() for one in lane.left)])

    async def _hint(self, hint: asyncio.Event, stopping: asyncio.Event) -> None:
        """Wake the scan when something changes; a missed event costs at most RESCAN_S.

        It cannot go on beside a name that is not UTF-8, without room for watches, nor after the outbox went away. That
        is said once, the outbox is scanned every BLIND_S then, and watching begins again as soon as it can.
        """
        pause_s, was_said = WATCH_AGAIN_S, False
        while not stopping.is_set():
            try:
                async for _ in self._changes(stopping):
                    if was_said:
                        log.info("outbox_watched_again", consequence="drops are seen at once")
                    pause_s, was_said = WATCH_AGAIN_S, False
                    hint.set()
            except Exception as error:  # noqa: BLE001 - whatever it is, the scans do without it
                if not was_said:
                    consequence = f"it is scanned every {BLIND_S:.0f} s; all else goes on"
                    detail = str(_first_cause(error))
                    log.warning("outbox_not_watched", detail=detail, consequence=consequence, do=UNWATCHED)
                was_said = True
                self._is_blind = True
                hint.set()  # the scan that comes now sets the shorter pause
                await _first(stopping.wait(), timeout_s=pause_s)
                pause_s = min(2 * pause_s, WATCH_AGAIN_MOST_S)

    async def _changes(self, stopping: asyncio.Event) -> AsyncIterator[None]:
        """Something changed, or FRESH_S are over: what the kernel's full queue left out is watched from then on.

        Raises OSError when the outbox is another folder than it was: the kernel does not tell.
        """
        path = self._config.outbox.path
        options: dict[str, Any] = {"watch_filter": None, "ignore_permission_denied": True, "yield_on_timeout": True}
        self._is_blind = find_mount(path).is_blind
        folder, until, is_first = _identity(path), time.monotonic() + FRESH_S, True
        options |= {"step": STEP_MS, "debounce": DEBOUNCE_MS, "rust_timeout": LOOK_MS}
        async for changes in awatch(path, stop_event=stopping, **options):
            if _identity(path) != folder:
                raise OSError("it was replaced, or mounted anew")
            if changes or is_first:
                is_first = False
                yield
            if time.monotonic() >= until:
                return

    async def _offer(self, stopping: asyncio.Event) -> None:
        """List the outbox, and let each lane take its items that is not still taking those of an earlier list."""
        try:
            strays, entries = await asyncio.to_thread(lambda: (self._folder.strays(), list(self._folder.entries())))
        except (OSError, RuntimeError) as error:  # RuntimeError: no thread can be started at the moment
            do = "mount it again, or repair it; what it holds is sent then"
            why = f"the outbox cannot be read: {error.strerror if isinstance(error, OSError) else error}"
            self._outbox_left = [Left(printable(self._config.outbox.path), why, do)]
            self._tell_left()
            return
        for stray in strays:
            self._say(ItemIgnored(printable(stray)))
        self._outbox_left = self._folder.closed()
        mine: defaultdict[int, list[Path]] = defaultdict(list)
        for entry in entries:
            mine[self._priority(entry.parent.name)].append(entry)
        busy = self._origins()
        self._late = set(self._passes)
        for priority, lane in self._lanes.items():
            if priority not in self._passes:
                passing = asyncio.create_task(lane.take(mine[priority], busy, stopping))
                passing.add_done_callback(lambda _: self._news.set())
                self._passes[priority] = passing


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


def _identity(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino
