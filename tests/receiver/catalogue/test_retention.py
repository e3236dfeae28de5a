"""Which versions gc removes: by count, by bytes, by age; and what stays whatever the bounds are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.catalogue.retention import Bounds, Candidate, Content, freed_bytes, plan

DAYS = [f"2026-11-{day:02}T00:00:00Z" for day in range(1, 11)]
ALL = [Candidate(f"{n:016x}", f"v{n}", n, DAYS[n], 100) for n in range(10)]


def removed(bounds: Bounds, protected: tuple[int, ...] = (), taken: dict[int, str] | None = None) -> list[int]:
    """Sequence numbers of what goes."""
    kept = {ALL[n].bundle: "in use" for n in protected}
    found = plan(ALL, kept, {ALL[n].bundle: at for n, at in (taken or {}).items()}, bounds)
    assert len(found.remove) + len(found.stay) == len(ALL)
    return [one.sequence for one in found.remove]


@pytest.mark.parametrize(
    ("bounds", "gone"),
    [
        (Bounds(), []),
        (Bounds(keep=3), [0, 1, 2, 3, 4, 5, 6]),
        (Bounds(keep_bytes=450), [0, 1, 2, 3, 4, 5]),
        (Bounds(younger_than=DAYS[5]), [0, 1, 2, 3, 4, 5]),
        (Bounds(keep=2, younger_than=DAYS[5]), [0, 1, 2, 3, 4, 5]),
        (Bounds(keep=8, younger_than=DAYS[5]), [0, 1]),
        (Bounds(keep=8, keep_bytes=500), [0, 1, 2, 3, 4]),
        (Bounds(keep_bytes=10), list(range(10))),
    ],
)
def test_the_bounds_of_a_channel(bounds: Bounds, gone: list[int]) -> None:
    """Young ones stay; of the others goes what is beyond the count or the bytes."""
    assert gone == removed(bounds)


def test_what_stays_whatever_the_bounds_are() -> None:
    """What is in use, and what a client took lately."""
    bounds = Bounds(keep=1, taken_since=DAYS[4])
    assert [1, 3, 4, 5, 6, 7] == removed(bounds, (0, 8), {2: DAYS[6], 3: DAYS[3]})


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)), st.integers(1, 12), st.integers(0, 1200))
def test_nothing_protected_goes(protected: set[int], taken: set[int], keep: int, most: int) -> None:
    """For any bounds."""
    bounds = Bounds(keep=keep, keep_bytes=most, taken_since=DAYS[0])
    gone = set(removed(bounds, tuple(protected), dict.fromkeys(taken, DAYS[9])))
    assert not gone & (protected | taken)


def test_shared_content_is_not_free() -> None:
    """A file with another name elsewhere stays on the disk; one whose names all go does not."""
    own, shared, twice = Content((1, 1), 1, 10), Content((1, 2), 2, 100), Content((1, 3), 2, 1000)
    assert 1010 == freed_bytes([[own, shared, twice], [twice]])
    assert 0 == freed_bytes([[shared]])
    assert 100 == freed_bytes([[shared, shared]])
