"""The sessions that may speak: how many of their datagrams were sent, and how many came. Each link key has a budget."""

from collections import OrderedDict
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diode.protocol.auth import Session
from diode.protocol.wire import PADDING_COUNTER

MAX_SESSIONS: Final = 64  # of each link key
MAX_AHEAD: Final = 1 << 20  # datagrams of a session that can be in flight when a heartbeat tells how many were sent
_HEARD: Final = 4096  # heartbeats of a session that are known again before they are parsed
_WINDOW: Final = 1 << 15  # counters remembered per session, to tell a repeated datagram from a new one


class Admitted(NamedTuple):
    """A session as one gate hands it over to the next: ``expected`` of its data datagrams were sent by then."""

    key_id: int
    session: int
    expected: int


class Tracked:
    """One admitted session, and how many of its datagrams arrived; an earlier gate has reckoned with ``before``."""

    def __init__(self, cipher: Session, key_id: int, before: int = 0) -> None:
        self.cipher = cipher
        self.key_id = key_id
        self.heard: dict[int, tuple[int, int] | None] = {}  # orders of heartbeats of kind 3 by counter, oldest first
        self.received = 0
        self.expected = self.before = before
        self._seen = np.zeros(_WINDOW, dtype=np.uint64)

    def remember(self, counter: int, order: tuple[int, int] | None) -> None:
        """A heartbeat of kind 3 was looked at: to parse it costs as much as thirty datagrams.

        ``order``: its own; None: it is not one that this version understands.
        """
        self.heard[counter] = order
        if len(self.heard) > _HEARD:
            del self.heard[next(iter(self.heard))]

    def reckon(self, sent: int) -> None:
        """A heartbeat says how many of its data datagrams were sent. It is believed also where more were claimed."""
        self.expected = sent if self.expected > sent + MAX_AHEAD else max(self.expected, sent)
        self.before = min(self.before, self.expected)

    def disbelieve(self) -> None:
        """Another key has spoken: what was told and claimed under this one is no loss."""
        self.expected = min(self.expected, self.before + self.received)

    def count(self, counters: NDArray[np.uint64], *, is_believed: bool) -> None:
        """Book authentic data datagrams; repeats of one counter are counted once.

        A gap among their counters is a loss only where they are believed: who holds an old key can seal any number.
        """
        data = counters[counters < PADDING_COUNTER]
        if not len(data):
            return
        if not (data[1:] > data[:-1]).all():
            data = np.unique(data)
        cells = (data % _WINDOW).astype(np.intp)
        self.received += int(np.count_nonzero(self._seen[cells] != data + 1))
        self._seen[cells] = data + 1
        if is_believed:
            self.expected = max(self.expected, int(data[-1]) + 1)
        else:
            self.disbelieve()


class Sessions(OrderedDict[int, Tracked]):
    """The admitted sessions by their number, the one announced longest ago first.

    A dict itself, so that a run of datagrams finds its session by one look-up.
    """

    @property
    def admitted(self) -> list[Admitted]:
        """What the gate that takes over from this one has to know."""
        return [Admitted(tracked.key_id, session, tracked.expected) for session, tracked in self.items()]

    @property
    def received(self) -> int:
        """Distinct authentic data datagrams."""
        return sum(tracked.received for tracked in self.values())

    @property
    def expected(self) -> int:
        """Data datagrams known to have been sent, by their counters and by heartbeats; of earlier gates' none."""
        return sum(tracked.expected - tracked.before for tracked in self.values())

    def keep(self, session: int, tracked: Tracked) -> None:
        """Admit a session, or note that it was announced again.

        Each key has a budget of its own: who holds an older one cannot crowd out the sessions of the newer.
        """
        self[session] = tracked
        self.move_to_end(session)
        if len(self) <= MAX_SESSIONS:
            return
        same = [number for number, other in self.items() if other.key_id == tracked.key_id]
        if len(same) > MAX_SESSIONS:
            del self[same[0]]

    def disbelieve_others(self, key_id: int) -> None:
        """The key of this id has spoken: what was told and claimed under another one is no loss."""
        for tracked in self.values():
            if tracked.key_id != key_id:
                tracked.disbelieve()
