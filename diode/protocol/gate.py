"""Lets only authentic datagrams pass. Each is screened, its session looked up, its tag checked; only then is it stored.

Only authentic heartbeats admit sessions (:mod:`diode.protocol.admission`).
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diode.errors import Drop
from diode.protocol.admission import Admission, Heard
from diode.protocol.auth import DatagramViews, Kernel
from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.link_order import LinkOrder
from diode.protocol.sessions import Admitted, Tracked
from diode.protocol.sizes import OVERHEAD_BYTES, Kind
from diode.protocol.wire import Headers, copy_headers, screen

Bytes2D = NDArray[np.uint8]
Rows = NDArray[np.intp]


class Claim(NamedTuple):
    """The rows of a matrix that claim to be data of one admitted session, ascending. Their tags are not checked yet."""

    session: int
    tracked: Tracked
    rows: Rows


class Claims(NamedTuple):
    """What the headers of a matrix claim: a copy of all of them, and the rows of each admitted session."""

    headers: Headers
    sessions: list[Claim]


class Gate:
    """Authenticates matrices of datagrams. ``drops`` counts the refused ones by reason.

    For the arguments see Admission.
    """

    def __init__(
        self,
        keys: Sequence[LinkKey],
        mode: Mode,
        drops: "Counter[Drop]",
        orders: Mapping[str, LinkOrder] | None = None,
        admitted: Iterable[Admitted] = (),
        kernel: Kernel | None = None,
    ) -> None:
        self._admission = Admission(keys, mode, drops, orders or {}, admitted, kernel)
        self._key_ids = self._admission.key_ids
        self._sessions = self._admission.sessions
        self._drops = drops

    @property
    def heard(self) -> Heard | None:
        """The newest heartbeat that was accepted."""
        return self._admission.heard

    @property
    def heartbeats(self) -> int:
        """How many heartbeats were accepted."""
        return self._admission.heartbeats

    @property
    def old_key_sessions(self) -> deque[tuple[int, int]]:
        """(key id, session) of each session used under the older link key. Whoever reads an entry removes it."""
        return self._admission.old_key_sessions

    @property
    def admitted(self) -> list[Admitted]:
        """The admitted sessions, to be passed to the gate that replaces this one."""
        return self._sessions.admitted

    @property
    def received(self) -> int:
        """How many distinct authentic data datagrams arrived."""
        return self._sessions.received

    @property
    def expected(self) -> int:
        """How many data datagrams were sent since this gate began, as their counters and heartbeats tell."""
        return self._sessions.expected

    def admit(self, datagrams: Bytes2D, views: DatagramViews, now: float) -> Rows:
        """The row numbers of the authentic data and object datagrams, in order of arrival.

        ``datagrams`` is an (n, size) matrix in the caller's memory. In ``aead`` mode its symbols are decrypted in
        place.
        """
        claims = self.claims(datagrams, now)
        admitted = [self._check(datagrams, views, claims, claim, now) for claim in claims.sessions]
        if not admitted:
            return np.empty(0, dtype=np.intp)
        return admitted[0] if len(admitted) == 1 else np.sort(np.concatenate(admitted))

    def claims(self, datagrams: Bytes2D, now: float) -> Claims:
        """Judge everything but the tags of data, by a copy of the headers. Heartbeats are heard, strangers dropped.

        ``datagrams`` may change meanwhile: each row is read once here, and once more when it claims to be a heartbeat,
        which is then judged by that second copy alone. The caller checks the tags, over these headers, and calls
        :meth:`settle` for each session.
        """
        headers = copy_headers(datagrams)
        passed, dropped = screen(headers, datagrams.shape[1] - OVERHEAD_BYTES)
        self._drops.update(dropped)
        known_key = np.zeros(len(headers), dtype=np.bool_)
        for key_id in self._key_ids:
            known_key |= headers["key_id"] == key_id
        self._drops[Drop.KEY] += int(np.count_nonzero(passed & ~known_key))
        passed &= known_key
        beats = passed & (headers["kind"] >= Kind.HEARTBEAT)
        for row, kind in zip(np.flatnonzero(beats).tolist(), headers["kind"][beats].tolist(), strict=True):
            self._admission.hear(datagrams[row], kind, now)
        rows = np.flatnonzero(passed & ~beats)
        found = (
            self._claim(headers["key_id"], group, session)
            for session, group in self._by_session(headers["session"][rows], rows)
        )
        return Claims(headers, [claim for claim in found if claim is not None])

    def settle(self, claims: Claims, claim: Claim, authentic: Rows, now: float) -> None:
        """The tags of a session's rows were checked: count them, and remember who speaks under the older key."""
        tracked = claim.tracked
        self._drops[Drop.TAG] += len(claim.rows) - len(authentic)
        is_current = tracked.key_id == self._key_ids[0]
        counters = claims.headers["counter"][authentic].astype(np.uint64)
        tracked.count(counters, is_believed=is_current or not self._admission.current_has_spoken)
        if not is_current and len(authentic):
            self._admission.note_speaker(tracked.key_id, claim.session, now)

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

    def _claim(self, key_ids: NDArray[np.uint16], rows: Rows, session: int) -> Claim | None:
        """Those of ``rows`` that name the link key under which their session is admitted; None when it is not."""
        tracked = self._sessions.get(session)
        if tracked is None:
            self._drops[Drop.SESSION] += len(rows)
            return None
        same: NDArray[np.bool_] = key_ids[rows] == tracked.key_id
        self._drops[Drop.SESSION] += int(np.count_nonzero(~same))
        return Claim(session, tracked, rows if same.all() else rows[same])

    def _check(self, datagrams: Bytes2D, views: DatagramViews, claims: Claims, claim: Claim, now: float) -> Rows:
        rows = claim.rows
        all_of_them = len(rows) == len(datagrams)
        is_authentic = claim.tracked.cipher.check(datagrams, views, slice(0, len(rows)) if all_of_them else rows)
        authentic: Rows = rows[is_authentic]
        self.settle(claims, claim, authentic, now)
        return authentic
