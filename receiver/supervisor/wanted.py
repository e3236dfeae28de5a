"""The option ``--bundles N``: the daemon ends after N bundles have ended, and its exit code says how they ended."""

from collections.abc import Callable

from diode.errors import IncompleteError
from receiver.events.happened import Ended, Event, Incomplete


class Wanted:
    """Reader: counts bundles that have ended, each once, and calls ``enough`` when there are enough.

    A bundle that was reported as incomplete, and is published after all, counts as published.
    """

    def __init__(self, enough: Callable[[], None]) -> None:
        """``enough`` is called when :attr:`bundles` bundles have ended; if that is None, never."""
        self.bundles: int | None = None
        self._enough = enough
        self._ended: dict[str, str] = {}  # what counts, and how it ended last
        self._refusal_code = 0

    @property
    def exit_code(self) -> int:
        """0, or the code of the first refusal, or of bundles left incomplete."""
        return self._refusal_code or (IncompleteError.exit_code if "incomplete" in self._ended.values() else 0)

    def read(self, event: Event) -> None:
        """Count a bundle that is over."""
        match event:
            case Ended(outcome, bundle):
                self._refusal_code = self._refusal_code or event.exit_code
                if outcome in ("published", "quarantined"):
                    self._end(bundle, outcome)
            case Incomplete(bundle):
                self._end(bundle, "incomplete")

    def _end(self, bundle: str, outcome: str) -> None:
        if self.bundles is None:
            return
        self._ended[bundle] = outcome
        if len(self._ended) >= self.bundles:
            self._enough()
