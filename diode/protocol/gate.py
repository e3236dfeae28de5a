"""Who may speak: every datagram is screened, its session looked up and its tag checked before any state exists for it.

Sessions are admitted by authentic heartbeats only. Those of kind 4 are checked under one key, whatever session they
claim. Of kind 3, which older senders send alone, the first of a session costs a key derivation: fifty a second are
tried. Order is kept for each link key apart, and what an older key says counts for nothing once the newer one spoke.
"""

import struct
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diode.errors import Drop
from diode.protocol.auth import DatagramViews, HeartbeatAuth, LinkKey, Mode, Session
from diode.protocol.heartbeat import Heartbeat, LinkOrder, parse_heartbeat, parse_heartbeat_mac
from diode.protocol.wire import (
    FILLER_BUNDLE,
    FILLER_COUNTER,
    HEADER_BYTES,
    OVERHEAD_BYTES,
    TAG_BYTES,
    Kind,
    copy_headers,
    screen,
)

Bytes2D = NDArray[np.uint8]
Rows = NDArray[np.intp]

MAX_SESSIONS: Final = 64  # of each link key
TRIALS_PER_S: Final = 50
MAC_CHECKS_PER_S: Final = 30_000  # heartbeats of kind 4 that are all checked; of those above, one in MAC_SAMPLE
MAC_SAMPLE: Final = 16
MAX_AHEAD: Final = 1 << 20  # datagrams of a session that can be in flight when a heartbeat tells how many were sent
_MAC: Final = int(Kind.HEARTBEAT_MAC)
_LONE: Final = struct.Struct(">4xBxHQQQIH2xBB")  # of docs/wire-format.md, section 1
_NOTED: Final = 64  # sessions under an older key that are remembered as told
_NOTES_PER_S: Final = 4
_HEARD: Final = 4096  # heartbeats of a session that are known again before they are parsed
_WINDOW: Final = 1 << 15  # counters remembered per session, to tell a repeated datagram from a new one


class _Tracked:
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
        data = counters[counters < FILLER_COUNTER]
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


class Admitted(NamedTuple):
    """A session as one gate hands it over to the next: ``expected`` of its data datagrams were sent by then."""

    key_id: int
    session: int
    expected: int


class Trials:
    """What strangers may cost: so many a second pass, and of the others each ``sample``-th (0: none)."""

    def __init__(self, per_s: int, sample: int = 0) -> None:
        self._per_s = per_s
        self._sample = sample
        self._second = -1
        self._count = 0

    def may_try(self, now: float) -> bool:
        """Whether one more is allowed at ``now``; it is counted."""
        if int(now) != self._second:
            self._second, self._count = int(now), 0
        self._count += 1
        return self._count <= self._per_s or (self._sample > 0 and self._count % self._sample == 0)


class _Link:
    """One link key that is held: how its heartbeats are checked, and how far they have come."""

    def __init__(self, key: LinkKey, mode: Mode, order: LinkOrder, *, is_previous: bool) -> None:
        self.key = key
        self.fingerprint = key.fingerprint
        self.auth = HeartbeatAuth(key, mode)
        self.order = order
        self.is_previous = is_previous
        self.newest_session: int | None = None  # of the newest heartbeat; None: an earlier gate heard it

    def is_newest(self, session: int, order: tuple[int, int] | None) -> bool:
        """Whether a heartbeat is the newest accepted one once more, as a network may deliver it twice."""
        is_known = self.order.has_spoken and self.newest_session in (None, session)
        return is_known and order == self.order.reached

    def drop_for(self, session: int, order: tuple[int, int] | None) -> Drop:
        """What a heartbeat that is not newer is dropped as: another sender's of the same order is no duplicate."""
        return Drop.DUPLICATE if self.is_newest(session, order) else Drop.HEARTBEAT_ORDER


class _Lone(NamedTuple):
    """A heartbeat's header, but for what :func:`screen` has judged. Its numpy record would cost more than the tag."""

    kind: int
    key_id: int
    session: int
    counter: int
    bundle: int
    slab: int
    symbol: int
    columns: int
    k: int

    @property
    def is_one_symbol(self) -> bool:
        """Whether it says that this is the one symbol of a slab, as every heartbeat's does."""
        return (self.slab, self.symbol, self.columns, self.k) == (0, 0, 1, 1)


class Heard(NamedTuple):
    """A heartbeat that was accepted, the fingerprint of its key, and the key's order since."""

    heartbeat: Heartbeat
    key: str
    order: LinkOrder


