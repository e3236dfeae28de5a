"""Files of packages that several bundles hold: which bytes a name stands for, and which bundle may serve them.

A file name of PyPI, and a version of npm, stand for the same bytes for ever: those that were published first. Other
bytes under the same name are never served. Bytes that a bundle which may be served holds are served for that one,
whatever became of other bundles that hold them, too.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from diode.errors import StorageError
from diode.layouts.kinds import Kind
from receiver.catalogue.card import CardFile
from receiver.catalogue.snapshot import Listed
from receiver.gateway.view import View

Fact = Mapping[str, Any]


class Holder(NamedTuple):
    """A bundle that holds the bytes, and what its card notes of them."""

    bundle: Listed
    fact: Fact


@dataclass(slots=True)
class Package:
    """One file. ``holders``: bundles with its bytes; there is one at least."""

    holders: list[Holder] = field(default_factory=list)

    @property
    def fact(self) -> Fact:
        """What the card of the first holder notes; of every holder it is the same, but for path and date."""
        return self.holders[0].fact

    @property
    def uploaded(self) -> str:
        """The earliest date that is known of it."""
        return str(min(one.fact["uploaded"] for one in self.holders))

    @property
    def served(self) -> Holder | None:
        """A holder that may be served."""
        return next((one for one in self.holders if one.bundle.is_servable), None)

    @property
    def offering(self) -> list[Listed]:
        """Bundles for which lists of versions show it."""
        return [one.bundle for one in self.holders if one.bundle.is_offered and one.bundle.is_servable]

    @property
    def recalled(self) -> Listed | None:
        """The bundle whose recall takes it away: the newest recalled one, where none is left that may be served."""
        if self.served is not None:
            return None
        gone = [one.bundle for one in self.holders if one.bundle.state == "recalled"]
        return max(gone, key=lambda one: (one.recalled, one.sequence), default=None)

    @property
    def is_left(self) -> bool:
        """Whether it was in use, may be served, and is in no list since a rollback."""
        return not self.offering and any(one.bundle.is_servable and is_in_use(one.bundle) for one in self.holders)

    @property
    def was_in_use(self) -> bool:
        """Whether any bundle that holds it is or was in use. What never was is in no list."""
        return any(is_in_use(one.bundle) for one in self.holders)


class Gathered(NamedTuple):
    """All files of one name, by their key; and (key, SHA-256) of those that came second with other bytes."""

    packages: dict[str, Package]
    second: set[tuple[str, str]]


def is_in_use(bundle: Listed) -> bool:
    """Whether a bundle is or was in use."""
    return bundle.is_current or bundle.was_current or bundle.is_offered


def gather(view: View, kind: Kind, name: str, key_of: Callable[[Fact], str | None]) -> Gathered:
    """All files of a name (in its normal form), also of recalled bundles. ``key_of``: None for what does not count.

    Raises TokenNeededError.
    """
    gathered = Gathered({}, set())
    bundles = [one for one in view.holding(name) if one.state != "removed"]
    for bundle in sorted(bundles, key=lambda one: (not is_in_use(one), one.published, one.sequence)):
        facts: list[Fact] = []
        with suppress(StorageError):  # a bundle without its card serves nothing; others do
            facts = view.card(bundle).json(kind, name) or []
        for fact in facts:
            if (key := key_of(fact)) is None:
                continue
            package = gathered.packages.setdefault(key, Package())
            if not package.holders or package.fact["sha256"] == fact["sha256"]:
                package.holders.append(Holder(bundle, fact))
            else:
                gathered.second.add((key, fact["sha256"]))
    return gathered


def card_file(view: View, holder: Holder) -> CardFile | None:
    """A file as the signed table of its bundle has it. None: its card is not there."""
    with suppress(StorageError):
        return view.card(holder.bundle).file(str(holder.fact["path"]))
    return None
