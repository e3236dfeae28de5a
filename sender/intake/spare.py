"""Keeps one child process ``examine`` started ahead of need, so that an item does not wait for an interpreter to start.

The spare child waits for its first message. It has no file of any item yet. It ends with the daemon, as every worker
does.
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
        """Start a child. Raises the errors of :class:`Worker`."""
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
        """Whether the child still runs."""
        return self.worker.process.poll() is None

    def close(self) -> None:
        """End the child."""
        self.giver.close()
        self.worker.close()


class Spare:
    """Holds one started child at most, until somebody takes it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._next: Started | None = None

    def prepare(self) -> None:
        """Start a child unless one waits already. A child that has died is replaced.

        A child ends with the thread that started it, so the main thread of the daemon calls this. An error that keeps a
        child from starting is ignored here; :meth:`take` raises it.
        """
        with self._lock, suppress(DiodeError, OSError):
            self._drop_dead()
            if self._next is None:
                self._next = Started.now()

    def take(self) -> Started:
        """The child that waits, or a new one. It belongs to the caller. Raises the errors of :meth:`Started.now`."""
        with self._lock:
            self._drop_dead()
            child, self._next = self._next, None
        return child or Started.now()

    def close(self) -> None:
        """End the child that waits, if there is one."""
        with self._lock:
            child, self._next = self._next, None
        if child is not None:
            child.close()

    def _drop_dead(self) -> None:
        if self._next is not None and not self._next.is_alive:
            self._next.close()
            self._next = None
