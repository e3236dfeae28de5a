"""Says to the site's event hooks what happens on this side (docs/hooks.md): which events, in which words."""

from dataclasses import replace
from typing import Any

from diode.bundle.ref import BundleRef
from diode.config.sender import SenderConfig
from diode.process.event_hooks import EventHooks, Happening, Settings
from sender.events.happened import (
    BundleResent,
    BundleSent,
    BundleUnapproved,
    BundleWithdrawn,
    Event,
    ItemLeft,
    ItemRefused,
    KernelAccepts,
    KernelRefuses,
    ResendFailed,
)
from sender.intake.hooks import surroundings


class Told:
    """Reader: tells ``hooks`` what they can be told."""

    def __init__(self, config: SenderConfig) -> None:
        settings = config.hooks
        around = replace(surroundings(config), reads=(), writes=tuple(map(str, settings.writes)))
        self._is_silent = False
        self.hooks = EventHooks(
            Settings(
                side="sender",
                commands=settings.commands,
                around=around,
                state=config.state,
                timeout_s=settings.timeout_s,
                at_once=settings.at_once,
                queue=settings.queue,
                user=settings.user,
            )
        )

    def hear(self, event: Event) -> None:
        """Have an event told, if it is one that hooks are for."""
        match event:
            case BundleSent() | BundleResent() | BundleUnapproved() | BundleWithdrawn() | ResendFailed():
                self._of_bundle(event)
            case ItemRefused(channel, name, reason, detail):
                facts = {"channel": channel, "name": name, "reason": reason, "detail": detail}
                self.hooks.tell(Happening("failed", facts))
            case ItemLeft(item, why, do):
                self.hooks.tell(Happening("left", {"item": item, "detail": why, "do": do}, once=f"{item}\n{why}"))
            case KernelRefuses(error, since_s):
                if not self._is_silent:  # it is said again and again
                    self.hooks.tell(Happening("silent", {"reason": error, "since_s": since_s}))
                self._is_silent = True
            case KernelAccepts(refused_s):
                if self._is_silent:
                    self.hooks.tell(Happening("alive", {"since_s": refused_s}))
                self._is_silent = False

    def _of_bundle(self, event: BundleSent | BundleResent | BundleUnapproved | BundleWithdrawn | ResendFailed) -> None:
        match event:
            case BundleSent(bundle, size, files):
                self.hooks.tell(Happening("sent", _facts(bundle) | {"bytes": size, "files": files, "again": False}))
            case BundleResent(bundle, size, files):
                self.hooks.tell(Happening("sent", _facts(bundle) | {"bytes": size, "files": files, "again": True}))
            case BundleUnapproved(bundle, size, signatures):
                do = f"diode-sender approve {bundle.hex_id} --key KEY"
                facts = _facts(bundle) | {"bytes": size, "signatures": signatures, "do": do}
                self.hooks.tell(Happening("unapproved", facts, once=bundle.hex_id))
            case BundleWithdrawn(bundle, _, detail):
                self.hooks.tell(Happening("failed", _facts(bundle) | {"reason": "cancelled", "detail": detail}))
            case ResendFailed(hex_id, detail):
                self.hooks.tell(Happening("failed", {"bundle": hex_id, "reason": "resend_failed", "detail": detail}))


def _facts(bundle: BundleRef) -> dict[str, Any]:
    named = {"channel": bundle.channel, "name": bundle.name, "version": bundle.version}
    return {"bundle": bundle.hex_id, "label": bundle.label, **named}
