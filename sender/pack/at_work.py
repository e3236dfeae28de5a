"""The items that are being packed: one of each priority at most. A more urgent one stops the others at their next step.

Each has a thread for what reads files. Its bound on threads, and so on memory, is the number of priorities.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from diode.config.sender import PRIORITIES
from diode.process.turns import Turn, Turns
from sender.events.happened import CheckEnded, CheckRuns, Event
from sender.intake.candidate import Progress
from sender.outbox.folder import Item

T = TypeVar("T")

_SHOWN_EVERY_S: Final = 0.25


@dataclass(slots=True)
class Underway:
    """An item that is being packed, and how far that is."""

    item: Item
    turn: Turn
    progress: Progress = field(default_factory=Progress)


class AtWork:
    """Runs the work on items in threads, and tells how far it is."""

    def __init__(self, say: Callable[[Event], None]) -> None:
        self._say = say
        self._turns = Turns()
        self._underway: list[Underway] = []
        self._threads = ThreadPoolExecutor(PRIORITIES, "packing")

    def __iter__(self) -> Iterator[Underway]:
        """The items, the most urgent first."""
        return iter(sorted(self._underway, key=lambda one: -one.turn.priority))

    @contextmanager
    def begin(self, item: Item, priority: int) -> Iterator[Underway]:
        """Begin to pack an item. From now on it stops what is less urgent."""
        with self._turns.take(priority) as turn:
            one = Underway(item, turn)
            self._underway.append(one)
            try:
                yield one
            finally:
                self._underway.remove(one)

    async def run(self, one: Underway, check: str, work: Callable[[Progress], T]) -> T:
        """Run ``work`` in a thread and report its progress. When this is cancelled, the thread is told to stop."""
        checks, item = set(), one.item
        one.progress = progress = Progress(check, turn=one.turn)
        working = asyncio.get_running_loop().run_in_executor(self._threads, _after_its_turn, progress, work)
        try:
            while not working.done():
                await asyncio.wait({working}, timeout=_SHOWN_EVERY_S)
                checks.add(check := progress.check)
                self._say(CheckRuns(check, item.channel, item.name, progress.done, progress.total))
            return await working
        finally:
            progress.is_stopped = True  # a thread cannot be cancelled: this one ends at its next tick
            working.add_done_callback(lambda future: future.cancelled() or future.exception())
            for check in checks:
                self._say(CheckEnded(check, item.channel, item.name))

    def close(self) -> None:
        """Wait until the threads have ended that were told to stop."""
        self._threads.shutdown(cancel_futures=True)


def _after_its_turn(progress: Progress, work: Callable[[Progress], T]) -> T:
    progress.tick()
    return work(progress)
