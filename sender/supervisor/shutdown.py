"""Whether the daemon ends, and why: a signal, or an error that it cannot go on with."""

import asyncio
import signal
from collections.abc import Callable
from typing import Final

from diode.errors import DiodeError
from sender.events.happened import Event, Stopping

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Shutdown:
    """``changed`` is set whenever something was sent, or the end begins; ``stopping`` when the end begins."""

    def __init__(self, say: Callable[[Event], None]) -> None:
        self._say = say
        self.changed = asyncio.Event()
        self.stopping = asyncio.Event()
        self.failure: DiodeError | None = None  # the first one
        self.interrupted: int | None = None  # by this signal

    @property
    def has_begun(self) -> bool:
        """Whether nothing new is begun any more."""
        return self.stopping.is_set()

    def begin(self) -> None:
        """End in order."""
        self.stopping.set()
        self.changed.set()

    def fail(self, error: DiodeError) -> None:
        """End because of ``error``."""
        self.failure = self.failure or error
        self.begin()

    def interrupt(self, number: int) -> None:
        """End because of a signal."""
        self.interrupted = number
        self.begin()
        self._say(Stopping(signal.Signals(number).name))

    def heed_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let signals end the daemon, until :meth:`ignore_signals`."""
        for number in SIGNALS:
            loop.add_signal_handler(number, self.interrupt, number)

    def ignore_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give signals back."""
        for number in SIGNALS:
            loop.remove_signal_handler(number)
