"""Reports missing bundles without being asked, each with the code by which a person requests it from the sender.

Signatures prove that some bundles are missing. Other bundles are named by heartbeats alone, which are hints.
"""

from collections.abc import Callable, Collection
from typing import Any, Final

from diode.console.budget import PerMinute
from receiver.events.happened import Event, Noted
from receiver.events.of_link import GapsCounted
from receiver.ledger.ledgers import SupervisorLedger
from receiver.peer.requests import Request, request_gaps, request_signed
from receiver.spool.disk import DiskHealth

PROOF_S: Final = 600  # a bundle that a signature proves to be missing is reported after this time


class Asking:
    """Reports each missing bundle once. ``gaps`` is the list of all that were missing at the last look.

    ``hints`` limits the reports of bundles that only heartbeats name. Times are of one monotonic clock, in seconds.
    """

    def __init__(
        self,
        ledger: SupervisorLedger,
        disk: DiskHealth,
        configured: Collection[str],
        hints: PerMinute,
        say: Callable[[Event], None],
    ) -> None:
        """``configured``: channels that this side has settings for."""
        self.gaps: list[Request] = []
        self._ledger = ledger
        self._disk = disk
        self._configured = configured
        self._hints = hints
        self._say = say
        self._proven: list[Request] = []  # said already
        self._dismissed: tuple[int, int] | None = None  # what people had dismissed at the last look
        self._is_current = False  # nothing has happened since the gaps were looked for

    def outdate(self) -> None:
        """Something has changed, so other bundles may be missing now."""
        self._is_current = False

    def look_back(self, now: float) -> None:
        """The sender is idle: report every bundle that has a number, and did not arrive, as missing."""
        with self._disk.surviving():
            stamp = self._ledger.dismissals.stamp()
            if self._is_current and stamp == self._dismissed:
                return
            self._dismissed = stamp
            gaps = request_gaps(self._ledger, self._configured)
            self._say_proven([gap for gap in gaps if gap.is_signed])
            for gap in gaps:
                if self._is_news(gap) and self._hints.take(now):
                    self._say_missing(gap)
            self.gaps, self._is_current = gaps, True
            self._say(GapsCounted(sum(gap.is_lost for gap in gaps)))

    def look(self, now: float) -> None:
        """Report the bundles that signatures prove to be missing, whether the sender is idle or not."""
        with self._disk.surviving():
            self._say_proven(request_signed(self._ledger, older_than_s=PROOF_S))
        if left_out := self._hints.left_out(now):
            fields = {"count": left_out, "do": "diode-receiver missing"}
            self._say(Noted("error", "bundles_perhaps_missing", fields))

    def _is_news(self, gap: Request) -> bool:
        """Whether a hint speaks of something that was not reported at the last look."""
        return not gap.is_signed and gap.is_lost and gap.code not in {known.code for known in self.gaps}

    def _say_proven(self, proven: list[Request]) -> None:
        known = {request.code for request in self._proven}
        for request in proven:
            if request.code not in known:
                self._say_missing(request)
        self._proven = proven

    def _say_missing(self, request: Request) -> None:
        fields: dict[str, Any] = {"bundle": request.bundle} if request.bundle else {}
        fields |= {"channel": request.channel, "sequence": request.sequence} if request.channel else {}
        self._say(Noted("error", "bundle_missing", fields | {"what": request.text, "do": request.command}))
