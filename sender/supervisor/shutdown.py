"""Whether the daemon ends, and why; and when something was sent, which may be all that it was to do."""

import asyncio
from collections.abc import Callable

from diode.process import shutdown
from diode.process.shutdown import Stopping


class Shutdown(shutdown.Shutdown):
    """``changed`` is set whenever something was sent, or the end begins."""

    def __init__(self, say: Callable[[Stopping], None]) -> None:
        super().__init__(say)
        self.changed = asyncio.Event()

    def begin(self) -> None:
        """End in order."""
        super().begin()
        self.changed.set()
