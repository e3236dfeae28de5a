"""Whether workers that died are started anew: a restart does not mend what kills them again and again."""

from collections import deque
from typing import Final

from diode.errors import DiodeError, WorkerError
from diode.process.messages import Fatal

MOST_RESTARTS: Final = 5  # within WITHIN_S
WITHIN_S: Final = 60.0


class Restarts:
    """Counts deaths. More than ``most`` within a minute end the daemon."""

    def __init__(self, most: int) -> None:
        self._deaths: deque[float] = deque(maxlen=most + 1)

    def died(self, worker: str, now: float) -> WorkerError | None:
        """Count a death, at ``now`` of a monotonic clock. Returns the error to end with when there were too many."""
        self._deaths.append(now)
        if len(self._deaths) < (self._deaths.maxlen or 0) or now - self._deaths[0] >= WITHIN_S:
            return None
        return WorkerError(f"{worker} died {len(self._deaths)} times within a minute; all is kept")


def failure_of(fatal: Fatal) -> DiodeError:
    """The error to end with when a worker cannot work at all, with the exit code that it gave."""
    error = DiodeError(fatal.detail)
    error.exit_code = fatal.exit_code
    return error
