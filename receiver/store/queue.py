"""What ``assemble`` handed over and nobody has looked at yet: bounded, manifests and tables first."""

from collections import deque
from itertools import islice
from typing import Final

from diode.process.workers import Mailbox
from diode.protocol.sizes import Kind
from receiver.messages.pipeline import Begun, Complete, Grown, Spilled, Wanted

MAX_WAITING: Final = 256  # messages taken from the pipe: an honest assemble has few more than its slabs in hand

HandedOver = Begun | Grown | Complete | Spilled | Wanted


class Queue:
    """Messages from ``assemble`` in the order in which they are to be handled."""

    def __init__(self, assemble: Mailbox) -> None:
        self._assemble = assemble
        self._waiting: deque[HandedOver] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def fd(self) -> int:
        """Readable when more has come."""
        return self._assemble.read_fd

    @property
    def is_over(self) -> bool:
        """Whether all was handled, and nothing will come any more."""
        return not self._waiting and self._assemble.closed

    def fill(self) -> None:
        """Take what has come, as far as there is room; the rest waits in the pipe."""
        self._waiting.extend(islice(self._assemble.drain(), max(0, MAX_WAITING - len(self._waiting))))

    def next(self) -> HandedOver:
        """What waits longest, but manifests and tables first: data of bundles not yet known has little room."""
        for message in self._waiting:
            if message.kind == Kind.OBJECT:
                self._waiting.remove(message)
                return message
        return self._waiting.popleft()
