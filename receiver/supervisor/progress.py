"""Shows a person or a program the progress of each bundle, and one line when it has ended."""

from typing import Any, Final

from diode.bundle.ref import names_of
from diode.console.progress import Display
from receiver.events.happened import Coming, Ended, Event, Incomplete, NowHeld, Ticked
from receiver.ledger.bundles import Row
from receiver.supervisor.figures import Figures

_SHOWN: Final = ("bytes", "files", "path", "signer", "reason", "detail", "resend_code", "at_ms")


class Progress:
    """Reader: shows what is coming at every tick, and what is over at once."""

    def __init__(self, display: Display, figures: Figures) -> None:
        self._display = display
        self._figures = figures
        self._coming: dict[str, Coming] = {}
        self._told: dict[str, int] = {}  # how much of each was here when it was last shown
        self._before: dict[str, dict[str, int]] = {}  # what was counted when a bundle was first seen

    def read(self, event: Event) -> None:
        """Show an event, if it is one of a bundle."""
        match event:
            case Ticked():
                for bundle, coming in self._coming.items():
                    if self._told.get(bundle) != coming.stored_bytes:  # else a line each time, for as long as it waits
                        self._told[bundle] = coming.stored_bytes
                        self._show(coming)
            case Coming(row):
                self._coming[row.id] = event
                self._before.setdefault(row.id, self._figures.losses())
            case NowHeld(row):
                self._forget(row.id)
                self._before.pop(row.id, None)
            case Ended():
                self._end(event)
            case Incomplete(bundle, row):
                sizes = {} if row is None else {"bytes": row.size, "files": row.files}
                told = sizes | {"detail": event.detail, "reason": "incomplete", "resend_code": event.resend_code}
                self._finish("incomplete", bundle, row, told)

    def _end(self, event: Ended) -> None:
        if event.row is not None or event.outcome == "dropped":  # else anybody may have sent it
            self._forget(event.bundle)
        if event.outcome in ("published", "quarantined"):
            self._finish(event.outcome, event.bundle, event.row, event.fields)
        if event.row is not None or event.outcome == "dropped":
            self._before.pop(event.bundle, None)

    def _forget(self, bundle: str) -> None:
        self._coming.pop(bundle, None)
        self._told.pop(bundle, None)

    def _finish(self, outcome: str, bundle: str, row: Row | None, told: dict[str, Any]) -> None:
        names = {"bundle": bundle} if row is None else names_of(row)
        fields = names | {name: told[name] for name in _SHOWN if name in told}
        self._display.finish(names.get("label", bundle), outcome, fields | self._since(bundle))

    def _since(self, bundle: str) -> dict[str, int]:
        """What the link counted while a bundle was on its way; of several at a time nobody can tell whose it was."""
        now = self._figures.losses()
        before = self._before.get(bundle, now)
        return {name: max(0, count - before[name]) for name, count in now.items()}

    def _show(self, coming: Coming) -> None:
        losses = self._figures.losses()
        total = losses["datagrams"] + losses["lost_before_fec"]
        share = 100 * losses["lost_before_fec"] / total if total else 0.0
        detail = f"loss {share:.2f} %, after FEC {losses['blocks_lost']} blocks"
        figures = names_of(coming.row) | self._since(coming.row.id)
        self._display.update(coming.row.label, coming.stored_bytes, coming.row.size, detail, figures)
