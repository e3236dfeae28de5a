"""Watches the outbox: packs and queues each item that has been quiet, and sets aside items that cannot be sent."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from watchfiles import awatch

from diode.config.sender import SenderConfig
from diode.errors import DiodeError, SourceError, StorageError
from sender.events.happened import Event, ItemIgnored, ItemRefused, WatchRestarted
from sender.ledger import Ledger, Row
from sender.outbox.folder import OutboxFolder, printable
from sender.pack.packer import Order, Packer
from sender.pack.retention import archive

RESCAN_S: Final = 30.0
UNSETTLED_S: Final = 0.25
WATCH_AGAIN_S: Final = 1.0
STUCK_AGAIN_S: Final = 600.0  # after this time an item that cannot be moved away is judged, and reported, once more


@dataclass(frozen=True, slots=True)
class Stuck:
    """An item that was handled, but could not be moved away.

    It is left alone while it looks as in ``state``, until ``until`` (monotonic clock, seconds).
    """

    state: tuple[int, int] | None
    until: float


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
        self._stuck: dict[Path, Stuck] = {}

    async def run(self, changed: asyncio.Event, stopping: asyncio.Event, is_idle: Callable[[], bool]) -> None:
        """Scan the outbox whenever it changes, until ``stopping`` is set or ``is_idle`` says that nothing is left.

        The caller sets ``changed`` whenever something was sent, and together with ``stopping``.
        """
        hint = asyncio.Event()
        hints = asyncio.create_task(self._hint(hint, stopping))
        try:
            while not stopping.is_set():
                hint.clear()
                unsettled = await self._scan(stopping)
                scan_at = time.monotonic() + (UNSETTLED_S if unsettled else RESCAN_S)
                while not (hint.is_set() or stopping.is_set() or time.monotonic() >= scan_at):
                    if not unsettled and is_idle():
                        return
                    await _first(hint.wait(), changed.wait(), timeout_s=max(0.0, scan_at - time.monotonic()))
                    changed.clear()
        finally:
            hints.cancel()

    async def _hint(self, hint: asyncio.Event, stopping: asyncio.Event) -> None:
        """Wake the scan when something changes; a missed event costs at most RESCAN_S."""
        said = ""
        while not stopping.is_set():
            try:
                async for _ in awatch(self._config.outbox.path, stop_event=stopping, step=100, debounce=200):
                    hint.set()
            except (OSError, RuntimeError, UnicodeError) as error:  # a name that is not UTF-8, a folder that went away
                if repr(error) != said:  # the same error may stay for long, so it is reported once
                    self._say(WatchRestarted(repr(error)))
                said = repr(error)
            hint.set()
            await asyncio.sleep(WATCH_AGAIN_S)

    async def _scan(self, stopping: asyncio.Event) -> bool:
        """Take all items that are quiet. Returns whether there are others, which are not quiet yet."""
        for stray in self._folder.strays():
            self._say(ItemIgnored(printable(stray)))
        busy = self._origins()
        unsettled = False
        entries = await asyncio.to_thread(lambda: list(self._folder.entries()))
        self._stuck = {entry: self._stuck[entry] for entry in entries if entry in self._stuck}
        for entry in entries:
            if stopping.is_set():
                break
            if str(entry) in busy or self._is_stuck(entry):
                continue
            if not await asyncio.to_thread(self._folder.is_quiet, entry):
                unsettled = True
                continue
            await self._take_once(entry)
        return unsettled

    async def _take_once(self, entry: Path) -> None:
        """Take an item. If it could not be moved away, remember that, so that each scan does not report it again."""
        before = self._folder.state(entry)
        await self._take(entry)
        if str(entry) not in self._origins() and before is not None and self._folder.state(entry) == before:
            self._stuck[entry] = Stuck(before, time.monotonic() + STUCK_AGAIN_S)

    def _is_stuck(self, entry: Path) -> bool:
        """Whether an item was handled before, and has not changed since."""
        stuck = self._stuck.get(entry)
        return stuck is not None and time.monotonic() < stuck.until and self._folder.state(entry) == stuck.state

    async def _take(self, entry: Path) -> None:
        try:
            item = self._folder.item(entry)
            send = self._config.send
            order = Order(item, [self._folder.root(entry)], send.passes, send.pass_delay_s, str(entry))
            row = await self._packer.pack(order)
        except FileNotFoundError:
            return  # somebody took it away again
        except StorageError:
            raise  # our own disk failed: the item is not at fault, and stays where it is
        except DiodeError as error:
            self._set_aside(entry, error)
        except OSError as error:
            self._set_aside(entry, SourceError(f"{error.strerror}: {error.filename}"))
        else:
            if row is not None:
                self._queue(row)
                return
            archive(self._folder, self._config.state, self._ledger, self._ledger.from_origin(str(entry)), entry)

    def _set_aside(self, entry: Path, error: DiodeError) -> None:
        channel, name = printable(Path(entry.parent.name)), printable(Path(entry.name))
        self._packer.reject(channel, name, error)
        self._say(ItemRefused(channel, name, error.reason))
        self._folder.set_aside(entry, error)


async def _first(*waits: Awaitable[Any], timeout_s: float) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
