"""Judges heartbeats under the link keys that this side holds, and admits the sessions that they announce.

Heartbeats of kind 4 are checked under one key, whatever session they claim. Older senders send kind 3 only. The first
of each session costs a key derivation, so at most fifty a second are tried. The order of heartbeats is kept for each
link key separately. Once the newer key was used, heartbeats under the older key are not believed any more.
"""

import struct
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diode.errors import Drop
from diode.protocol.auth import DatagramViews, HeartbeatAuth, Kernel, Session
from diode.protocol.heartbeat import Heartbeat, parse_heartbeat, parse_heartbeat_mac
from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.link_order import LinkOrder
from diode.protocol.sessions import MAX_SESSIONS, Admitted, Sessions, Tracked
from diode.protocol.sizes import HEADER_BYTES, TAG_BYTES, Kind
from diode.protocol.trials import MAC_CHECKS_PER_S, MAC_SAMPLE, TRIALS_PER_S, Trials
from diode.protocol.wire import PADDING_BUNDLE

_MAC: Final = int(Kind.HEARTBEAT_MAC)
_LONE: Final = struct.Struct(">4xBxHQQQIH2xBB")  # of docs/wire-format.md, section 1
_NOTED: Final = 64  # sessions under an older key that are remembered as told
_NOTES_PER_S: Final = 4


class HeldKey:
    """One link key that this side holds: how its heartbeats are checked, and the newest order that was accepted."""

    def __init__(self, key: LinkKey, mode: Mode, order: LinkOrder, *, is_previous: bool) -> None:
        self.key = key
        self.fingerprint = key.fingerprint
        self.auth = HeartbeatAuth(key, mode)
        self.order = order
        self.is_previous = is_previous
        self.newest_session: int | None = None  # of the newest heartbeat; None: an earlier gate heard it

    def is_newest(self, session: int, order: tuple[int, int] | None) -> bool:
        """Whether a heartbeat is the newest accepted one once more. A network may deliver it twice."""
        is_known = self.order.has_spoken and self.newest_session in (None, session)
        return is_known and order == self.order.reached

    def drop_for(self, session: int, order: tuple[int, int] | None) -> Drop:
        """The drop reason for a heartbeat that is not newer.

        The newest one again is a duplicate; others violate the order.
        """
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
    """An accepted heartbeat, the fingerprint of its key, and the newest order of that key afterwards."""

    heartbeat: Heartbeat
    key: str
    order: LinkOrder


