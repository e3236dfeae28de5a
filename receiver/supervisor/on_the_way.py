"""Knows the bundles that are being received, and reports those that stay incomplete, with a code for the rest."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from diode.console.budget import PerMinute
from receiver.events.happened import (
    CodeNotKept,
    Coming,
    Ended,
    Event,
    HintsLeftOut,
    Incomplete,
    NowHeld,
    ResendNeeded,
    WorkerDied,
)
from receiver.ledger.ledgers import LedgerView
from receiver.peer.completion import Endings
from receiver.peer.requests import Request, drop_request, keep_request, request_bundle
from receiver.spool.disk import DiskHealth
from receiver.supervisor.figures import Figures, flood_note

HINTS_A_MINUTE: Final = 10  # reports of bundles that heartbeats alone speak of


class OnTheWay:
    """Reader: knows what is coming. ``coming``: the last event of each bundle whose manifest has arrived, by its id.

    ``endings`` says when a bundle is to be reported; ``clock`` is the one that it goes by.
    """

    def __init__(
        self,
        ledger: LedgerView,
        endings: Endings,
        state: Path,
        figures: Figures,
        disk: DiskHealth,
        say: Callable[[Event], None],
        clock: Callable[[], float],
    ) -> None:
        """``state``: the folder below which resend codes are kept."""
        self.coming: dict[str, Coming] = {}
        self._ledger = ledger
        self._endings = endings
        self._state = state
        self._figures = figures
        self._disk = disk
        self._say = say
        self._clock = clock
        self._hints = PerMinute(HINTS_A_MINUTE)

    def read(self, event: Event) -> None:
        """Note what becomes of a bundle."""
        match event:
            case Coming(row, how):
                if how != "progress":
                    self._endings.resumed(row.id, self._clock())
                self.coming[row.id] = event
            case NowHeld(row):
                self.coming.pop(row.id, None)
                self._over(row.id)
            case Ended():
                self._ended(event)
            case WorkerDied():
                self._endings.restarted(event.at)

    def _ended(self, event: Ended) -> None:
        if event.outcome == "dropped":
            self.coming.pop(event.bundle, None)
        elif event.row is not None:  # else anybody may have sent it: it says nothing of the bundle whose id it has
            self.coming.pop(event.bundle, None)
            if event.outcome == "expired":
                self._endings.ended(event.bundle)
            else:
                self._over(event.bundle)

    def _over(self, bundle: str) -> None:
        """Nothing more is to be reported of it, nor to be asked for."""
        self._endings.ended(bundle)
        with self._disk.surviving():
            drop_request(self._state, bundle)

    def sender_gone(self, now: float) -> None:
        """Nothing more of what is coming will come."""
        for bundle in self.coming:
            self._endings.over(bundle, now, receiving=True)

    def report(self, now: float, completed: int, freed: int) -> None:
        """Report what is incomplete by now. ``completed`` slabs were assembled so far, ``freed`` of them stored."""
        self._report(self._endings.due(now, completed, freed), now)
        if left_out := self._hints.left_out(now):
            self._say(HintsLeftOut(left_out))

    def _report(self, bundles: Iterable[str], now: float) -> None:
        for bundle in bundles:
            coming = self.coming.get(bundle)
            if coming is not None and not coming.missing:
                continue  # it is being published
            with self._disk.surviving():
                if self._ledger.bundles.is_over(bundle):
                    continue  # a heartbeat brought up an old one
                if self._ledger.dismissals.of(bundle) is not None:
                    continue  # a person said that nobody misses it
                request = request_bundle(self._ledger, bundle)
                if not request.is_lost:
                    continue  # its manifest came, and that it was refused was said
                if not request.is_signed and not self._hints.take(now):
                    continue  # whoever holds the link key can name bundles without end
                label = coming.row.label if coming is not None else ""
                self._say(self._incomplete(bundle, coming, self._ask(bundle, request, label)))

    def _incomplete(self, bundle: str, coming: Coming | None, code: str) -> Incomplete:
        note = flood_note(self._figures.losses(), self._figures.drops())
        if coming is None:
            return Incomplete(bundle, None, f"no manifest arrived, or none that could be begun{note}", code)
        row = coming.row
        return Incomplete(bundle, row, f"{coming.missing} of {row.slabs} slabs are missing{note}", code)

    def _ask(self, bundle: str, request: Request, label: str) -> str:
        """Keep the code that a person carries to the sender: there is no other way back. A long one is its file."""
        kept = ""
        with self._disk.surviving(lambda: self._say(CodeNotKept())):
            kept = str(keep_request(self._state, bundle, request))
        do = request.command if request.is_short else f"diode-sender resend --missing {bundle}.txt"
        self._say(ResendNeeded(request.text, do, kept, bundle, label))
        return request.code if request.is_short else kept
