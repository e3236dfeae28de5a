"""Whether workers that died are started anew: a restart does not mend what kills them again and again.

What cannot be started now, because a name server is away or memory is short, is tried again for a minute.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from diode.errors import DiodeError, NetworkError, WorkerError
from diode.log import log
from diode.process.messages import Fatal

MOST_RESTARTS: Final = 5  # within WITHIN_S
WITHIN_S: Final = 60.0
PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # between tries to start workers; a minute in all


@dataclass(frozen=True, slots=True)
class WorkersLate:
    """The next workers could not be started. It is tried again in ``again_s`` seconds."""

    detail: str
    again_s: float


class Rebuilding:
    """Builds the next pipeline, if need be several times, with longer and longer pauses; at last ends the daemon.

    ``build`` may raise anything; ``undo`` takes away what it left half done. ``is_over``: the daemon ends anyway.
    """

    def __init__(
        self,
        build: Callable[[], None],
        undo: Callable[[], object],
        is_over: Callable[[], bool],
        say: Callable[[WorkersLate], None],
        fail: Callable[[DiodeError], None],
    ) -> None:
        self._build = build
        self._undo = undo
        self._is_over = is_over
        self._say = say
        self._fail = fail

    def begin(self, tried: int = 0) -> None:
        """Build it now, and go on with that within the running loop until it is there or given up."""
        if self._is_over():
            return
        try:
            self._build()
        except Exception as error:  # noqa: BLE001 - whatever it is, a later try or a new start may mend it
            self._undo()
            if tried < len(PAUSES_S):
                self._say(WorkersLate(str(error) or repr(error), PAUSES_S[tried]))
                asyncio.get_running_loop().call_later(PAUSES_S[tried], self.begin, tried + 1)
                return
            kind = NetworkError if isinstance(error, NetworkError) else WorkerError  # never a usage error: see systemd
            self._fail(kind(f"no new workers could be started: {error}; all is kept, start again"))


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


def log_late(event: WorkersLate) -> None:
    """Write the log line of workers that could not be started."""
    consequence = "nothing is sent or received until it succeeds; after a minute of that the daemon ends"
    log.error("workers_late", detail=event.detail, again_s=event.again_s, consequence=consequence)
