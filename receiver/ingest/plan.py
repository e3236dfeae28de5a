"""Which steps are left for one bundle, from what lies in the store and what the journal says. Pure."""

from typing import Literal, NamedTuple

from diode.errors import ReplayError
from receiver.ingest.journal import Record
from receiver.ingest.target import Found

Step = Literal["put", "check", "publish", "point"]


class Plan(NamedTuple):
    """``steps``: in their order; none: nothing is left. ``replaces``: digest of what is to be set aside."""

    steps: tuple[Step, ...]
    replaces: str = ""


class Asked(NamedTuple):
    """What is wanted: the version's place and digest, that the moving name leads there, that it may replace."""

    label: str
    place: str
    sums: str
    is_current: bool
    may_replace: bool


def plan(asked: Asked, found: Found, current: str, record: Record | None) -> Plan:
    """The steps that are left. Raises ReplayError when other content lies there and may not be replaced."""
    steps: list[Step] = []
    replaces = ""
    if found.state == "other":
        replaces = _replaced(asked, found, record)
    if found.state != "same":
        steps += ["put", "check", "publish"]
    elif record is not None and record.phase == "doing" and record.publishing:
        steps.append("publish")  # it may have been ended before it was over
    if asked.is_current and current != asked.place:
        steps.append("point")
    return Plan(tuple(steps), replaces)


def _replaced(asked: Asked, found: Found, record: Record | None) -> str:
    is_begun = record is not None and record.phase == "doing" and record.replaces == found.digest
    if not (asked.may_replace or is_begun):
        raise ReplayError(
            f"the target already holds other content under {asked.label}: its digest is {found.digest}, "
            f"the bundle's is {found.wanted or asked.sums}; nothing was changed; --replace sets the other content aside"
        )
    return found.digest
