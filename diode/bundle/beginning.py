"""Finds the bundle that a person means by its id or the beginning of it: the same way, and in the same words, anywhere.

What is typed is untrusted text. Nothing is guessed: it must begin exactly one id.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final, Protocol, TypeVar

from diode.bundle.ref import Row, label_of
from diode.errors import UsageError

MOST_NAMED: Final = 8  # bundles named where several begin so
_BEGINNING: Final = re.compile("[0-9a-f]{1,16}", re.ASCII)

R = TypeVar("R", bound=Row)
S = TypeVar("S", bound="Stated")
S_co = TypeVar("S_co", bound="Stated", covariant=True)


class Stated(Row, Protocol):
    """A bundle's row in the ledger of either side, with its state."""

    @property
    def state(self) -> str: ...  # noqa: D102


class Known(Protocol[S_co]):
    """The bundles of a ledger."""

    def beginning(self, beginning: str, most: int, states: Collection[str] = ()) -> Sequence[S_co]:
        """Bundles whose ids begin so, in one of these states, or in any if there are none; at most so many."""


def read_beginning(typed: str, see: str) -> str:
    """What an id begins with, as ids are written. ``see``: the command that shows ids. Raises UsageError."""
    beginning = typed.lower()
    if not _BEGINNING.fullmatch(beginning):
        shown = f"{typed[:40]!r} is no beginning of one" if typed else "none was typed"
        raise UsageError(f"a bundle's id has 16 hexadecimal digits, and its beginning is enough; {shown}: {see}")
    return beginning


def find_bundle(known: Known[S], typed: str, see: str, states: Collection[str] = ()) -> S:
    """The one bundle of a ledger whose id begins so. ``see``: the command that shows those meant.

    Raises UsageError when there is none or are several; where it is in none of ``states``, that says its state.
    """
    beginning = read_beginning(typed, see)
    found = known.beginning(beginning, MOST_NAMED + 1, states)
    if not found and states and len(others := known.beginning(beginning, 2)) == 1:
        raise UsageError(f"{_named(others[0])} is {others[0].state}; nothing was done: {see}")
    return pick(found, typed, see)


def pick(found: Sequence[R], typed: str, see: str) -> R:
    """The only one of those whose ids begin as ``typed``. Raises UsageError when there is none or are several."""
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"no bundle's id begins with {typed[:40]!r}; nothing was done: {see}")
    names = ", ".join(map(_named, found[:MOST_NAMED]))
    more = " and more" if len(found) > MOST_NAMED else ""
    raise UsageError(f"{typed[:40]!r} begins the ids of several bundles: {names}{more}; nothing was done, type more")


def pick_from(bundles: Iterable[R], typed: str, see: str) -> R:
    """The one of ``bundles`` whose id begins as ``typed``. Raises UsageError."""
    beginning = read_beginning(typed, see)
    return pick([one for one in bundles if one.id.startswith(beginning)], typed, see)


def _named(row: Row) -> str:
    return f"{row.id} ({label_of(row)})" if row.name else row.id
