"""The states of a bundle at the receiver, and which of them follows which."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """The state of a bundle. The ledger stores these words, so they cannot be renamed."""

    RECEIVING = "receiving"
    HELD = "held"  # verified, and waits for people or a scanner
    PUBLISHING = "publishing"  # it may lie in the inbox already
    PUBLISHED = "published"
    REFUSED = "refused"  # for good
    EXPIRED = "expired"  # incomplete for too long; it may begin anew


class Proof(StrEnum):
    """What is known of slabs that were written: whether they are on the disk, or in the page cache alone."""

    WRITTEN = "written"  # by this run, and no sync has covered it
    SYNCING = "syncing"  # a sync that covers it is under way
    UNPROVEN = "unproven"  # by an earlier run of this boot: whether a write failed since, that run alone was told
    DURABLE = "durable"  # a sync that succeeded has covered it


class StepError(RuntimeError):
    """The program tried to set a state that may not follow the state of a bundle. This is a fault of the program."""


# Which states may follow a state. A bundle may always stay in its state: an interrupted caller repeats its step.
STEPS: Final[Mapping[State, frozenset[State]]] = {
    # Straight to published: a trust document counts although its place in the inbox is taken.
    State.RECEIVING: frozenset({State.HELD, State.PUBLISHING, State.PUBLISHED, State.REFUSED, State.EXPIRED}),
    State.HELD: frozenset({State.PUBLISHING, State.PUBLISHED, State.REFUSED}),
    # To held: it did not get into the inbox, and its channel holds what comes from the next run on.
    State.PUBLISHING: frozenset({State.HELD, State.PUBLISHED, State.REFUSED}),
    State.PUBLISHED: frozenset(),
    State.REFUSED: frozenset(),
    State.EXPIRED: frozenset({State.RECEIVING, State.REFUSED}),
}
FIRST: Final = frozenset({State.RECEIVING, State.REFUSED})  # of a bundle that the ledger does not know
OVER: Final = frozenset({State.HELD, State.PUBLISHING, State.PUBLISHED, State.REFUSED})  # nothing more is received


def check_step(bundle: str, before: State | None, after: State) -> None:
    """Raise StepError unless ``after`` may follow ``before``. None: the ledger does not know the bundle."""
    allowed = FIRST if before is None else STEPS[before]
    if after != before and after not in allowed:
        raise StepError(f"bundle {bundle} is {before or 'unknown'} and cannot become {after}")
