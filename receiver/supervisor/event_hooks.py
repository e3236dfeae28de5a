"""Says to the site's event hooks what happens on this side (docs/hooks.md): which events, in which words."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from diode.config.receiver import ReceiverConfig
from diode.process.event_hooks import EventHooks, Happening, Settings
from receiver.events.happened import Ended, Event, Incomplete, Noted, NowHeld, ScanFailed
from receiver.events.of_link import LinkAlive, LinkImpaired, LinkSilent
from receiver.inbox.folder import Inbox
from receiver.ledger.bundles import Row
from receiver.release.scanning import surroundings

_DISK: Final = "disk_failing"


class Told:
    """Reader: tells ``hooks`` what they can be told."""

    def __init__(self, config: ReceiverConfig) -> None:
        settings = config.hooks
        writes = tuple(map(str, settings.writes))
        self._inbox = Inbox(config.inbox.path).path.absolute()
        self._silent: set[str] = set()  # the causes of this silence that were told
        self.hooks = EventHooks(
            Settings(
                side="receiver",
                commands=settings.commands,
                around=replace(surroundings(config), writes=writes),
                state=config.state,
                timeout_s=settings.timeout_s,
                at_once=settings.at_once,
                queue=settings.queue,
                user=settings.user,
            )
        )

    def read(self, event: Event) -> None:
        """Have an event told, if it is one that hooks are for."""
        match event:
            case Ended() | NowHeld() | Incomplete() | ScanFailed():
                self._of_bundle(event)
            case LinkSilent() | LinkImpaired() | LinkAlive():
                self._of_link(event)
            case Noted(event=what) if what == _DISK:
                facts = {"reason": _DISK, "detail": str(event.fields.get("detail", ""))}
                self.hooks.tell(Happening("failed", facts))

    def _of_link(self, event: LinkSilent | LinkImpaired | LinkAlive) -> None:
        """A silence and its end, whatever else is wrong with the link before and after it."""
        if isinstance(event, LinkSilent):
            if event.state not in self._silent:  # it is said again and again
                facts = {"since_s": event.since_s, "state": event.state, "detail": event.says, "do": event.do}
                self.hooks.tell(Happening("silent", facts))
            self._silent.add(event.state)
        elif self._silent:
            self.hooks.tell(Happening("alive", {"since_s": event.since_s}))
            self._silent.clear()

    def _of_bundle(self, event: Ended | NowHeld | Incomplete | ScanFailed) -> None:
        match event:
            case Ended("published", _, Row() as row):
                path = self._inbox / row.channel / row.name / row.version
                self.hooks.tell(Happening("published", _facts(row) | {"path": str(path)}, reads=(Path(path),)))
            case Ended("quarantined", bundle, row):
                facts = _of(bundle, row) | {"reason": str(event.fields.get("reason", "")), "detail": _detail(event)}
                self.hooks.tell(Happening("quarantined", facts))
            case Ended("expired", bundle, row):
                self.hooks.tell(Happening("failed", _of(bundle, row) | {"reason": "expired", "detail": _detail(event)}))
            case NowHeld(row):
                facts = _facts(row) | {"waits_for": event.waits_for, "do": f"diode-receiver accept {row.id} --key KEY"}
                self.hooks.tell(Happening("held", facts, once=row.id))
            case Incomplete(bundle, row, detail, code):
                facts = _of(bundle, row) | {"detail": detail, "resend_code": code, "do": "diode-receiver missing"}
                self.hooks.tell(Happening("missing", facts, once=f"{bundle} {detail} {code}"))
            case ScanFailed(bundle, detail):
                facts = {"bundle": bundle, "reason": "scan_failed", "detail": detail}
                self.hooks.tell(Happening("failed", facts))


def _facts(row: Row) -> dict[str, Any]:
    named = {"bundle": row.id, "label": row.label, "channel": row.channel, "name": row.name, "version": row.version}
    return named | {"bytes": row.size, "files": row.files}


def _of(bundle: str, row: Row | None) -> dict[str, Any]:
    """Of a bundle that may be nobody's: then it has an id alone."""
    return {"bundle": bundle} if row is None else _facts(row)


def _detail(event: Ended) -> str:
    return str(event.fields.get("detail") or (event.row.detail if event.row is not None else ""))
