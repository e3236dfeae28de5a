"""Knows whether the daemon is to end, and why: a signal, an error, or enough bundles."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from diode.errors import DiodeError
from receiver.events.happened import Event, Stopping

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Shutdown:
    """``interrupted``: the signal that ended the daemon; ``failure``: what it ends with; None: neither did."""

    def __init__(self, say: Callable[[Event], None]) -> None:
        self.interrupted: int | None = None
        self.failure: DiodeError | None = None
        self._say = say
        self._begun = asyncio.Event()

    @property
    def has_begun(self) -> bool:
        """Whether nothing new is to be started."""
        return self._begun.is_set()

    @property
    def is_early(self) -> bool:
        """Whether something else than enough bundles ended it."""
        return self.failure is not None or self.interrupted is not None

    async def wait(self, timeout_s: float) -> None:
        """Wait until it has begun, for so long at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._begun.wait()

    def end(self) -> None:
        """All is done that was wanted."""
        self._begun.set()

    def fail(self, error: DiodeError) -> None:
        """The daemon cannot go on."""
        self.failure = error
        self._begun.set()

    def interrupt(self, number: int) -> None:
        """A person, or the system, sent this signal."""
        self.interrupted = number
        self._begun.set()
        self._say(Stopping(signal.Signals(number).name))

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """End on SIGTERM and SIGINT while this block runs."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.interrupt, number)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
