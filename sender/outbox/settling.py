"""Judges whether an item of the outbox can be taken: whether it has been quiet long enough, and nobody writes into it.

It is quiet when nothing of it was changed for the settle time. Times in the future of this clock tell nothing. So an
item that has such times is quiet when it has looked the same for the settle time.
"""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from diode.log import log
from sender.outbox.folder import OutboxFolder, printable
from sender.outbox.left import Left
from sender.outbox.look import Look

RESTLESS_S: Final = 60.0  # an item that changes for longer than this is named

OPEN: Final = "end the program that writes it, or wait; it is sent when it is closed. Better: diode-sender put PATH"
RESTLESS: Final = "end what writes into it; it is sent when nothing of it has changed for outbox.settle_s"


class Standing(Enum):
    """READY: it can be taken. BUSY: it changed a moment ago."""

    READY = "ready"
    BUSY = "busy"


@dataclass(slots=True)
class _Watched:
    """An item that is not quiet: what it looked like, since when it does so, and since when it is known."""

    look: Look
    same_s: float
    known_s: float


class Settling:
    """Judges items. Times are in seconds: ``now`` of the wall clock, ``tick`` of the monotonic clock."""

    def __init__(self, folder: OutboxFolder, settle_s: float) -> None:
        self._folder = folder
        self._settle_s = settle_s
        self._watched: dict[Path, _Watched] = {}

    def forget_others(self, entries: list[Path]) -> None:
        """Only these lie in the outbox now."""
        self._watched = {entry: self._watched[entry] for entry in entries if entry in self._watched}

    def judge(self, entry: Path, now: float, tick: float) -> Standing | Left:
        """Whether an item can be taken. A Left says what it waits for.

        READY also for what cannot be looked at: packing says why.
        """
        try:
            found = self._folder.look(entry)
            if not self._is_quiet(entry, found, now, tick):
                return self._unquiet(entry, tick)
            writer = self._folder.maybe_writer(entry)
        except FileNotFoundError:
            return Standing.BUSY  # it, or something in it, went away in this moment
        except Exception:  # noqa: BLE001 - whatever looking at an item raises is that item's matter
            return Standing.READY
        if writer is not None:
            return Left(printable(entry), printable(Path(writer)), OPEN)
        self._watched.pop(entry, None)
        return Standing.READY

    def _is_quiet(self, entry: Path, found: Look, now: float, tick: float) -> bool:
        watched = self._watched.get(entry)
        if watched is None or watched.look.seen != found.seen:
            known_s = tick if watched is None else watched.known_s
            watched = self._watched[entry] = _Watched(found, tick, known_s)
            if found.changed_s > now + max(1.0, self._settle_s) and known_s == tick:
                then = "it is taken when it has looked the same for outbox.settle_s; set the clock"
                log.warning("item_from_the_future", item=printable(entry), consequence=then)
        if found.changed_s > now:
            return tick - watched.same_s >= self._settle_s
        return found.changed_s <= now - self._settle_s

    def _unquiet(self, entry: Path, tick: float) -> Standing | Left:
        if tick - self._watched[entry].known_s < RESTLESS_S:
            return Standing.BUSY
        return Left(printable(entry), f"has been changing for more than {RESTLESS_S:.0f} s", RESTLESS)
