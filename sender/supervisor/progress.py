"""Shows the progress of each bundle to a person or a program: a reader of events that draws on the display."""

from collections.abc import Callable, Mapping

from diode.console.progress import Display
from sender.events.happened import BundleResent, BundleSent, CheckEnded, CheckRuns, Event, SlabSent


class Shown:
    """Draws progress and outcomes. ``figures`` gives the workers' counters, which go with each line of progress."""

    def __init__(self, display: Display, figures: Callable[[], Mapping[str, int]]) -> None:
        self._display = display
        self._figures = figures

    def hear(self, event: Event) -> None:
        """Draw an event, if it is one that is shown."""
        match event:
            case CheckRuns():
                self._display.update(
                    _shown(event), event.done_bytes, event.total_bytes, "", {"check": event.check, "item": _item(event)}
                )
            case CheckEnded():
                self._display.forget(_shown(event))
            case SlabSent():
                detail = f"pass {event.sending_pass}/{event.passes}"
                done, total = event.done_bytes, event.total_bytes
                self._display.update(event.bundle.label, done, total, detail, {**event.bundle.names, **self._figures()})
            case BundleSent(bundle, size, files, passes):
                fields = {**bundle.names, "bytes": size, "files": files, "passes": passes}
                self._display.finish(bundle.label, "sent", fields)
            case BundleResent(bundle, size, files):
                fields = {**bundle.names, "bytes": size, "files": files, "passes": 1}
                self._display.finish(bundle.label, "resent", fields)


def _shown(event: CheckRuns | CheckEnded) -> str:
    return f"{event.check} {_item(event)}"


def _item(event: CheckRuns | CheckEnded) -> str:
    return f"{event.channel}/{event.name}"
