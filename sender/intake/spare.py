"""The next child that looks at content, started ahead: an item does not wait for an interpreter.

It waits for its first message, and was handed nothing yet. It dies with the daemon, as every worker does.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Final, Self

from diode.errors import DiodeError
from diode.process import handing
from diode.process.workers import Worker
from sender.intake.messages import CHILD_SAYS, TO_CHILD, ChildSettings

MODULE: Final = "sender.intake.examine"


@dataclass(frozen=True, slots=True)
class Started:
    """A child that runs, and the way to hand it files."""

    worker: Worker
    giver: handing.Giver

    @classmethod
    def now(cls) -> Self:
        """Start one. Raises as :class:`Worker`."""
        ours, theirs = handing.hand_pair()
        giver = handing.Giver(ours, TO_CHILD)
        try:
            return cls(Worker(MODULE, ChildSettings(theirs), (theirs,), says=CHILD_SAYS), giver)
        except BaseException:
            giver.close()
            raise
        finally:
            os.close(theirs)

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.worker.process.poll() is None

    def close(self) -> None:
        """End it."""
        self.giver.close()
        self.worker.close()


class Spare:
    """One child at most that nobody asked for yet."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._next: Started | None = None

    def prepare(self) -> None:
        """Have the next one started, unless it waits already; one that has died is replaced.

        A child dies with the thread that starts it, so the thread of the daemon calls this. What keeps a child from
        starting is said when one is taken.
        """
        with self._lock, suppress(DiodeError, OSError):
            self._drop_dead()
            if self._next is None:
                self._next = Started.now()

    def take(self) -> Started:
        """The one that waits, else a new one; it is the caller's. Raises as :meth:`Started.now`."""
        with self._lock:
            self._drop_dead()
            child, self._next = self._next, None
        return child or Started.now()

    def close(self) -> None:
        """End the one that waits."""
        with self._lock:
            child, self._next = self._next, None
        if child is not None:
            child.close()

    def _drop_dead(self) -> None:
        if self._next is not None and not self._next.is_alive:
            self._next.close()
            self._next = None
