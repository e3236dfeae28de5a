"""What the receiver is doing now, as values for JSON: the link, what is on its way, and what became of what came.

Rates are those of the last seconds. Times to the end are estimates: nobody here can ask the sender what it does next.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from diode.control.flow import Flow
from diode.formats.timestamps import now_utc
from diode.process.clock import ClockJumped
from receiver.catalogue.lag import Lag, said, worst
from receiver.events.happened import (
    Coming,
    Ended,
    EnginesTaken,
    Event,
    Health,
    Incomplete,
    NowHeld,
    ScanFailed,
    Scanned,
    WorkerDied,
)

MOST_FAILED: Final = 1000  # scans that gave no answer, the newest


class Picture:
    """Reader. ``link`` describes the link (docs/control.md), ``lags`` the channels; ``clock`` is a monotonic one."""

    def __init__(
        self,
        listen: str,
        link: Callable[[], dict[str, Any]],
        lags: Callable[[], Iterable[Lag]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.unanswered: dict[str, str] = {}  # held bundles whose scanner gave no answer, and why
        self._listen = listen
        self._link = link
        self._lags = lags
        self._clock = clock
        self._started = now_utc()
        self._coming: dict[str, tuple[Coming, Flow]] = {}
        self._incomplete: set[str] = set()  # of what is coming: nothing more of it is expected
        self._outcomes = {"published": 0, "quarantined": 0, "expired": 0}
        self._workers = {"begun": False, "well": False, "restarts": 0}
        self._engines: dict[str, str] = {}
        self._jumps: dict[str, Any] = {"jumps": 0, "last": None, "seconds": 0, "right_again": True}

    def read(self, event: Event) -> None:
        """Note what happens."""
        match event:
            case Coming() | NowHeld() | Ended() | Incomplete():
                self._read_bundle(event)
            case ScanFailed(bundle, detail):
                self.unanswered.pop(bundle, None)
                self.unanswered[bundle] = detail
                if len(self.unanswered) > MOST_FAILED:
                    del self.unanswered[next(iter(self.unanswered))]
            case Scanned(bundle):
                self.unanswered.pop(bundle, None)
            case Health(_, has_begun, is_well):
                self._workers |= {"begun": has_begun, "well": is_well}
            case EnginesTaken(fec, tags, taking):
                self._engines = {"fec": fec, "tags": tags, "taking": taking}
            case WorkerDied():
                self._workers["restarts"] += 1
            case ClockJumped(seconds, is_undone):
                jumps = {"jumps": self._jumps["jumps"] + 1, "last": now_utc()}
                self._jumps = jumps | {"seconds": round(seconds), "right_again": is_undone}

    def _read_bundle(self, event: Coming | NowHeld | Ended | Incomplete) -> None:
        match event:
            case Incomplete(bundle):
                self._incomplete |= {bundle} & self._coming.keys()
            case Coming(row, _, stored_bytes):
                self._incomplete.discard(row.id)
                at = self._clock()
                _, flow = self._coming.get(row.id, (event, Flow(at, stored_bytes)))
                flow.look(at, stored_bytes)
                self._coming[row.id] = event, flow
            case NowHeld(row):
                self._over(row.id)
            case Ended(outcome, bundle, row):
                if row is not None or outcome == "dropped":  # else it says nothing of the bundle whose id it has
                    self._over(bundle)
                self.unanswered.pop(bundle, None)
                if outcome in self._outcomes:
                    self._outcomes[outcome] += 1

    def _over(self, bundle: str) -> None:
        self._coming.pop(bundle, None)
        self._incomplete.discard(bundle)

    def now(self, most: int) -> dict[str, Any]:
        """All of it, with at most ``most`` of the bundles on their way, those first of which something came last."""
        oldest = worst(self._lags())
        coming = sorted((self._shown(*one) for one in self._coming.values()), key=_urgency)
        return {
            "at": now_utc(),
            "since": self._started,
            "listen": self._listen,
            "link": self._link(),
            "clock": dict(self._jumps),
            "workers": dict(self._workers),
            "engines": dict(self._engines),
            "on_the_way": coming[:most],
            "coming": len(coming),
            "since_start": dict(self._outcomes),
            "unanswered": dict(self.unanswered),
            "worst_lag": None if oldest is None else said(oldest),
        }

    def _shown(self, coming: Coming, flow: Flow) -> dict[str, Any]:
        row, stored = coming.row, coming.stored_bytes
        is_incomplete = row.id in self._incomplete
        rate = 0 if is_incomplete else flow.rate(self._clock(), stored)
        return {
            "id": row.id,
            "label": row.label,
            "channel": row.channel,
            "size": row.size,
            "files": row.files,
            "done_bytes": stored,
            "total_bytes": row.size,
            "slabs": row.slabs,
            "missing": coming.missing,
            "incomplete": is_incomplete,
            "bytes_per_s": rate,
            "eta_s": round((row.size - stored) / rate) if rate else None,
        }


def _urgency(one: dict[str, Any]) -> tuple[bool, int]:
    """What moves comes first, and of that the one that is done first."""
    return one["eta_s"] is None, one["eta_s"] or 0
