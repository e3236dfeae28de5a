"""When the next drill of each name is due. Pure but for the ledger that it is given.

A channel says how often (``drill_days``). It counts from the last drill that passed. Where none has, it counts
from when the name was first put to use. A name with nothing to go back to cannot be rehearsed, and is not due.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from diode.formats.timestamps import moment, seconds_of
from receiver.ledger.drills import Drill
from receiver.ledger.ledgers import LedgerView

DAY_S: Final = 86400


class Due(NamedTuple):
    """One name. ``last``: its newest drill, however it ended. ``due`` empty: its channel asks for none."""

    channel: str
    name: str
    last: Drill | None
    due: str
    is_overdue: bool


def due_drills(ledger: LedgerView, days: Mapping[str, int], now: str) -> list[Due]:
    """Every name that is to be rehearsed, or was. ``days``: of each channel that asks for drills; 0: of none."""
    newest, passed = ledger.drills.newest(), ledger.drills.newest_passed()
    found: dict[tuple[str, str], Due] = {}
    for channel, every in sorted(days.items()):
        first_used = ledger.drills.first_used(channel) if every else {}
        for pointer in ledger.pointers.of_channel(channel) if every else ():
            if pointer.previous is None and pointer.drill is None:
                continue
            place = pointer.channel, pointer.name
            since = passed[place].ended if place in passed else first_used.get(pointer.name, pointer.changed)
            due = later(since, every)
            found[place] = Due(*place, newest.get(place), due, due <= now)
    for place, last in newest.items():
        found.setdefault(place, Due(*place, last, "", is_overdue=False))
    return [found[place] for place in sorted(found)]


def later(since: str, days: int) -> str:
    """The moment so many days after another one."""
    return moment(seconds_of(since) + days * DAY_S)
