"""Which orders count, and how many people have said the same. Pure: no files, no clock.

An order is due when as many people have said the same as its channel asks for. A person counts once, however often they
say it. The same means: the same thing to be done, about the same version, with the same pointer before their eyes.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from receiver.promotion.orders import OURSELVES, Given, Order

LATEST_S: Final = 300  # so far ahead of this host's clock an order may be dated
OLDEST_S: Final = 7 * 86400
BY_OURSELVES: Final = ("healthy", "unhealthy", "describe")  # what the receiver's own key alone says


class Due(NamedTuple):
    """An order that enough people have given."""

    givers: tuple[Given, ...]

    @property
    def order(self) -> Order:
        """What they all say; its id is that of the first."""
        return self.givers[0].order


class Waits(NamedTuple):
    """An order that more people have to give."""

    givers: tuple[Given, ...]
    people: int
    needed: int

    @property
    def detail(self) -> str:
        """For people."""
        return f"{self.people} of {self.needed} people have said so"


class Refused(NamedTuple):
    """An order that does not count, and why."""

    given: Given
    reason: str


class Moments(NamedTuple):
    """This host's time, and between which times an order may be dated; texts that sort by time."""

    now: str
    earliest: str
    latest: str


def weigh(
    given: Iterable[Given],
    may: Callable[[str, str], bool],
    needed: Callable[[Order], int],
    moments: Moments,
) -> Iterator[Due | Waits | Refused]:
    """Judge orders. What is due comes in the order in which the last person that was needed said so.

    Of orders of one second, the one that stands before the other in ``given`` was said first.
    ``may(person, channel)``: whether a person's word counts; ``needed``: how many people have to say the same.
    """
    groups: dict[tuple[object, ...], list[Given]] = {}
    ordered = sorted(given, key=lambda one: one.order.at)
    place = {one.order.id: number for number, one in enumerate(ordered)}
    for one in ordered:
        reason = _why_not(one, may, moments)
        if reason:
            yield Refused(one, reason)
        else:
            groups.setdefault(_same(one.order), []).append(one)
    due: list[tuple[int, Due]] = []
    for group in groups.values():
        enough = _enough(group, needed(group[0].order))
        if enough is None:
            yield Waits(tuple(group), len({one.person for one in group}), needed(group[0].order))
        else:
            due.append((place[enough.order.id], Due(tuple(group))))
    yield from (one for _, one in sorted(due, key=lambda pair: pair[0]))


def _why_not(one: Given, may: Callable[[str, str], bool], moments: Moments) -> str:
    order = one.order
    if order.at > moments.latest:
        return f"it is dated {order.at}, and here it is {moments.now}: one of the two clocks is wrong"
    if order.at < moments.earliest:
        days = OLDEST_S // 86400
        return f"it is dated {order.at}, and here it is {moments.now}: orders count for {days} days; order it again"
    if (one.person == OURSELVES) != (order.what in BY_OURSELVES):
        return f"{one.person} may not order this"
    if one.person != OURSELVES and not may(one.person, order.channel):
        return f"{one.person} may not decide about channel {order.channel or '(none)'}"
    return ""


def _same(order: Order) -> tuple[object, ...]:
    return (order.what, order.channel, order.name, order.version, tuple(order.bundles), order.expects)


def _enough(group: list[Given], needed: int) -> Given | None:
    """The order by which enough people had said the same."""
    people: set[str] = set()
    for one in group:
        people.add(one.person)
        if one.person == OURSELVES or len(people) >= needed:
            return one
    return None
