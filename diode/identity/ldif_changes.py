"""Changes of a directory (RFC 2849): what each does to its entries, and how many it takes away."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from diode.identity.material import Fault, IdentityError
from diode.identity.names import Name, text_of
from diode.identity.showing import shown

MOST_UNKNOWN: Final = 10  # entries that changes may take away where nobody knows how many there are


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one entry. ``kind``: add, delete, modify or move. ``to``: the new name of what is moved."""

    kind: str
    name: Name
    to: Name = ()
    said: str = ""  # what a modification does to which attributes

    @property
    def takes(self) -> bool:
        """Whether the entry's name is gone afterwards."""
        return self.kind in ("delete", "move")

    def line(self) -> str:
        """For people."""
        name = shown(text_of(self.name))
        if self.kind == "move":
            return f"moved entry {name} to {shown(text_of(self.to))}"
        if self.kind == "modify":
            return f"changed entry {name}: {shown(self.said)}"
        return f"{'added' if self.kind == 'add' else 'removed'} entry {name}"


def check_known(changes: Iterable[Change], entries: Mapping[str, bytes], most_removed: float) -> None:
    """Refuse changes that do not apply to the ``entries`` of a tree, or take away too many. Raises IdentityError."""
    before = set(entries)
    tree = _Tree(before)
    for change in changes:
        tree.apply(change)
    check_share(len(before - tree.names), len(before), most_removed)


def check_unknown(changes: Sequence[Change]) -> None:
    """Refuse changes that take away more than MOST_UNKNOWN entries. Raises IdentityError."""
    taken = sum(change.takes for change in changes)
    if taken > MOST_UNKNOWN:
        said = f"it takes {taken} entries away; without a whole list of entries before it, {MOST_UNKNOWN} at most"
        raise IdentityError(Fault.SWEEPING, said)


def check_share(taken: int, total: int, most: float) -> None:
    """Refuse that more than the share ``most`` of what was there goes. Raises IdentityError."""
    if taken > total * most:
        raise IdentityError(Fault.SWEEPING, f"{taken} of {total} entries go, and the channel allows {most:.0%} at once")


class _Tree:
    """The names of a directory's entries, and how many lie right below each."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = set(names)
        self._below = Counter(_above(name) for name in self.names)

    def apply(self, change: Change) -> None:
        """Change the tree as a directory would. Raises IdentityError where a directory would refuse."""
        name = text_of(change.name)
        if change.kind != "add" and name not in self.names:
            raise IdentityError(Fault.BASE, f"it changes {shown(name)}, which was not there before")
        if change.takes:
            self._take(name)
        if change.kind in ("add", "move"):
            self._put(text_of(change.to or change.name))

    def _take(self, name: str) -> None:
        if self._below[name] > 0:
            raise IdentityError(Fault.SWEEPING, f"it takes {shown(name)} away, which has entries below it")
        self.names.remove(name)
        self._below[_above(name)] -= 1

    def _put(self, name: str) -> None:
        if name in self.names:
            raise IdentityError(Fault.MALFORMED, f"it adds {shown(name)}, which is there")
        self.names.add(name)
        self._below[_above(name)] += 1


def _above(name: str) -> str:
    """The name right above."""
    return name.partition(",")[2]
