"""Knows whether this host's own kernel refuses what is to be sent, raises the alarm, and ends a run that is to end.

``transmit`` says so of slabs, and each heartbeat shows it too. A daemon waits for as long as it takes. A run that ends
by itself when all is sent (``--until-idle``, ``send``, ``resend``) waits GIVE_UP_S, and then ends with an exit code.
"""

from collections.abc import Callable
from typing import Final, Literal

from diode.errors import NetworkError
from diode.net.refusals import named
from sender.events.happened import Event, KernelAccepts, KernelRefuses

FIRST_SAID_S: Final = 1.0
SAID_EVERY_S: Final = 60.0
GIVE_UP_S: Final = 60.0

Path = Literal["slabs", "heartbeats"]


class LocalRefusals:
    """Which errno the kernel gives now, by what it refuses. Times are seconds of one monotonic clock.

    ``is_bounded``: the run is to end by itself, so it does not wait for ever.
    """

    def __init__(self, say: Callable[[Event], None], fail: Callable[[NetworkError], None]) -> None:
        self.is_bounded = False
        self._say = say
        self._fail = fail
        self._codes: dict[Path, int] = {}
        self._from: float | None = None
        self._say_at: float | None = None  # None: nothing was said since the kernel began to refuse

    @property
    def error(self) -> str:
        """The name of the errno; empty: the kernel takes what it is given."""
        return named(next(iter(self._codes.values()))) if self._codes else ""

    def note(self, path: Path, code: int) -> None:
        """What the kernel answered last; 0: it took it."""
        if code:
            self._codes[path] = code
        else:
            self._codes.pop(path, None)

    def tick(self, now: float) -> None:
        """Say what is to be said, at least once a second."""
        if not self._codes:
            if self._from is not None and self._say_at is not None:
                self._say(KernelAccepts(now - self._from))
            self._from = self._say_at = None
            return
        self._from = now if self._from is None else self._from
        since_s = now - self._from
        if since_s >= FIRST_SAID_S and now >= (self._say_at or now):
            self._say_at = now + SAID_EVERY_S
            self._say(KernelRefuses(self.error, since_s))
        if self.is_bounded and since_s >= GIVE_UP_S:
            what = f"the kernel has refused to send for {since_s:.0f} seconds ({self.error}); all is kept"
            self._fail(NetworkError(f"{what}: mend the route or the interface, and start again"))
