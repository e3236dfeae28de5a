"""What happened, as it happens: whoever looks it up says it once, and every reader takes what it wants.

Nothing is kept and nothing waits: a reader that needs what happened earlier remembers it itself.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

E = TypeVar("E")


class Stream(Generic[E]):
    """Tells each reader every event, in the thread that says it."""

    def __init__(self, *readers: Callable[[E], None]) -> None:
        self._readers = list(readers)

    def add(self, reader: Callable[[E], None]) -> None:
        """Tell ``reader`` whatever happens from now on, after the readers that are there already."""
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
