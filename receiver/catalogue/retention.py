"""Which versions of a name gc removes. Pure: what is there, what protects it, and the channel's bounds are given.

What is in use, was in use before, is pinned, or was taken by a client lately is never removed, whatever the bounds say.
Of the others, what is younger than ``keep_days`` stays. What is older goes when it is not among the newest ``keep``, or
beyond ``keep_bytes``, counted from the newest on; where neither of these two is set, for its age alone.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

NEVER: Final = ""  # a moment: a client never took it


class Candidate(NamedTuple):
    """One version of a name. ``published``: since when it is there; ``bytes``: of its content."""

    bundle: str
    version: str
    sequence: int
    published: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one channel; None and 0: no such bound. ``younger_than`` and ``taken_since`` are moments, counted back."""

    keep: int | None = None
    keep_bytes: int = 0
    younger_than: str | None = None  # what was published after it stays
    taken_since: str = NEVER  # what a client took after it stays

    @property
    def bind(self) -> bool:
        """Whether anything is ever removed."""
        return self.keep is not None or self.keep_bytes > 0 or self.younger_than is not None


class Plan(NamedTuple):
    """What gc would remove, and why everything else stays, by bundle id."""

    remove: tuple[Candidate, ...]
    stay: Mapping[str, str]


class Content(NamedTuple):
    """One file on the disk: by its device and inode, how many names it has in all, and its bytes."""

    inode: tuple[int, int]
    names: int
    bytes: int


def plan(
    candidates: Iterable[Candidate], protected: Mapping[str, str], taken: Mapping[str, str], bounds: Bounds
) -> Plan:
    """What to remove of one name. ``protected``: bundle ids and why; ``taken``: when a client last took something."""
    remove: list[Candidate] = []
    stay: dict[str, str] = {}
    total = 0
    for place, one in enumerate(sorted(candidates, key=lambda one: -one.sequence)):
        total += one.bytes
        reason = protected.get(one.bundle, "") or _why_it_stays(one, place, total, taken, bounds)
        if reason:
            stay[one.bundle] = reason
        else:
            remove.append(one)
    return Plan(tuple(reversed(remove)), stay)


def freed_bytes(bundles: Collection[Sequence[Content]]) -> int:
    """How many bytes become free when all these bundles are removed: not what another one shares by a hard link."""
    seen: dict[tuple[int, int], int] = {}
    sizes: dict[tuple[int, int], tuple[int, int]] = {}
    for contents in bundles:
        for one in contents:
            seen[one.inode] = seen.get(one.inode, 0) + 1
            sizes[one.inode] = one.names, one.bytes
    return sum(size for inode, (names, size) in sizes.items() if seen[inode] >= names)


def _why_it_stays(one: Candidate, place: int, total: int, taken: Mapping[str, str], bounds: Bounds) -> str:
    last = taken.get(one.bundle, NEVER)
    if last > bounds.taken_since:
        return f"taken by a client {last}"
    if not bounds.bind:
        return "the channel has no bound"
    if bounds.younger_than is not None and one.published > bounds.younger_than:
        return "young"
    if bounds.keep is None and not bounds.keep_bytes:
        return ""
    is_beyond = (bounds.keep is not None and place >= bounds.keep) or 0 < bounds.keep_bytes < total
    return "" if is_beyond else "within the channel's bounds"
