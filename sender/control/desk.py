"""Answers what commands ask of the running sender. Each request that changes something is in the audit log first."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from diode.audit.chain import What
from diode.audit.facts import unix_user
from diode.audit.log import AuditLog
from diode.errors import MessageError, UsageError
from diode.formats.timestamps import now_utc
from diode.process.peer import Peer
from sender.control.pauses import Pauses
from sender.control.picture import Picture, packing
from sender.control.words import WHOLE_LINE, Cancel, Pause, Resume, Status
from sender.ledger import Ledger, Row
from sender.pack.at_work import Underway
from sender.transport.flights import Flights
from sender.transport.schedule import Scheduler


class Desk:
    """``cancel`` gives a bundle up, ``pump`` hands out work anew, ``line`` describes the link and its rate.

    ``at_work``: the items that are being packed at the moment.
    """

    def __init__(
        self,
        flights: Flights,
        scheduler: Scheduler,
        ledger: Ledger,
        audit: AuditLog,
        pauses: Pauses,
        *,
        cancel: Callable[[Row, str], None],
        pump: Callable[[], None],
        line: Callable[[], dict[str, Any]],
        at_work: Iterable[Underway],
    ) -> None:
        self._flights = flights
        self._ledger = ledger
        self._audit = audit
        self._pauses = pauses
        self._cancel = cancel
        self._pump = pump
        self._line = line
        self._at_work = at_work
        self._started = now_utc()
        scheduler.pause(lambda channel: WHOLE_LINE in pauses.since or channel in pauses.since)

    async def answer(self, message: object, peer: Peer) -> Mapping[str, Any]:
        """Do what is asked. Raises UsageError, StorageError."""
        match message:
            case Status(queued):
                return self._status(queued)
            case Cancel(bundle, why):
                return self._give_up(bundle, why, unix_user(peer.uid))
            case Pause(channel):
                return self._pause(channel, unix_user(peer.uid))
            case Resume(channel):
                return self._resume(channel, unix_user(peer.uid))
        raise MessageError(type(message).__name__, "nobody answers this")

    def _status(self, queued: int) -> Mapping[str, Any]:
        line = self._line()
        picture = Picture(line["rate"], self._pauses.since)
        return {
            "at": now_utc(),
            "since": self._started,
            "line": line,
            "paused": dict(self._pauses.since),
            "packing": packing(self._at_work),
            "on_air": picture.on_air(self._flights.outgoing.values()),
            "queue": picture.queue(self._flights.in_order(), queued),
            "queued": sum(1 for _ in self._flights.queued()),
        }

    def _give_up(self, bundle: str, why: str, who: str) -> Mapping[str, Any]:
        row = self._ledger.get(bundle)
        if row is None:
            raise UsageError(f"no bundle {bundle} is known here; nothing was cancelled")
        self._cancel(row, f"cancelled by {who}" + (f": {why}" if why else ""))
        return {"id": row.id, "state": "withdrawn"}

    def _pause(self, channel: str, who: str) -> Mapping[str, Any]:
        if channel not in self._pauses.since:
            self._audit.append(What.PAUSED, **_named(channel), who=who)
        return {"channel": channel, "changed": self._pauses.add(channel, now_utc())}

    def _resume(self, channel: str, who: str) -> Mapping[str, Any]:
        if channel in self._pauses.since:
            self._audit.append(What.RESUMED, **_named(channel), who=who)
        changed = self._pauses.remove(channel)
        self._pump()
        return {"channel": channel, "changed": changed}


def _named(channel: str) -> dict[str, str]:
    return {"channel": channel} if channel else {}
