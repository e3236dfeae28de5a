"""One list of everything in an item that cannot cross, so that a person mends all of it at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from diode.errors import PathError, SourceError

MOST_SHOWN: Final = 100  # a person mends these first
MOST_COUNTED: Final = 1000  # then the rest is not looked at: followed links may lead to the same thing without end


class _EnoughError(SourceError):
    """So many things are refused that the rest is not looked at."""


class Refusals:
    """The refusals of one item, in the order in which they were found."""

    def __init__(self) -> None:
        self._shown: list[str] = []
        self._count = 0

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note the refusal that this block raises, and go on after it. Raises SourceError after MOST_COUNTED."""
        try:
            yield
        except _EnoughError:
            raise
        except (SourceError, PathError) as error:
            self._count += 1
            if len(self._shown) < MOST_SHOWN:
                self._shown.append(str(error))
            if self._count >= MOST_COUNTED:
                raise _EnoughError(*self._words("at least ")) from None

    def check(self) -> None:
        """Raise SourceError with all of them, if there is one."""
        if self._count:
            raise SourceError(*self._words(""))

    def _words(self, about: str) -> tuple[str, list[str]]:
        """(message, details) for all that was noted."""
        first = self._shown[0]
        if self._count == 1:
            return first, []
        more = [f"and {about}{self._count - MOST_SHOWN:,} more"] if self._count > MOST_SHOWN else []
        return f"{about}{self._count:,} things in it cannot be sent; the first: {first}", self._shown + more
