"""Answers what commands ask of the running sender. Each request that changes something is in the audit log first."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from diode.audit.chain import What
from diode.audit.facts import unix_user
from diode.audit.log import AuditLog
from diode.bundle.ref import label_of
from diode.errors import MessageError, UsageError
from diode.formats.timestamps import now_utc
from diode.process.peer import Peer
from sender.control.pauses import Pauses
from sender.control.picture import Engines, Flows, Picture, packing
from sender.control.retrying import Plan, Retrying
from sender.control.words import WHOLE_LINE, Cancel, Hold, LetGo, Pause, Resume, Retry, RetryItem, Status
from sender.ledger import Ledger, Row
from sender.pack.at_work import Underway
from sender.supervisor.supply import Supply
from sender.transport.flights import Flights
from sender.transport.schedule import Scheduler


class Desk:
    """``supply`` hands out the work; ``line`` describes the link and its rate; ``at_work``: items being packed."""

    def __init__(
        self,
        flights: Flights,
        scheduler: Scheduler,
        ledger: Ledger,
        audit: AuditLog,
        pauses: Pauses,
        supply: Supply,
        line: Callable[[], dict[str, Any]],
        retrying: Retrying,
        at_work: Iterable[Underway],
    ) -> None:
        self._flights = flights
        self._ledger = ledger
        self._audit = audit
        self._pauses = pauses
        self._supply = supply
        self._line = line
        self._retrying = retrying
        self._at_work = at_work
        self._started = now_utc()
        self.flows = Flows(flights.outgoing)
        self.engines = Engines()
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
        return self._of_one(message, unix_user(peer.uid))

    def _of_one(self, message: object, who: str) -> Mapping[str, Any]:
        """What is asked about one bundle or item."""
        match message:
            case Hold(bundle):
                row = self._row(bundle)
                self._supply.keep_back(row, who)
                return {"id": row.id, "label": label_of(row)}
            case LetGo(bundle):
                row = self._row(bundle)
                self._supply.let_go(row, who)
                return {"id": row.id, "label": label_of(row)}
            case Retry(bundle):
                return self._retry(self._retrying.bundle(bundle), who)
            case RetryItem(place, channel, name):
                return self._retry(self._retrying.item(place, channel, name), who)
        raise MessageError(type(message).__name__, "nobody answers this")

    def _status(self, queued: int) -> Mapping[str, Any]:
        line = self._line()
        picture = Picture(line["rate"], self._pauses.since, self.flows)
        return {
            "at": now_utc(),
            "since": self._started,
            "line": line,
            "engines": dict(self.engines.said),
            "paused": dict(self._pauses.since),
            "packing": packing(self._at_work),
            "on_air": picture.on_air(self._flights.outgoing.values()),
            "queue": picture.queue(self._flights.in_order(), queued),
            "queued": sum(1 for _ in self._flights.queued()),
        }

    def _give_up(self, bundle: str, why: str, who: str) -> Mapping[str, Any]:
        row = self._row(bundle)
        self._supply.cancel(row, f"cancelled by {who}" + (f": {why}" if why else ""))
        return {"id": row.id, "state": "withdrawn"}

    def _retry(self, plan: Plan, who: str) -> Mapping[str, Any]:
        self._audit.append(What.RETRIED, **plan.facts, who=who, detail=plan.what)
        plan.begin()
        return {"what": plan.what}

    def _row(self, bundle: str) -> Row:
        row = self._ledger.get(bundle)
        if row is None:
            raise UsageError(f"no bundle {bundle} is known here; nothing was changed")
        return row

    def _pause(self, channel: str, who: str) -> Mapping[str, Any]:
        if channel not in self._pauses.since:
            self._audit.append(What.PAUSED, **_named(channel), who=who)
        return {"channel": channel, "changed": self._pauses.add(channel, now_utc())}

    def _resume(self, channel: str, who: str) -> Mapping[str, Any]:
        if channel in self._pauses.since:
            self._audit.append(What.RESUMED, **_named(channel), who=who)
        changed = self._pauses.remove(channel)
        self._supply.pump()
        return {"channel": channel, "changed": changed}


def _named(channel: str) -> dict[str, str]:
    return {"channel": channel} if channel else {}
