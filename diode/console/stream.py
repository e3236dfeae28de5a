"""Passes each event of a daemon to every reader, such as progress, logs and metrics.

Whoever notices an event calls :meth:`Stream.say` once. Events are not stored or queued. A reader that needs earlier
events remembers them itself.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

E = TypeVar("E")


class Stream(Generic[E]):
    """Tells each reader every event, in the thread of the caller."""

    def __init__(self, *readers: Callable[[E], None]) -> None:
        self._readers = list(readers)

    def add(self, reader: Callable[[E], None]) -> None:
        """Pass all events from now on to ``reader``, after the readers that were added before."""
        self._readers.append(reader)

    def say(self, event: E) -> None:
        """Tell each reader in turn, also after one that raises; then raise what the first of them raised.

        Readers must not raise for events that they do not know.
        """
        errors: list[Exception] = []
        for read in self._readers:
            try:
                read(event)
            except Exception as error:  # noqa: BLE001 - what one reader cannot do, such as print, is no other's affair
                errors.append(error)
        if errors:
            raise errors[0]
