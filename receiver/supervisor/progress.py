"""Shows a person or a program the progress of each bundle, and one line when it has ended."""

from typing import Any, Final

from diode.console.progress import Display
from receiver.events.happened import Coming, Ended, Event, Incomplete, NowHeld, Ticked
from receiver.supervisor.figures import Figures

_SHOWN: Final = ("bytes", "files", "path", "signer", "reason", "detail", "resend_code", "at_ms")


class Progress:
    """Reader: shows what is coming at every tick, and what is over at once."""

    def __init__(self, display: Display, figures: Figures) -> None:
        self._display = display
        self._figures = figures
        self._coming: dict[str, Coming] = {}

    def read(self, event: Event) -> None:
        """Show an event, if it is one of a bundle."""
        match event:
            case Ticked():
                for coming in self._coming.values():
                    self._show(coming)
            case Coming(row):
                self._coming[row.id] = event
            case NowHeld(row):
                self._coming.pop(row.id, None)
            case Ended():
                self._end(event)
            case Incomplete(bundle, row):
                sizes = {} if row is None else {"bytes": row.size, "files": row.files}
                told = sizes | {"detail": event.detail, "reason": "incomplete", "resend_code": event.resend_code}
                self._finish("incomplete", bundle, bundle if row is None else row.label, told)

    def _end(self, event: Ended) -> None:
        if event.row is not None or event.outcome == "dropped":  # else anybody may have sent it
            self._coming.pop(event.bundle, None)
        if event.outcome in ("published", "quarantined"):
            label = event.bundle if event.row is None else event.row.label
            self._finish(event.outcome, event.bundle, label, event.fields)

    def _finish(self, outcome: str, bundle: str, label: str, told: dict[str, Any]) -> None:
        fields = {"id": bundle} | {name: told[name] for name in _SHOWN if name in told}
        self._display.finish(label, outcome, fields | self._figures.losses())

    def _show(self, coming: Coming) -> None:
        losses = self._figures.losses()
        total = losses["datagrams"] + losses["lost_before_fec"]
        share = 100 * losses["lost_before_fec"] / total if total else 0.0
        detail = f"loss {share:.2f} %, after FEC {losses['blocks_lost']} blocks"
        self._display.update(coming.row.label, coming.stored_bytes, coming.row.size, detail, losses)
