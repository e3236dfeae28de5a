"""Lets threads work by priority: a less urgent one stops at its next step while a more urgent one is at work.

A thread that stops keeps what it has done, and goes on where it stopped. It asks at every step, so a question costs
nothing but a comparison while nobody is more urgent.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

LOOK_S: Final = 0.2  # how often a thread that waits asks whether it is to end


class Turn:
    """One piece of work, from :meth:`Turns.take`. ``priority``: the higher, the more urgent."""

    def __init__(self, turns: "Turns", priority: int) -> None:
        self.priority = priority
        self._turns = turns

    @property
    def is_held(self) -> bool:
        """Whether something more urgent is at work now."""
        return self._turns.most_urgent > self.priority

    def wait(self, is_stopped: Callable[[], bool]) -> float:
        """Wait until nothing more urgent is at work, or ``is_stopped``. Returns for how many seconds it waited."""
        begun = time.monotonic()
        with self._turns.changed:
            while self.is_held and not is_stopped():
                self._turns.changed.wait(LOOK_S)
        return time.monotonic() - begun

    def stand_aside(self, is_stopped: Callable[[], bool]) -> bool:
        """Let less urgent work go on until a piece of work has ended, because it has what this one needs.

        Returns False at once when there is none that could end. Then waiting would help nobody.
        """
        return self._turns.wait_for_end(self, is_stopped)


class Turns:
    """The pieces of work that have begun and not ended. Any thread may call its methods."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.most_urgent = -1  # of the work that is being done; it is read without the lock
        self._working: list[Turn] = []
        self._ended = 0

    @contextmanager
    def take(self, priority: int) -> Iterator[Turn]:
        """Begin a piece of work, which holds up all that is less urgent until it ends."""
        turn = Turn(self, priority)
        self._enter(turn)
        try:
            yield turn
        finally:
            self._leave(turn, ended=1)

    def wait_for_end(self, turn: Turn, is_stopped: Callable[[], bool]) -> bool:
        """As :meth:`Turn.stand_aside`."""
        self._leave(turn)
        try:
            with self.changed:
                if not self._working:
                    return False
                before = self._ended
                while self._ended == before and self._working and not is_stopped():
                    self.changed.wait(LOOK_S)
                return True
        finally:
            self._enter(turn)

    def _enter(self, turn: Turn) -> None:
        with self.changed:
            self._working.append(turn)
            self._look()

    def _leave(self, turn: Turn, ended: int = 0) -> None:
        with self.changed:
            if turn in self._working:
                self._working.remove(turn)
            self._ended += ended
            self._look()

    def _look(self) -> None:
        self.most_urgent = max((one.priority for one in self._working), default=-1)
        self.changed.notify_all()
