"""What the sender is doing now, as values for JSON: what is on air, and what comes next.

Times to the end are estimates. They count user data at the line's rate, with the repair that is sent beside it, and
nothing of what may still be dropped into the outbox.
"""

import time
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Final

from diode.bundle.ref import label_of
from diode.control.flow import Flow
from sender.events.happened import EnginesTaken, Event, SlabSent
from sender.ledger import Row
from sender.pack.at_work import Underway
from sender.transport.flights import Outgoing

MOST_FLOWS: Final = 256  # far more than can be on air
USUAL_SHARE: Final = 1.25  # bytes on the wire for each of user data, of a bundle whose shape was not looked up


class Flows:
    """Reader: how fast each bundle on air moves. ``on_air``: their numbers, in whatever is a container of them."""

    def __init__(self, on_air: Container[int], clock: Callable[[], float] = time.monotonic) -> None:
        self._on_air = on_air
        self._clock = clock
        self._flows: dict[int, Flow] = {}

    def hear(self, event: Event) -> None:
        """Note how far a bundle is."""
        match event:
            case SlabSent(bundle, done_bytes):
                at, number = self._clock(), bundle.number
                self._flows.setdefault(number, Flow(at, done_bytes)).look(at, done_bytes)
                if len(self._flows) > MOST_FLOWS:
                    self._flows = {number: flow for number, flow in self._flows.items() if number in self._on_air}

    def rate(self, bundle: int, done_bytes: int) -> int:
        """Bytes a second of user data."""
        flow = self._flows.get(bundle)
        return 0 if flow is None else flow.rate(self._clock(), done_bytes)


class Engines:
    """Reader: what computes each step, as the workers said last."""

    def __init__(self) -> None:
        self.said: dict[str, str] = {}

    def hear(self, event: Event) -> None:
        """Note what the workers chose."""
        match event:
            case EnginesTaken(fec, tags):
                self.said = {"fec": fec, "tags": tags}


class Picture:
    """``rate``: bytes a second on the wire; 0 where there is no bound, and then no time is estimated."""

    def __init__(self, rate: int, paused: Mapping[str, str], flows: Flows) -> None:
        self._rate = rate
        self._flows = flows
        self._paused = paused
        self._ahead_s: dict[int, float] = {}  # seconds of work that is known of, by priority

    def is_paused(self, channel: str) -> bool:
        """Whether nothing of a channel is sent."""
        return "" in self._paused or channel in self._paused

    def on_air(self, outgoing: Iterable[Outgoing]) -> list[dict[str, Any]]:
        """Bundles that are being sent, as they began."""
        return [self._sent(one) for one in outgoing]

    def queue(self, rows: Iterable[tuple[Row, int]], most: int) -> list[dict[str, Any]]:
        """The first ``most`` of the queue, in its order, of rows with their priority. Call :meth:`on_air` before."""
        shown: list[dict[str, Any]] = []
        for row, priority in rows:
            if len(shown) >= most:
                break
            end = self._book(priority, self._seconds(row.size * row.passes, USUAL_SHARE))
            stopped = self.is_paused(row.channel)
            shown.append(_named(row) | {"priority": priority, "paused": stopped, "eta_s": None if stopped else end})
        return shown

    def _sent(self, one: Outgoing) -> dict[str, Any]:
        row, total = one.row, one.bytes_to_send
        left = max(0, total - one.bytes_sent)
        full = one.plan.full
        end = self._book(one.plan.priority, self._seconds(left, full.rows / full.k))
        stopped = self.is_paused(row.channel)
        return _named(row) | {
            "done_bytes": min(one.bytes_sent, total),
            "total_bytes": total,
            "bytes_per_s": 0 if stopped else self._flows.rate(one.plan.bundle, one.bytes_sent),
            "pass": one.sending_pass if one.resend is None else 1,
            "passes": row.passes if one.resend is None else 1,
            "resend": one.resend is not None,
            "paused": stopped,
            "eta_s": None if stopped else end,
        }

    def _seconds(self, size: int, share: float) -> float:
        return size * share / self._rate if self._rate else 0.0

    def _book(self, priority: int, seconds: float) -> int | None:
        """When work of this priority will be done that comes after all that was booked, in whole seconds."""
        self._ahead_s[priority] = self._ahead_s.get(priority, 0.0) + seconds
        if not self._rate:
            return None
        return round(sum(each for other, each in self._ahead_s.items() if other >= priority))


def packing(underway: Iterable[Underway]) -> list[dict[str, Any]]:
    """Items that are being packed, the most urgent first: what of it is done now, and whether it is stopped."""
    return [
        {
            "label": f"{one.item.channel}/{one.item.name}",
            "channel": one.item.channel,
            "priority": one.turn.priority,
            "step": one.progress.check,
            "done_bytes": min(one.progress.done, one.progress.total),
            "total_bytes": one.progress.total,
            "held": one.progress.is_held,
        }
        for one in underway
    ]


def _named(row: Row) -> dict[str, Any]:
    return {"id": row.id, "label": label_of(row), "channel": row.channel, "size": row.size, "files": row.files}
