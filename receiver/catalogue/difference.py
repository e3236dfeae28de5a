"""What differs between the files of two versions, by their cards. Nothing of the files themselves is read."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, NamedTuple

from receiver.catalogue.card import CardFile

How = Literal["added", "removed", "changed"]
SIGNS: Final[Mapping[How, str]] = {"added": "+", "removed": "-", "changed": "~"}  # as people read them


class Change(NamedTuple):
    """One file that differs. ``before``, ``after``: bytes; None: it is not there. A mode alone is a change, too."""

    how: How
    path: str
    before: int | None
    after: int | None


def differences(before: Iterable[CardFile], after: Iterable[CardFile]) -> Iterator[Change]:
    """The changes from one version to another, sorted by path. Both must be sorted by the bytes of their paths."""
    older, newer = iter(before), iter(after)
    old, new = next(older, None), next(newer, None)
    while old is not None or new is not None:
        if new is None or (old is not None and old.path.encode() < new.path.encode()):
            assert old is not None
            yield Change("removed", old.path, old.size, None)
            old = next(older, None)
        elif old is None or new.path.encode() < old.path.encode():
            yield Change("added", new.path, None, new.size)
            new = next(newer, None)
        else:
            if (old.sha256, old.is_executable) != (new.sha256, new.is_executable):
                yield Change("changed", old.path, old.size, new.size)
            old, new = next(older, None), next(newer, None)
