"""Which bundles of a snapshot hold a digest: layers are shared, so one digest may have several owners.

The index for searching knows them. For bundles that are newer than that there is one sorted array of numbers, eight
bytes for each digest: 40 bits of it, and 24 bits that say which bundle. What is found is checked in the card. The array
is made when it is first needed: when a digest is asked for that recalled bundles hold, or nobody. Cards never change,
so only those of new bundles are read when the snapshot has moved.
"""

import threading
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final, Self

from diode.errors import StorageError
from receiver.catalogue.search import Indexed
from receiver.catalogue.snapshot import Listed, Snapshot
from receiver.gateway.view import LaterError, View

_BUNDLE_BITS: Final = 24
_PREFIX_DIGITS: Final = 10  # hexadecimal: 40 bits
_MOST_KEPT: Final = 8


class Digests:
    """All digests that the bundles of some channels noted under one kind of fact, as ``sha256:HEX``."""

    def __init__(self, snapshot: Snapshot, channels: Collection[str], fact: str, older: Self | None) -> None:
        self.stamp = (snapshot.generation, snapshot.at)
        self._fact = fact
        self._indexed = Indexed(snapshot.folder)
        self._ids: list[str] = []
        self.prefixes: dict[str, array[int]] = {}  # of bundles that the index does not know
        known = older.prefixes if older else {}
        indexed = self._indexed.bundles()
        for bundle, channel in snapshot.present():
            if channel in channels and bundle not in indexed:
                found = known.get(bundle)
                self.prefixes[bundle] = _prefixes(snapshot, bundle, fact) if found is None else found
        self._all = self._merged()

    def holding(self, view: View, digest: str, which: Callable[[Listed], bool]) -> Iterator[Listed]:
        """The bundles that hold a digest and that this client may see, of those that ``which`` takes."""
        for bundle in self._candidates(digest):
            one = view.snapshot.get(bundle)
            if one and one.channel in view.open and which(one) and holds(view, one, self._fact, digest):
                yield one

    def _candidates(self, digest: str) -> Iterator[str]:
        yield from self._indexed.holding(digest.removeprefix("sha256:"))
        prefix = _prefix(digest)
        at = bisect_left(self._all, prefix << _BUNDLE_BITS)
        while at < len(self._all) and self._all[at] >> _BUNDLE_BITS == prefix:
            yield self._ids[self._all[at] & ((1 << _BUNDLE_BITS) - 1)]
            at += 1

    def _merged(self) -> "array[int]":
        every: list[int] = []
        for bundle, prefixes in self.prefixes.items():
            number = len(self._ids)
            self._ids.append(bundle)
            every += [prefix << _BUNDLE_BITS | number for prefix in prefixes]
        every.sort()
        return array("Q", every)


_kept: dict[tuple[Path, frozenset[str], str], Digests] = {}
_making = threading.Lock()


def digests_of(view: View, fact: str) -> Digests:
    """The digests of a view's snapshot: made when it is first asked for, and kept until the snapshot moves.

    Raises LaterError where they are not there, and the view is not patient.
    """
    key = (view.snapshot.folder, view.channels, fact)
    if (found := _fresh(key, view.snapshot)) is not None:
        return found
    if not view.is_patient:
        raise LaterError
    with _making:
        if (found := _fresh(key, view.snapshot)) is None:
            found = Digests(view.snapshot, view.channels, fact, _kept.pop(key, None))
            _kept[key] = found
            if len(_kept) > _MOST_KEPT:
                _kept.pop(next(iter(_kept)), None)
    return found


def _fresh(key: tuple[Path, frozenset[str], str], snapshot: Snapshot) -> Digests | None:
    found = _kept.get(key)
    return found if found and found.stamp == (snapshot.generation, snapshot.at) else None


def holds(view: View, one: Listed, fact: str, digest: str) -> bool:
    """Whether a bundle noted a digest. One without a card holds nothing."""
    try:
        return one.state != "removed" and view.card(one).fact(fact, digest) is not None
    except StorageError:
        return False


def owner(view: View, own: Collection[Listed], fact: str, digest: str) -> Listed | None:
    """Whose file of this content is served: one of a name's ``own`` bundles, or else any other that holds it, too.

    Another bundle's content is served under a name only where one of the name's own bundles holds it as well. Where
    recalled bundles alone hold it, one of them is the answer: the caller says so. Raises LaterError.
    """
    knowing = [one for one in own if holds(view, one, fact, digest)]
    mine = next((one for one in knowing if one.is_servable), None)
    if mine or not knowing:
        return mine or _recalled(view, fact, digest)
    others = digests_of(view, fact).holding(view, digest, lambda one: one.is_servable)
    return next(others, knowing[0])


def _recalled(view: View, fact: str, digest: str) -> Listed | None:
    """The newest recalled bundle that held what nobody of this name does."""
    if not view.snapshot.any_recalled():
        return None
    held = digests_of(view, fact).holding(view, digest, lambda one: one.state == "recalled")
    return max(held, key=lambda one: one.sequence, default=None)


def _prefix(digest: str) -> int:
    return int(digest.removeprefix("sha256:")[:_PREFIX_DIGITS], 16)


def _prefixes(snapshot: Snapshot, bundle: str, fact: str) -> "array[int]":
    try:
        card = snapshot.open_card(bundle)
    except StorageError:
        return array("Q")
    try:
        return array("Q", map(_prefix, card.facts(fact)))
    except StorageError:
        return array("Q")
    finally:
        card.close()