class Gate:
    """Authenticates matrices of datagrams. ``drops`` counts what it refused; ``heard`` is the newest heartbeat.

    The first of the ``keys`` is the one that counts; the other is from before the link key was changed.
    ``old_key_sessions`` are those that have spoken under that one, each once: (key id, session). Whoever reads takes
    them out.

    ``orders`` tells by fingerprint how far the heartbeats of each key had come when an earlier gate ended; the sessions
    it had ``admitted`` need not wait for the next one.
    """

    def __init__(
        self,
        keys: Sequence[LinkKey],
        mode: Mode,
        drops: "Counter[Drop]",
        orders: Mapping[str, LinkOrder] | None = None,
        admitted: Iterable[Admitted] = (),
    ) -> None:
        self.heard: Heard | None = None
        self.heartbeats = 0
        self.old_key_sessions: deque[tuple[int, int]] = deque(maxlen=MAX_SESSIONS)
        self._links: dict[int, _Link] = {}
        for key in keys:
            order = (orders or {}).get(key.fingerprint, LinkOrder())
            self._links.setdefault(key.key_id, _Link(key, mode, order, is_previous=bool(self._links)))
        self._current = next(iter(self._links.values()))
        self._mode = mode
        self._drops = drops
        self._sessions: OrderedDict[int, _Tracked] = OrderedDict()
        self._trials = Trials(TRIALS_PER_S)
        self._mac_checks = Trials(MAC_CHECKS_PER_S, MAC_SAMPLE)
        self._noted: dict[int, None] = {}
        self._notes = Trials(_NOTES_PER_S)
        for key_id, session, expected in admitted:
            if key_id in self._links:
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
        for key_id in self._links:
            known_key |= headers["key_id"] == key_id
        self._drops[Drop.KEY] += int(np.count_nonzero(passed & ~known_key))
        passed &= known_key
        beats = passed & (headers["kind"] >= Kind.HEARTBEAT)
        for row, kind in zip(np.flatnonzero(beats).tolist(), headers["kind"][beats].tolist(), strict=True):
            self._hear(datagrams[row], kind, now)
        rows = np.flatnonzero(passed & ~beats)
        counters = headers["counter"].astype(np.uint64)
        admitted = [
            self._check(datagrams, views, self._of_its_key(headers["key_id"], group, session), session, counters, now)
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

    def _of_its_key(self, key_ids: NDArray[np.uint16], rows: Rows, session: int) -> Rows:
        """Those of ``rows`` that name the link key under which their session is admitted."""
        tracked = self._sessions.get(session)
        if tracked is None:
            return rows
        same: NDArray[np.bool_] = key_ids[rows] == tracked.key_id
        if same.all():
            return rows
        self._drops[Drop.SESSION] += int(np.count_nonzero(~same))
        kept: Rows = rows[same]
        return kept

    def _check(
        self,
        datagrams: Bytes2D,
        views: DatagramViews,
        rows: Rows,
        session: int,
        counters: NDArray[np.uint64],
        now: float,
    ) -> Rows:
        tracked = self._sessions.get(session)
        if tracked is None:
            self._drops[Drop.SESSION] += len(rows)
            return rows[:0]
        all_of_them = len(rows) == len(datagrams)
        authentic = rows[tracked.cipher.check(datagrams, views, slice(0, len(rows)) if all_of_them else rows)]
        self._drops[Drop.TAG] += len(rows) - len(authentic)
        link = self._links[tracked.key_id]
        tracked.count(counters[authentic], is_believed=not (link.is_previous and self._current.order.has_spoken))
        if len(authentic):
            self._note_speaker(link, session, now)
        return authentic

    def _hear(self, datagram: NDArray[np.uint8], kind: int, now: float) -> None:
        """Judge a heartbeat of a copy: it lies in memory that the process before us can still write."""
        if kind == _MAC and not self._mac_checks.may_try(now):
            self._drops[Drop.HEARTBEAT_RATE] += 1
            return
        mine = datagram.tobytes()
        header = _Lone(*_LONE.unpack_from(mine))
        link = self._links.get(header.key_id)
        if link is None or header.kind != kind:
            self._drops[Drop.KIND] += 1
        elif kind == _MAC:
            self._hear_mac(link, mine, header, now)
        else:
            self._hear_session(link, mine, header, now)

    def _hear_mac(self, link: _Link, datagram: bytes, header: "_Lone", now: float) -> None:
        """Kind 4. Its order stands in the header: a recorded one is dropped before it is parsed."""
        session, order = header.session, (header.bundle, header.counter)
        text = link.auth.open(datagram)
        if text is None:
            self._drops[Drop.TAG] += 1
        elif self._is_outdated(link, session, now):
            self._drops[Drop.HEARTBEAT_KEY] += 1
        elif order < link.order.reached or (order == link.order.reached and link.order.has_mac):
            self._drops[link.drop_for(session, order)] += 1
        elif not header.is_one_symbol or (heartbeat := parse_heartbeat_mac(text)) is None or heartbeat.order != order:
            self._drops[Drop.HEARTBEAT] += 1
        else:
            self._accept(heartbeat, link, session, now, has_mac=True)

    def _hear_session(self, link: _Link, datagram: bytes, header: "_Lone", now: float) -> None:
        """Kind 3, under the key of its session. A counter that was heard in this session is not parsed again."""
        session, counter = header.session, header.counter
        if link.order.has_mac:
            self._drops[Drop.HEARTBEAT_KIND] += 1
            return
        tracked = self._sessions.get(session)
        if tracked is None or tracked.key_id != link.key.key_id:
            if not self._trials.may_try(now):
                self._drops[Drop.HEARTBEAT_RATE] += 1
                return
            tracked = self._track(link.key.key_id, session)
        text = _open_one(tracked.cipher, datagram)
        if text is None:
            self._drops[Drop.TAG] += 1
        elif self._is_outdated(link, session, now):
            self._drops[Drop.HEARTBEAT_KEY] += 1
        elif counter in tracked.heard:
            self._drops[link.drop_for(session, tracked.heard[counter])] += 1
        else:
            is_well_formed = header.is_one_symbol and header.bundle == FILLER_BUNDLE
            heartbeat = parse_heartbeat(text) if is_well_formed else None
            tracked.remember(counter, heartbeat.order if heartbeat else None)
            self._take_session(link, session, tracked, heartbeat, now)

    def _take_session(
        self, link: _Link, session: int, tracked: _Tracked, heartbeat: Heartbeat | None, now: float
    ) -> None:
        if heartbeat is None:
            self._drops[Drop.HEARTBEAT] += 1
        elif heartbeat.order <= link.order.reached:
            self._drops[link.drop_for(session, heartbeat.order)] += 1
        else:
            self._keep(session, tracked)
            self._accept(heartbeat, link, session, now, has_mac=False)

    def _is_outdated(self, link: _Link, session: int, now: float) -> bool:
        """Whether the newer key has spoken, so that this one's word counts for nothing; that it was said is told."""
        if not (link.is_previous and self._current.order.has_spoken):
            return False
        self._note_speaker(link, session, now)
        return True

    def _accept(self, heartbeat: Heartbeat, link: _Link, session: int, now: float, *, has_mac: bool) -> None:
        self._note_speaker(link, session, now)
        if not link.is_previous and not link.order.has_spoken:
            for tracked in self._sessions.values():
                if tracked.key_id != link.key.key_id:
                    tracked.disbelieve()
        link.order = LinkOrder(*heartbeat.order, has_mac=has_mac or link.order.has_mac, has_spoken=True)
        link.newest_session = session
        self.heard = Heard(heartbeat, link.fingerprint, link.order)
        self.heartbeats += 1
        for sealing, sent in heartbeat.sent().items():
            self._announce(link, sealing, sent)

    def _announce(self, link: _Link, session: int, sent: int) -> None:
        """Admit a session. One of the newer key is not taken by the older one, which may have read it off the line."""
        live = self._sessions.get(session)
        if live is not None and live.key_id != link.key.key_id:
            if link.is_previous:
                return
            live = None
        live = live or self._track(link.key.key_id, session, sent)  # what was sent before we heard of it was not lost
        live.reckon(sent)
        self._keep(session, live)

    def _note_speaker(self, link: _Link, session: int, now: float) -> None:
        if not link.is_previous or session in self._noted or not self._notes.may_try(now):
            return
        self._noted[session] = None
        while len(self._noted) > _NOTED:
            del self._noted[next(iter(self._noted))]
        self.old_key_sessions.append((link.key.key_id, session))

    def _track(self, key_id: int, session: int, before: int = 0) -> _Tracked:
        return _Tracked(Session(self._links[key_id].key, session, self._mode), key_id, before)

    def _keep(self, session: int, tracked: _Tracked) -> None:
        """Each key has a budget of its own: who holds an older one cannot crowd out the sessions of the newer."""
        self._sessions[session] = tracked
        self._sessions.move_to_end(session)
        if len(self._sessions) <= MAX_SESSIONS:
            return
        same = [number for number, other in self._sessions.items() if other.key_id == tracked.key_id]
        if len(same) > MAX_SESSIONS:
            del self._sessions[same[0]]


def _open_one(cipher: Session, datagram: bytes) -> bytes | None:
    """The symbol in clear of one datagram; None when its tag is wrong."""
    buffer = bytearray(datagram)
    matrix = np.frombuffer(buffer, np.uint8).reshape(1, -1)
    if not cipher.check(matrix, DatagramViews(memoryview(buffer), len(buffer), 1), slice(0, 1))[0]:
        return None
    return bytes(buffer[HEADER_BYTES:-TAG_BYTES])
