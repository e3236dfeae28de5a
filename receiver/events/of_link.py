"""What the receiving daemon notices of the link: who is heard, under which key, and what is missing by numbers."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TwoLinkKeys:
    """Two link keys are valid: the current one, and the one before the last change."""

    previous: str  # its id, in hexadecimal digits
    since: str  # RFC 3339


@dataclass(frozen=True, slots=True)
class PreviousKeyMissing:
    """The configuration names a previous link key, and there is no such file."""

    path: str


@dataclass(frozen=True, slots=True)
class BeatHeard:
    """A heartbeat was taken. ``health`` and ``clock`` (Unix seconds) are as the sender states them, unverified."""

    at: float
    health: Mapping[str, int]
    clock: int = 0


@dataclass(frozen=True, slots=True)
class LinkSilent:
    """No heartbeat is heard: never yet, or for too long. It is said once more each minute.

    ``state`` and ``says`` are those of :mod:`receiver.supervisor.reception`; ``drops`` is what was refused since the
    last time, by cause; ``do`` is what mends it.
    """

    since_s: float
    state: str
    says: str
    drops: Mapping[str, int]
    do: str


@dataclass(frozen=True, slots=True)
class LinkImpaired:
    """Heartbeats are heard, and something else is wrong. The fields are those of :class:`LinkSilent`."""

    since_s: float
    state: str
    says: str
    drops: Mapping[str, int]
    do: str


@dataclass(frozen=True, slots=True)
class LinkAlive:
    """Heartbeats are heard again, and all is well. ``since_s``: how long it was not."""

    since_s: float


@dataclass(frozen=True, slots=True)
class BeatsLeftOut:
    """Some heartbeats were not recorded, because too many waited for the disk. The event has their number."""

    count: int


@dataclass(frozen=True, slots=True)
class OldKeyUsed:
    """A session uses the link key from before the last change. There is one such event for each session."""

    key: str
    session: str


@dataclass(frozen=True, slots=True)
class GapsCounted:
    """Bundles that have sequence numbers, and of which nothing arrived, were counted."""

    count: int
