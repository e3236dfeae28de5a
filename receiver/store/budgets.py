"""Limits how many reports of one kind are made one by one in a minute. The rest is counted and reported as a number.

Reports are limited here when others can cause any number of them. Each kind has a budget of its own, so that what
strangers send hides nothing that a known key has signed. A decision about a signed bundle of any channel but ``trust``
is not limited: it is always written down.
"""

from collections.abc import Callable
from typing import Final, Literal

from diode.audit.chain import What
from diode.audit.log import AuditLog
from diode.console.budget import PerMinute
from receiver.messages.pipeline import MoreNotSaid

Kind = Literal["strangers", "known", "waiting", "trust", "forks"]

# how many a minute, the word of the audit log, and what they are
_KINDS: Final[dict[Kind, tuple[int, What, str]]] = {
    "strangers": (10, What.QUARANTINED, "manifests that no known key signed"),
    "known": (60, What.QUARANTINED, "manifests by known keys that may not sign so, or not any more"),
    "waiting": (20, What.POSTPONED, "bundles that wait for room, or for a person because of their number"),
    "trust": (20, What.REFUSED, "bundles of channel trust"),
    "forks": (20, What.REFUSED, "forks of the trust document"),  # hidden by no other refusal of the channel
}


class ReportBudgets:
    """The budget of each kind. Times are of one monotonic clock, in seconds."""

    def __init__(self, audit: AuditLog, tell: Callable[[MoreNotSaid], None]) -> None:
        self._audit = audit
        self._tell = tell
        self._budgets = {kind: PerMinute(most) for kind, (most, *_) in _KINDS.items()}

    def take(self, kind: Kind, now: float) -> bool:
        """Whether one more report of a kind may be made by itself; otherwise it is counted."""
        return self._budgets[kind].take(now)

    def sum_up(self, now: float) -> None:
        """Report how many were only counted in the minute that is over. Raises StorageError."""
        for kind, (_, what, which) in _KINDS.items():
            if count := self._budgets[kind].left_out(now):
                self._tell(MoreNotSaid(count, which))
                self._audit.append(what, detail=f"{count} more within a minute: {which}")
