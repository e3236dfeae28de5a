"""Who may speak: every datagram is screened, its session looked up and its tag checked before any state exists for it.

Sessions are admitted by authenticated heartbeats only. A heartbeat of an unseen session is tried at most 50 times a
second, and 64 sessions are kept, so that strangers cost a bounded amount of work.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diode.auth import DatagramViews, LinkKey, Mode, Session
from diode.errors import Drop
from diode.heartbeat import Heartbeat, parse_heartbeat
from diode.wire import (
    FILLER_COUNTER,
    MAGIC,
    OVERHEAD_BYTES,
    SYMBOL_BYTES_OFFSET,
    VERSION,
    Kind,
    copy_headers,
    headers_of,
    is_symbol_size,
    screen,
)

Bytes2D = NDArray[np.uint8]
Rows = NDArray[np.intp]

MAX_SESSIONS: Final = 64
TRIALS_PER_S: Final = 50
_MARK: Final = (MAGIC << 8 | VERSION).to_bytes(4, "big")
_WINDOW: Final = 1 << 15  # counters remembered per session, to tell a repeated datagram from a new one


@dataclass(frozen=True, slots=True)
class Run:
    """``count`` datagrams of ``size`` bytes that lie one after another from ``offset`` of a region."""

    offset: int
    size: int
    count: int


def slice_runs(region: memoryview, lengths: Sequence[int], drops: "Counter[Drop]", usual_bytes: int = 0) -> list[Run]:
    """Cut a region into runs by the symbol size that each received run's first header claims.

    ``lengths`` are the byte counts of the runs as received, one after another. What does not divide is a counted drop;
    neighbours of one size become one run. ``usual_bytes`` is the size of the last authentic datagrams: a run that
    begins with another claim is cut by it where datagrams of that size seem to follow, since the kernel may put a
    stranger's datagram before those of the sender whom he copies.
    """
    runs: list[Run] = []
    offset = 0
    for length in lengths:
        size = _claimed_size(region, offset, length)
        if size != usual_bytes and usual_bytes and _is_led_astray(region, offset, length, usual_bytes):
            size = usual_bytes
        count = length // size if size else 0
        if not count or length % size:
            drops[Drop.LENGTH] += 1
        if count:
            last = runs[-1] if runs else None
            if last and last.size == size and last.offset + last.count * size == offset:
                runs[-1] = Run(last.offset, size, last.count + count)
            else:
                runs.append(Run(offset, size, count))
        offset += length
    return runs


def _claimed_size(region: memoryview, offset: int, length: int) -> int:
    if length < OVERHEAD_BYTES:
        return 0
    at = offset + SYMBOL_BYTES_OFFSET
    symbol_bytes = int.from_bytes(region[at : at + 2], "big")
    return symbol_bytes + OVERHEAD_BYTES if is_symbol_size(symbol_bytes) else 0


def _is_led_astray(region: memoryview, offset: int, length: int, usual_bytes: int) -> bool:
    """Whether somewhere behind the first datagram of a run there is a header of the usual size."""
    return any(
        region[at : at + 4] == _MARK and _claimed_size(region, at, usual_bytes) == usual_bytes
        for at in range(offset + usual_bytes, offset + length - OVERHEAD_BYTES + 1, usual_bytes)
    )


class _Tracked:
    """One admitted session, and how many of its datagrams arrived; an earlier gate has reckoned with ``before``."""

    def __init__(self, cipher: Session, key_id: int, before: int = 0) -> None:
        self.cipher = cipher
        self.key_id = key_id
        self.has_spoken = False
        self.received = 0
        self.expected = self.before = before
        self._seen = np.zeros(_WINDOW, dtype=np.uint64)

    def count(self, counters: NDArray[np.uint64]) -> None:
        """Book authentic data datagrams; repeats of one counter are counted once."""
        data = counters[counters < FILLER_COUNTER]
        if not len(data):
            return
        if not (data[1:] > data[:-1]).all():
            data = np.unique(data)
        cells = (data % _WINDOW).astype(np.intp)
        self.received += int(np.count_nonzero(self._seen[cells] != data + 1))
        self._seen[cells] = data + 1
        self.expected = max(self.expected, int(data[-1]) + 1)


class Admitted(NamedTuple):
    """A session as one gate hands it over to the next: ``expected`` of its data datagrams were sent by then."""

    key_id: int
    session: int
    expected: int


class Trials:
    """How often a second the tag of a session not seen before is checked: what strangers may cost."""

    def __init__(self) -> None:
        self._second = -1
        self._count = 0

    def may_try(self, now: float) -> bool:
        """Whether one more trial is allowed at ``now``; it is counted."""
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        self._count += 1
        return self._count <= TRIALS_PER_S


class Gate:
    """Authenticates matrices of datagrams. ``drops`` counts what it refused; ``heartbeat`` is the newest one heard.

    The first of the ``keys`` is the one that counts; the other is from before the link key was changed.
    ``old_key_sessions`` are those that have spoken under that one, each once: (key id, session). Whoever reads takes
    them out.

    ``order`` is the (epoch, number) of the newest heartbeat that an earlier gate has heard; the sessions it had
    ``admitted`` need not wait for the next one.
    """

    def __init__(
        self,
        keys: Sequence[LinkKey],
        mode: Mode,
        drops: "Counter[Drop]",
        order: tuple[int, int] = (-1, 0),
        admitted: Iterable[Admitted] = (),
    ) -> None:
        self.heartbeat: Heartbeat | None = None
        self.heartbeats = 0
        self.old_key_sessions: deque[tuple[int, int]] = deque(maxlen=MAX_SESSIONS)
        self._keys = {key.key_id: key for key in keys}
        self._old_key_ids = {key.key_id for key in keys[1:]} - {key.key_id for key in keys[:1]}
        self._mode = mode
        self._drops = drops
        self._order = order
        self._sessions: OrderedDict[int, _Tracked] = OrderedDict()
        self._trials = Trials()
        for key_id, session, expected in admitted:
            if key_id in self._keys:
                self._keep(session, self._track(key_id, session, expected))

    @property
    def admitted(self) -> list[Admitted]:
        """The sessions that may speak, for the gate that takes over from this one."""
        return [Admitted(tracked.key_id, session, tracked.expected) for session, tracked in self._sessions.items()]

    @property
    def received(self) -> int:
        """Distinct authentic data datagrams."""
        return sum(tracked.received for tracked in self._sessions.values())

    @property
    def expected(self) -> int:
        """Data datagrams known to have been sent, by their counters and by heartbeats; of earlier gates' none."""
        return sum(tracked.expected - tracked.before for tracked in self._sessions.values())

    def admit(self, datagrams: Bytes2D, views: DatagramViews, now: float) -> Rows:
        """Row numbers of the authentic data and object datagrams, in order of arrival.

        ``datagrams`` is (n, size) in memory of the caller; in ``aead`` mode its symbols are decrypted in place.
        """
        headers = copy_headers(datagrams)
        passed, dropped = screen(headers, datagrams.shape[1] - OVERHEAD_BYTES)
        self._drops.update(dropped)
        known_key = np.zeros(len(headers), dtype=np.bool_)
        for key_id in self._keys:
            known_key |= headers["key_id"] == key_id
        self._drops[Drop.KEY] += int(np.count_nonzero(passed & ~known_key))
        passed &= known_key
        beats = passed & (headers["kind"] == Kind.HEARTBEAT)
        for row in np.flatnonzero(beats).tolist():
            self._hear(datagrams, views, row, now)
        rows = np.flatnonzero(passed & ~beats)
        counters = headers["counter"].astype(np.uint64)
        admitted = [
            self._check(datagrams, views, group, session, counters)
            for session, group in self._by_session(headers["session"][rows], rows)
        ]
        if not admitted:
            return rows[:0]
        return admitted[0] if len(admitted) == 1 else np.sort(np.concatenate(admitted))

    def _by_session(self, sessions: NDArray[np.uint64], rows: Rows) -> Iterator[tuple[int, Rows]]:
        """Each session that ``rows`` claim, and its rows.

        What is not admitted falls to one comparison: strangers may claim as many sessions as they send datagrams.
        """
        if not len(rows):
            return
        if (sessions == sessions[0]).all():
            yield int(sessions[0]), rows
            return
        known = np.isin(sessions, np.array([*self._sessions], dtype=np.uint64))
        self._drops[Drop.SESSION] += int(np.count_nonzero(~known))
        rows, sessions = rows[known], sessions[known]
        for session in np.unique(sessions):
            yield int(session), rows[sessions == session]

    def _check(
        self, datagrams: Bytes2D, views: DatagramViews, rows: Rows, session: int, counters: NDArray[np.uint64]
    ) -> Rows:
        tracked = self._sessions.get(session)
        if tracked is None:
            self._drops[Drop.SESSION] += len(rows)
            return rows[:0]
        all_of_them = len(rows) == len(datagrams)
        authentic = rows[tracked.cipher.check(datagrams, views, slice(0, len(rows)) if all_of_them else rows)]
        self._drops[Drop.TAG] += len(rows) - len(authentic)
        tracked.count(counters[authentic])
        if len(authentic):
            self._note_speaker(session, tracked)
        return authentic

    def _hear(self, datagrams: Bytes2D, views: DatagramViews, row: int, now: float) -> None:
        header = headers_of(datagrams)[row]
        session = int(header["session"])
        tracked = self._sessions.get(session)
        if tracked is None:
            if not self._trials.may_try(now):
                self._drops[Drop.HEARTBEAT_RATE] += 1
                return
            tracked = self._track(int(header["key_id"]), session)
        if not tracked.cipher.check(datagrams, views, np.array([row]))[0]:
            self._drops[Drop.TAG] += 1
            return
        heartbeat = parse_heartbeat(memoryview(datagrams[row]))
        if heartbeat is None:
            self._drops[Drop.HEARTBEAT] += 1
        elif heartbeat.order <= self._order:
            self._drops[Drop.HEARTBEAT_ORDER] += 1
        else:
            self._accept(heartbeat, session, tracked)

    def _accept(self, heartbeat: Heartbeat, session: int, tracked: _Tracked) -> None:
        self.heartbeat = heartbeat
        self._order = heartbeat.order
        self.heartbeats += 1
        self._keep(session, tracked)
        self._note_speaker(session, tracked)
        for sealing, sent in heartbeat.sent().items():
            # what was sent before we heard of it at all was not lost on the way
            live = self._sessions.get(sealing) or self._track(tracked.key_id, sealing, sent)
            live.expected = max(live.expected, sent)
            self._keep(sealing, live)

    def _note_speaker(self, session: int, tracked: _Tracked) -> None:
        if not tracked.has_spoken:
            tracked.has_spoken = True
            if tracked.key_id in self._old_key_ids:
                self.old_key_sessions.append((tracked.key_id, session))

    def _track(self, key_id: int, session: int, before: int = 0) -> _Tracked:
        return _Tracked(Session(self._keys[key_id], session, self._mode), key_id, before)

    def _keep(self, session: int, tracked: _Tracked) -> None:
        self._sessions[session] = tracked
        self._sessions.move_to_end(session)
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
