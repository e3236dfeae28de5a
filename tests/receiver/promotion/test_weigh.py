"""Which orders count, without files: who may, how many, in which order, and by which clock."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.promotion.orders import OURSELVES, Given, Order
from receiver.promotion.weigh import Due, Moments, Refused, Waits, weigh

NOW = Moments("2026-11-28T12:00:00Z", "2026-11-21T12:00:00Z", "2026-11-28T12:05:00Z")


def given_by(person: str, number: int = 0, **fields: Any) -> Given:
    """An order of a person."""
    usual = {"what": "promote", "channel": "c", "name": "n", "version": "v1", "expects": 3, "at": NOW.now}
    return Given(Order.model_validate({"id": f"{number:016x}"} | usual | fields), person, Path(f"{number}"))


def judged(*orders: Given, needed: int = 1, may: tuple[str, ...] = ("ann", "bob")) -> list[Due | Waits | Refused]:
    """What becomes of them."""
    return list(weigh(orders, lambda person, _: person in may, lambda _: needed, NOW))


@pytest.mark.parametrize(
    ("person", "fields"),
    [
        ("eve", {}),
        ("ann", {"what": "healthy"}),
        (OURSELVES, {}),
        ("ann", {"at": "2026-11-28T12:05:01Z"}),
        ("ann", {"at": "2026-11-21T11:59:59Z"}),
    ],
)
def test_what_does_not_count(person: str, fields: dict[str, Any]) -> None:
    """A stranger's, what only the receiver says, what only people say, and what a clock forbids."""
    (found,) = judged(given_by(person, **fields))
    assert isinstance(found, Refused)


def test_the_receiver_is_alone_with_its_word() -> None:
    """However many people a channel asks for."""
    (found,) = judged(given_by(OURSELVES, what="healthy"), needed=3)
    assert isinstance(found, Due)


@pytest.mark.parametrize("fields", [{"version": "v2"}, {"what": "pin"}, {"expects": 4}, {"name": "other"}])
def test_what_is_not_the_same(fields: dict[str, Any]) -> None:
    """Then two people say two things."""
    found = judged(given_by("ann", 1), given_by("bob", 2, **fields), needed=2)
    assert [Waits, Waits] == [type(one) for one in found]


@given(st.lists(st.sampled_from(["ann", "bob"]), min_size=1, max_size=6))
def test_a_person_counts_once(people: list[str]) -> None:
    """However often they say it."""
    (found,) = judged(*(given_by(person, n) for n, person in enumerate(people)), needed=2)
    assert isinstance(found, Due if len(set(people)) == 2 else Waits)


def test_who_said_it_first_comes_first() -> None:
    """By the moment at which enough people had said so."""
    early = given_by("ann", 1, at="2026-11-28T11:00:00Z", version="v1")
    late = given_by("bob", 2, at="2026-11-28T11:30:00Z", version="v1")
    between = (given_by(person, n, at="2026-11-28T11:10:00Z", version="v2") for n, person in ((3, "ann"), (4, "bob")))
    found = judged(early, late, *between, needed=2)
    assert ["v2", "v1"] == [one.order.version for one in found if isinstance(one, Due)]


def test_of_one_second_what_lay_there_first_comes_first() -> None:
    """Ids are random: they say nothing of time, neither of who spoke first nor of what was ordered first."""
    (found,) = judged(given_by("ann", 9), given_by("bob", 1), needed=2)
    assert isinstance(found, Due)
    assert ["ann", "bob"] == [one.person for one in found.givers]
    two = judged(given_by("ann", 9, version="v2"), given_by("ann", 1, version="v1"))
    assert ["v2", "v1"] == [one.order.version for one in two if isinstance(one, Due)]
