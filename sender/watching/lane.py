"""Takes the items of one priority out of the outbox: packs and queues what has been quiet, sets aside what cannot be.

Each priority has a lane of its own, so nothing that is done for one keeps another waiting: not reading 12 GB, nor a
slow scanner, nor a folder of many files that is looked at. Within a lane, the channels take turns, each with its oldest
item, and there is one item at a time.

Whatever looking at one item raises is that item's matter: it is named, and the others go on. Only a failing disk of
ours ends the daemon.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from diode.config.sender import SenderConfig
from diode.errors import DiodeError, SourceError, StorageError
from diode.log import log
from sender.events.happened import Event, ItemRefused
from sender.ledger import Ledger, Row, State
from sender.outbox.folder import OutboxFolder, printable
from sender.outbox.left import Left, LeftList
from sender.outbox.look import Look
from sender.outbox.settling import Settling, Standing
from sender.pack.hashed import Order
from sender.pack.packer import Packer
from sender.pack.retention import archive

T = TypeVar("T")

MOST_TOLD: Final = 500  # characters of why an item is refused, where it is left; the log has all
STUCK_AGAIN_S: Final = 600.0  # after this time it is tried again to move away an item that could not be moved
STAYED: Final = "let the sender's user move it, on the mount of outbox.path, or remove it; it is not sent again"
_ON_ITS_WAY: Final = (State.QUEUED, State.UNAPPROVED, State.APPROVED)


class _Taken(NamedTuple):
    """What became of an item that was handled, where it belongs, and its bundle if it has a new one."""

    what: str = "was handled"
    to: str = "failed"
    row: Row | None = None


class Lane:
    """One lane. ``queue`` is given the bundles; ``left`` is the list of all lanes, and is only asked here."""

    def __init__(
        self,
        config: SenderConfig,
        folder: OutboxFolder,
        ledger: Ledger,
        packer: Packer,
        queue: Callable[[Row], None],
        say: Callable[[Event], None],
        left: LeftList,
    ) -> None:
        self._config = config
        self._folder = folder
        self._ledger = ledger
        self._packer = packer
        self._queue = queue
        self._say = say
        self._listed = left
        self._settling = Settling(folder, config.outbox.settle_s)
        self._taken: dict[Path, str] = {}  # what items looked like that were queued
        self._again_at: dict[Path, float] = {}  # when to try to move an item once more that could not be moved
        self._thread = ThreadPoolExecutor(1, "outbox")  # never one that waits for another lane's folder
        self.left: list[Left] = []  # as the last pass found it
        self.has_unsettled = False

    async def take(self, entries: list[Path], busy: Iterable[str], stopping: asyncio.Event) -> None:
        """Take all of ``entries`` that can be taken, of which those of ``busy`` are on their way."""
        self._forget_others(entries)
        on_their_way, left = frozenset(busy), []
        self.has_unsettled = False
        for entry in await self._apart(self._folder.in_turn, entries):
            if stopping.is_set():
                return
            if str(entry) in on_their_way:
                continue
            standing = await self._consider(entry)
            self.has_unsettled |= standing is Standing.BUSY
            left += [standing] if isinstance(standing, Left) else []
        self.left = left

    def try_now(self, entry: Path) -> None:
        """Try at the next pass to move an item that could not be moved."""
        self._again_at.pop(entry, None)

    def close(self) -> None:
        """Close it: nothing more is taken."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _apart(self, work: Callable[..., T], *args: object) -> T:
        """Do what waits for a disk in the lane's own thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)

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
        standing = await self._apart(self._settling.judge, entry, time.time(), time.monotonic())
        if standing is not Standing.READY:
            return standing
        before = await self._maybe_look(entry)
        taken = await self._take(entry)
        if taken.row is not None and self._is_on_its_way(taken.row):
            self._taken[entry] = before.seen.hex() if before else ""
            return Standing.READY
        return await self._after(entry, before, taken)

    def _is_on_its_way(self, row: Row) -> bool:
        """Whether a bundle that was queued still waits or is being sent. It may have been given up at once."""
        fresh = self._ledger.get(row.id)
        return fresh is not None and fresh.state in _ON_ITS_WAY

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
        known = self._listed.handled(printable(entry))
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
            return await self._apart(self._folder.look, entry)
        except OSError:
            return None

    async def _take(self, entry: Path) -> _Taken:
        """Pack and queue an item, or set it aside."""
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
        if row is None:
            archive(self._folder, self._config.state, self._ledger, self._ledger.from_origin(str(entry)), entry)
            return _Taken(to="sent")
        self._queue(row)
        return _Taken(row=row)

    def _set_aside(self, entry: Path, error: DiodeError) -> _Taken:
        channel, name = printable(Path(entry.parent.name)), printable(Path(entry.name))
        self._packer.reject(channel, name, error)
        self._say(ItemRefused(channel, name, error.reason, str(error)))
        self._folder.set_aside(entry, error)
        return _Taken(f"is refused: {error}"[:MOST_TOLD])
