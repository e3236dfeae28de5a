"""Whether a daemon ends, and why: a signal, an error that it cannot go on with, or that all is done."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from diode.errors import DiodeError

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # the last: its terminal went away


@dataclass(frozen=True, slots=True)
class Stopping:
    """A signal asked the daemon to end."""

    signal: str


class Shutdown:
    """``interrupted``: the signal that ended the daemon; ``failure``: the first error that did; None: neither did.

    ``stopping`` is set when the end begins.
    """

    def __init__(self, say: Callable[[Stopping], None]) -> None:
        self.interrupted: int | None = None
        self.failure: DiodeError | None = None
        self.stopping = asyncio.Event()
        self._say = say

    @property
    def has_begun(self) -> bool:
        """Whether nothing new is begun any more."""
        return self.stopping.is_set()

    @property
    def is_early(self) -> bool:
        """Whether a signal or an error ended it, before all was done."""
        return self.failure is not None or self.interrupted is not None

    async def wait(self, timeout_s: float) -> None:
        """Wait until it has begun, for so long at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.stopping.wait()

    def begin(self) -> None:
        """End in order."""
        self.stopping.set()

    def fail(self, error: DiodeError) -> None:
        """End because of ``error``."""
        self.failure = self.failure or error
        self.begin()

    def interrupt(self, number: int) -> None:
        """End because a person, or the system, sent this signal."""
        self.interrupted = number
        self.begin()
        self._say(Stopping(signal.Signals(number).name))

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """End on SIGTERM, SIGINT and SIGHUP while this block runs, but for those that are ignored."""
        loop = asyncio.get_running_loop()
        heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # as nohup does
        for number in heard:
            loop.add_signal_handler(number, self.interrupt, number)
        try:
            yield
        finally:
            for number in heard:
                loop.remove_signal_handler(number)
