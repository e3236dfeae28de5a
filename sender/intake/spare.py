"""Keeps one child process ``examine`` ready ahead of need, so that an item does not wait for one to be confined.

Children are forked from a nursery, which has loaded what they need (ADR 0054). The spare child waits for its first
message. It has no file of any item yet. Nursery and children end with the daemon, as every worker does.
"""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from threading import Lock
from typing import Final

from diode.errors import DiodeError, WorkerError
from diode.process.nursery import Born, Nursery
from sender.intake.messages import CHILD_SAYS, TO_CHILD

MODULE: Final = "sender.intake.examine"


@dataclass(frozen=True, slots=True)
class Started:
    """A child for one item. ``close`` ends it, and its nursery if that is for this child alone."""

    child: Born
    close: Callable[[], None]


def start_alone() -> Started:
    """Start a nursery for one child. Raises the errors of :class:`Nursery`."""
    with ExitStack() as stack:
        nursery = Nursery(MODULE)
        born = stack.enter_context(ExitStack())
        stack.callback(nursery.close)  # first: its child ends with it, even one that it has yet to bear
        child = _bear(nursery)
        born.callback(child.close)
        return Started(child, stack.pop_all().close)


class Spare:
    """Holds a nursery, and one child at most that it has born ahead, until somebody takes that."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._nursery: Nursery | None = None
        self._next: Born | None = None

    def prepare(self) -> None:
        """Have a child ready unless one waits already. What has died is replaced.

        A nursery ends with the thread that started it, so the main thread of the daemon calls this. An error that keeps
        a child from starting is ignored here; :meth:`take` raises it.
        """
        with self._lock, suppress(DiodeError, OSError):
            if self._next is not None and self._next.has_ended:
                self._drop()
            if self._next is None:
                self._next = self._bear()

    def take(self) -> Started:
        """The child that waits, or a new one. It belongs to the caller. Raises the errors of :class:`Nursery`."""
        with self._lock:
            child, self._next = self._next, None
            if child is not None and child.has_ended:
                child.close()
                child = None
            child = child or self._bear()
            return Started(child, child.close)

    def close(self) -> None:
        """End the child that waits, if there is one, and the nursery."""
        with self._lock:
            if self._nursery is not None:
                self._nursery.close()  # first: its child ends with it, even one that it has yet to bear
                self._nursery = None
            self._drop()

    def _bear(self) -> Born:
        if self._nursery is not None and not self._nursery.is_alive:
            self._nursery.close()
            self._nursery = None
        if self._nursery is None:
            self._nursery = Nursery(MODULE)
        return _bear(self._nursery)

    def _drop(self) -> None:
        if self._next is not None:
            self._next.close()
            self._next = None


def _bear(nursery: Nursery) -> Born:
    """Raises WorkerError when the nursery ended in this moment."""
    try:
        return nursery.bear(hears=TO_CHILD, says=CHILD_SAYS)
    except OSError as error:
        raise WorkerError(f"no child can be had to look at an item: {error.strerror}") from error