class Admission:
    """Judges heartbeats. ``drops`` counts the refused ones by reason; ``heard`` is the newest accepted one.

    The first of the ``keys`` is the current one; the other is from before the link key was changed.
    ``old_key_sessions`` holds each session that was used under that other key, once: (key id, session). Whoever reads
    an entry removes it.

    ``orders`` tells, by fingerprint of the key, the newest order that an earlier gate accepted. The sessions that this
    gate had ``admitted`` are admitted at once, without waiting for the next heartbeat. A ``kernel`` checks tags, where
    one is given.
    """

    def __init__(
        self,
        keys: Sequence[LinkKey],
        mode: Mode,
        drops: "Counter[Drop]",
        orders: Mapping[str, LinkOrder],
        admitted: Iterable[Admitted],
        kernel: Kernel | None = None,
    ) -> None:
        self.heard: Heard | None = None
        self.heartbeats = 0
        self.sessions = Sessions()
        self.old_key_sessions: deque[tuple[int, int]] = deque(maxlen=MAX_SESSIONS)
        self._links: dict[int, HeldKey] = {}
        for key in keys:
            order = orders.get(key.fingerprint, LinkOrder())
            self._links.setdefault(key.key_id, HeldKey(key, mode, order, is_previous=bool(self._links)))
        self._current = next(iter(self._links.values()))
        self._mode = mode
        self._kernel = kernel
        self._drops = drops
        self._trials = Trials(TRIALS_PER_S)
        self._mac_checks = Trials(MAC_CHECKS_PER_S, MAC_SAMPLE)
        self._noted: dict[int, None] = {}
        self._notes = Trials(_NOTES_PER_S)
        for key_id, session, expected in admitted:
            if key_id in self._links:
                self.sessions.keep(session, self._track(key_id, session, expected))

    @property
    def key_ids(self) -> tuple[int, ...]:
        """The ids of the keys that this side holds, the current one first."""
        return tuple(self._links)

    @property
    def current_has_spoken(self) -> bool:
        """Whether a heartbeat under the current key was accepted, so that the older key is not believed any more."""
        return self._current.order.has_spoken

    def hear(self, datagram: NDArray[np.uint8], kind: int, now: float) -> None:
        """Judge a heartbeat by a copy of it, because the process that received it can still change the original."""
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

    def note_speaker(self, key_id: int, session: int, now: float) -> None:
        """Remember that this session is used under the older key. At most a few a second are remembered."""
        if key_id == self._current.key.key_id or session in self._noted or not self._notes.may_try(now):
            return
        self._noted[session] = None
        while len(self._noted) > _NOTED:
            del self._noted[next(iter(self._noted))]
        self.old_key_sessions.append((key_id, session))

    def _hear_mac(self, link: HeldKey, datagram: bytes, header: _Lone, now: float) -> None:
        """Judge a heartbeat of kind 4. The header holds its order, so a recorded one is dropped before it is parsed."""
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

    def _hear_session(self, link: HeldKey, datagram: bytes, header: _Lone, now: float) -> None:
        """Judge a heartbeat of kind 3 under the key of its session.

        A repeated counter of a session is not parsed again.
        """
        session, counter = header.session, header.counter
        if link.order.has_mac:
            self._drops[Drop.HEARTBEAT_KIND] += 1
            return
        tracked = self.sessions.get(session)
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
            is_well_formed = header.is_one_symbol and header.bundle == PADDING_BUNDLE
            heartbeat = parse_heartbeat(text) if is_well_formed else None
            tracked.remember(counter, heartbeat.order if heartbeat else None)
            self._take_session(link, session, tracked, heartbeat, now)

    def _take_session(
        self, link: HeldKey, session: int, tracked: Tracked, heartbeat: Heartbeat | None, now: float
    ) -> None:
        if heartbeat is None:
            self._drops[Drop.HEARTBEAT] += 1
        elif heartbeat.order <= link.order.reached:
            self._drops[link.drop_for(session, heartbeat.order)] += 1
        else:
            self.sessions.keep(session, tracked)
            self._accept(heartbeat, link, session, now, has_mac=False)

    def _is_outdated(self, link: HeldKey, session: int, now: float) -> bool:
        """Whether this key is the older one, and the current one was used already.

        If so, the use of the older one is remembered.
        """
        if not (link.is_previous and self.current_has_spoken):
            return False
        self.note_speaker(link.key.key_id, session, now)
        return True

    def _accept(self, heartbeat: Heartbeat, link: HeldKey, session: int, now: float, *, has_mac: bool) -> None:
        self.note_speaker(link.key.key_id, session, now)
        if not link.is_previous and not link.order.has_spoken:
            self.sessions.disbelieve_others(link.key.key_id)
        link.order = LinkOrder(*heartbeat.order, has_mac=has_mac or link.order.has_mac, has_spoken=True)
        link.newest_session = session
        self.heard = Heard(heartbeat, link.fingerprint, link.order)
        self.heartbeats += 1
        for sealing, sent in heartbeat.sent().items():
            self._announce(link, sealing, sent)

    def _announce(self, link: HeldKey, session: int, sent: int) -> None:
        """Admit a session.

        The older key cannot take over a session of the newer key, whose number is visible on the line.
        """
        live = self.sessions.get(session)
        if live is not None and live.key_id != link.key.key_id:
            if link.is_previous:
                return
            live = None
        live = live or self._track(link.key.key_id, session, sent)  # what was sent before we heard of it was not lost
        live.reckon(sent)
        self.sessions.keep(session, live)

    def _track(self, key_id: int, session: int, before: int = 0) -> Tracked:
        return Tracked(Session(self._links[key_id].key, session, self._mode, self._kernel), key_id, before)


def _open_one(cipher: Session, datagram: bytes) -> bytes | None:
    """The symbol in clear of one datagram; None when its tag is wrong."""
    buffer = bytearray(datagram)
    matrix = np.frombuffer(buffer, np.uint8).reshape(1, -1)
    if not cipher.check(matrix, DatagramViews(memoryview(buffer), len(buffer), 1), slice(0, 1))[0]:
        return None
    return bytes(buffer[HEADER_BYTES:-TAG_BYTES])
