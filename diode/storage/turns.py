"""What waits on an event loop while another program holds the ledger: a browser, a backup. The loop itself never waits.

Statements of such a connection give up at once. Whoever writes asks first whether the file is free, and comes again
otherwise. That the file is held is no fault of the disk: it is said, and counted.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from diode.errors import HeldError
from diode.log import log

T = TypeVar("T")
K = TypeVar("K")

AGAIN_S: Final = 0.25
FIRST_SAID_S: Final = 2.0  # our own commands and workers hold it for less
SAID_EVERY_S: Final = 60.0
LET_GO: Final = "close what has it open, a database browser or a backup program: fuser FILE"
_GOES_ON: Final = "what is to be recorded waits in memory, and everything else goes on; the disk is not at fault"


class Probed(Protocol):
    """What can be asked without waiting whether it may be written."""

    def is_free(self) -> bool:
        """Whether nobody else holds it."""


@dataclass(slots=True)
class _Hold:
    since: float
    say_at: float
    is_said: bool = False


class Turns:
    """Does work when the ledger is free. ``times``: how often it was held so long that this was said."""

    def __init__(self, file: Probed, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.times = 0
        self._file = file
        self._path = path
        self._clock = clock
        self._hold: _Hold | None = None

    @property
    def is_held(self) -> bool:
        """Whether it was held for a while when it was last asked."""
        return self._hold is not None and self._hold.is_said

    def is_free(self) -> bool:
        """Whether the ledger may be written now. Never waits. That it is held is said, and its end."""
        is_free = self._file.is_free()
        self._note(is_free=is_free)
        return is_free

    def try_now(self, work: Callable[[], object]) -> bool:
        """Do ``work``, unless the ledger is held; whether it was done. Work that is begun may have to be done again."""
        if not self.is_free():
            return False
        try:
            work()
        except HeldError:
            self._note(is_free=False)
            return False
        return True

    async def do(self, work: Callable[[], T]) -> T:
        """Do ``work`` as soon as the ledger is free, and return what it returns."""
        import asyncio  # what only reads a ledger does without

        results: list[T] = []
        while not self.try_now(lambda: results.append(work())):  # noqa: ASYNC110  # no program tells when it lets go
            await asyncio.sleep(AGAIN_S)
        return results[0]

    def _note(self, *, is_free: bool) -> None:
        now = self._clock()
        if is_free:
            if self.is_held and self._hold is not None:
                log.info("ledger_free_again", path=self._path, held_s=round(now - self._hold.since))
            self._hold = None
            return
        hold = self._hold = self._hold or _Hold(now, now + FIRST_SAID_S)
        if now >= hold.say_at:
            self.times += not hold.is_said
            hold.is_said, hold.say_at = True, now + SAID_EVERY_S
            facts = {"path": self._path, "held_s": round(now - hold.since)}
            log.warning("ledger_busy", **facts, consequence=_GOES_ON, do=LET_GO)


class InOrder(Generic[K]):
    """Work that is done in its order, each piece as soon as the ledger is free. ``keys``: whose pieces wait."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._waiting: deque[tuple[K, Callable[[], object]]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def keys(self) -> list[K]:
        """Those for whom something waits."""
        return [key for key, _ in self._waiting]

    def do(self, key: K, work: Callable[[], object]) -> None:
        """Do ``work`` for ``key`` now, or after all that waits."""
        self._waiting.append((key, work))
        self.settle()

    def settle(self) -> bool:
        """Do what can be done now. Returns whether that was anything."""
        before = len(self._waiting)
        while self._waiting and self._turns.try_now(self._waiting[0][1]):
            self._waiting.popleft()
        return len(self._waiting) < before

    async def finish(self, most_s: float) -> None:
        """Do what waits, at the end: the ledger may be held for ``most_s`` yet. What is left then is not done."""
        import asyncio  # as above

        self.settle()
        until = time.monotonic() + most_s
        while self._waiting and time.monotonic() < until:
            await asyncio.sleep(AGAIN_S)
            self.settle()
