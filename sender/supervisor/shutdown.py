"""Knows whether the daemon is to end, and why: a signal, or an error with which it cannot go on."""

import asyncio
import signal
from collections.abc import Callable
from typing import Final

from diode.errors import DiodeError
from sender.events.happened import Event, Stopping

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Shutdown:
    """The end of the daemon. ``stopping`` is set when it begins, ``changed`` then and whenever something was sent."""

    def __init__(self, say: Callable[[Event], None]) -> None:
        self._say = say
        self.changed = asyncio.Event()
        self.stopping = asyncio.Event()
        self.failure: DiodeError | None = None  # the first one
        self.interrupted: int | None = None  # by this signal

    @property
    def has_begun(self) -> bool:
        """Whether the end has begun, so that nothing new may be started."""
        return self.stopping.is_set()

    def begin(self) -> None:
        """Begin to end the daemon in order."""
        self.stopping.set()
        self.changed.set()

    def fail(self, error: DiodeError) -> None:
        """Begin to end the daemon because of ``error``. The first error is kept."""
        self.failure = self.failure or error
        self.begin()

    def interrupt(self, number: int) -> None:
        """Begin to end the daemon because of the signal ``number``."""
        self.interrupted = number
        self.begin()
        self._say(Stopping(signal.Signals(number).name))

    def heed_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let signals end the daemon, until :meth:`ignore_signals`."""
        for number in SIGNALS:
            loop.add_signal_handler(number, self.interrupt, number)

    def ignore_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop handling signals."""
        for number in SIGNALS:
            loop.remove_signal_handler(number)
