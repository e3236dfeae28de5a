"""The section ``[hooks]`` of either side: programs of the site that are told what happens (docs/hooks.md).

They are called event hooks, to tell them from the hooks that judge an item (``[[channels.NAME.intake.hooks]]``) and
from health hooks (``health``).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from diode.config.sections import Section


def _is_absolute(command: tuple[str, ...]) -> tuple[str, ...]:
    if command and not command[0].startswith("/"):
        raise ValueError("the program of a hook is named by its absolute path")
    return command


Command = Annotated[tuple[str, ...], Field(max_length=64), AfterValidator(_is_absolute)]  # program, arguments; no shell


class EventHooks(Section):
    """What both sides have. An event without a command is told to nobody."""

    events: ClassVar[tuple[str, ...]] = ()

    silent: Command = ()
    alive: Command = ()
    failed: Command = ()
    timeout_s: Annotated[float, Field(gt=0.0, le=3600.0)] = 30.0  # for one event; then it is killed with all it started
    at_once: Annotated[int, Field(ge=1, le=16)] = 1  # events that are told at the same time; more may come in any order
    queue: Annotated[int, Field(ge=1, le=10_000)] = 1000  # events that may wait; more are left out, and counted
    user: Annotated[str, Field(max_length=64)] = ""  # whom they run as; empty: the daemon's user, without sockets
    writes: Annotated[tuple[Path, ...], Field(max_length=16)] = ()  # folders where they may write as the daemon's user

    @property
    def commands(self) -> Mapping[str, tuple[str, ...]]:
        """The command of each event that has one."""
        found = {event: getattr(self, event) for event in self.events}
        return {event: command for event, command in found.items() if command}


class SenderHooks(EventHooks):
    """The events of the sending side."""

    events = ("sent", "failed", "left", "unapproved", "silent", "alive")

    sent: Command = ()
    left: Command = ()
    unapproved: Command = ()


class ReceiverHooks(EventHooks):
    """The events of the receiving side."""

    events = ("published", "quarantined", "held", "missing", "failed", "silent", "alive")

    published: Command = ()
    quarantined: Command = ()
    held: Command = ()
    missing: Command = ()
