"""The admitted sessions, and how many of their datagrams were sent and received.

Each link key has a budget of sessions.
"""

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
    """A session as one gate passes it to the next: so far ``expected`` data datagrams were sent in it."""

    key_id: int
    session: int
    expected: int


class Tracked:
    """One admitted session and how many of its datagrams arrived.

    ``before`` are those that an earlier gate counted as sent.
    """

    def __init__(self, cipher: Session, key_id: int, before: int = 0) -> None:
        self.cipher = cipher
        self.key_id = key_id
        self.heard: dict[int, tuple[int, int] | None] = {}  # orders of heartbeats of kind 3 by counter, oldest first
        self.received = 0
        self.expected = self.before = before
        self._seen = np.zeros(_WINDOW, dtype=np.uint64)

    def remember(self, counter: int, order: tuple[int, int] | None) -> None:
        """Remember a heartbeat of kind 3 by its counter, because parsing it again costs as much as thirty datagrams.

        ``order`` is the heartbeat's own; None when this version does not understand it.
        """
        self.heard[counter] = order
        if len(self.heard) > _HEARD:
            del self.heard[next(iter(self.heard))]

    def reckon(self, sent: int) -> None:
        """Take over from a heartbeat how many data datagrams were sent, even if datagrams claimed many more."""
        self.expected = sent if self.expected > sent + MAX_AHEAD else max(self.expected, sent)
        self.before = min(self.before, self.expected)

    def disbelieve(self) -> None:
        """Another key is in use now: what was said to be sent under this one does not count as lost."""
        self.expected = min(self.expected, self.before + self.received)

    def count(self, counters: NDArray[np.uint64], *, is_believed: bool) -> None:
        """Count authentic data datagrams; a repeated counter is counted once.

        A gap among the counters counts as loss only if ``is_believed``: whoever holds an old key can seal any counter.
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
    """The admitted sessions by number. The first is the one whose last announcement is oldest.

    This is a dict itself, so that the session of a run of datagrams is found by one look-up.
    """

    @property
    def admitted(self) -> list[Admitted]:
        """The sessions to be passed to the gate that replaces this one."""
        return [Admitted(tracked.key_id, session, tracked.expected) for session, tracked in self.items()]

    @property
    def received(self) -> int:
        """How many distinct authentic data datagrams arrived."""
        return sum(tracked.received for tracked in self.values())

    @property
    def expected(self) -> int:
        """How many data datagrams were sent since this gate began, as their counters and heartbeats tell."""
        return sum(tracked.expected - tracked.before for tracked in self.values())

    def keep(self, session: int, tracked: Tracked) -> None:
        """Admit a session, or note that it was announced again.

        Each key has a budget of its own, so whoever holds an older key cannot displace sessions of the newer one.
        """
        self[session] = tracked
        self.move_to_end(session)
        if len(self) <= MAX_SESSIONS:
            return
        same = [number for number, other in self.items() if other.key_id == tracked.key_id]
        if len(same) > MAX_SESSIONS:
            del self[same[0]]

    def disbelieve_others(self, key_id: int) -> None:
        """The key with this id is in use now: what was said to be sent under others does not count as lost."""
        for tracked in self.values():
            if tracked.key_id != key_id:
                tracked.disbelieve()
