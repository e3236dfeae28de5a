"""What happens on the receiving side: each event is one frozen class. Log, display, metrics and scanners read them.

The supervisor makes an event from what it looked up itself. Some texts in events come from the peer or a worker: each
reader bounds and escapes them when it shows them. Times are seconds of one monotonic clock.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from diode.process.clock import ClockJumped
from diode.process.restarts import WorkersLate
from diode.process.shutdown import Stopping
from diode.process.supervise import WorkerRefused, WorkerSaid
from receiver.catalogue.lag import Lag
from receiver.events.of_link import (
    BeatHeard,
    BeatsLeftOut,
    GapsCounted,
    LinkAlive,
    LinkImpaired,
    LinkSilent,
    OldKeyUsed,
    PreviousKeyMissing,
    TwoLinkKeys,
)
from receiver.ledger.bundles import Row
from receiver.ledger.drills import Drill
from receiver.ledger.pointers import Recall
from receiver.messages.pipeline import DiskFailing

DISK_DO: Final = "make the disk work again; what it does not take is asked for again"

# the daemon


@dataclass(frozen=True, slots=True)
class Listening:
    """The port is open and the workers were started."""

    address: str
    inbox: str


@dataclass(frozen=True, slots=True)
class TrustAwaited:
    """A newer trust document counted here, and the ledger does not have it any more."""

    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class Ticked:
    """A quarter of a second has passed. Readers that show progress show it again."""

    at: float


@dataclass(frozen=True, slots=True)
class Health:
    """How the daemon is. ``has_begun``: all workers do their work. ``is_well``: they are alive and make progress."""

    at: float
    has_begun: bool
    is_well: bool


# the link


# the workers


@dataclass(frozen=True, slots=True)
class IsalAbsent:
    """A worker decodes without the fast FEC engine ISA-L, though the configuration allows it."""


@dataclass(frozen=True, slots=True)
class EnginesTaken:
    """What computes each step. ``refused``: why the compiled core is not used, although it should be; empty: it is."""

    fec: str
    tags: str
    taking: str
    refused: str


@dataclass(frozen=True, slots=True)
class SandboxIncomplete:
    """Parts of a worker's sandbox could not be put in force."""

    worker: str
    lacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UdpPathTaken:
    """How the socket is read."""

    path: str


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """A worker ended by itself with this exit code. All workers are replaced."""

    at: float
    worker: str
    code: int


# bundles


@dataclass(frozen=True, slots=True)
class Coming:
    """A bundle is on its way."""

    row: Row
    how: Literal["accepted", "resumed", "progress"]
    stored_bytes: int
    missing: int


@dataclass(frozen=True, slots=True)
class NowHeld:
    """A bundle is verified, and lies at ``path`` until people, or a scanner, decide."""

    row: Row
    path: str
    waits_for: str
    is_scanned: bool

    def facts(self) -> dict[str, Any]:
        """What a scanner is told."""
        row = self.row
        place = {"bundle": row.id, "label": row.label, "channel": row.channel, "path": self.path}
        return place | {"bytes": row.size, "files": row.files}


@dataclass(frozen=True, slots=True)
class Ended:
    """A bundle has ended. ``row`` None: nobody knows whose bundle it was. ``fields`` are shown.

    The outcome "dropped" means that nothing is kept of the bundle, and nothing is shown.
    """

    outcome: Literal["published", "quarantined", "expired", "dropped"]
    bundle: str
    row: Row | None
    fields: dict[str, Any]
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class DescriptionFailed:
    """A published bundle could not be looked into, or not as a whole: what it holds may not be served."""

    row: Row
    detail: str


@dataclass(frozen=True, slots=True)
class NamesTaken:
    """A published bundle claims so many names of other channels. They are not served of this bundle."""

    row: Row
    count: int
    detail: str


@dataclass(frozen=True, slots=True)
class Incomplete:
    """All passes of a bundle are over, or its sender is gone, and a part of the bundle is still missing.

    ``row`` None: the bundle could not even be begun. ``resend_code`` asks for the rest. If the code is long, this is
    the name of the file that holds it.
    """

    bundle: str
    row: Row | None
    detail: str
    resend_code: str


@dataclass(frozen=True, slots=True)
class ResendNeeded:
    """A person has to ask for what is missing, and types ``do`` on the other side. ``kept``: the code's file, or ""."""

    what: str
    do: str
    kept: str
    bundle: str
    label: str = ""  # "": nothing of it was begun


@dataclass(frozen=True, slots=True)
class Dismissed:
    """A person said that a bundle is not missed, or took that back. ``bundle`` "": a number; ``sequence`` 0: none."""

    bundle: str
    channel: str
    sequence: int
    who: str
    reason: str
    is_undone: bool


@dataclass(frozen=True, slots=True)
class CodeNotKept:
    """The file of a resend code could not be written."""


@dataclass(frozen=True, slots=True)
class HintsLeftOut:
    """Bundles that only heartbeats name were counted and not reported one by one. The event has their number."""

    count: int


@dataclass(frozen=True, slots=True)
class Scanned:
    """A channel's scanner has decided about a held bundle."""

    bundle: str
    verdict: str
    reason: str
    label: str


@dataclass(frozen=True, slots=True)
class ScanFailed:
    """A channel's scanner could not decide about a held bundle. The bundle stays held."""

    bundle: str
    detail: str
    label: str


@dataclass(frozen=True, slots=True)
class NowInUse:
    """A version is in use, and somebody has to look at it: its channel's health hook (``trial``), or a ``drill``.

    ``number`` is the pointer's. Whoever answers names it, so that an answer that comes too late counts for nothing.
    """

    row: Row
    number: int
    why: Literal["trial", "drill"]


@dataclass(frozen=True, slots=True)
class HealthFound:
    """A channel's health hook has answered about a version in use, or could not be asked, which is unhealthy."""

    row: Row
    is_healthy: bool
    detail: str


@dataclass(frozen=True, slots=True)
class HealthUnsaid:
    """What a health hook found could not be handed to ``store``. It is tried again."""

    row: Row
    detail: str


@dataclass(frozen=True, slots=True)
class RecallChanged:
    """A bundle was recalled, or its recall was taken back. ``is_here``: it has arrived."""

    recall: Recall
    is_here: bool


@dataclass(frozen=True, slots=True)
class DrillEnded:
    """A drill has ended; its report is written."""

    drill: Drill


@dataclass(frozen=True, slots=True)
class LagBreached:
    """The content of a channel is older than its budget. There is one such event for each breach."""

    lag: Lag


@dataclass(frozen=True, slots=True)
class LagRecovered:
    """The content of a channel is within its budget again."""

    lag: Lag


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that is only logged: no other reader needs it."""

    level: Literal["info", "error"]
    event: str
    fields: dict[str, Any]


Event = (
    Listening
    | TwoLinkKeys
    | PreviousKeyMissing
    | TrustAwaited
    | Stopping
    | ClockJumped
    | Ticked
    | Health
    | BeatHeard
    | LinkSilent
    | LinkImpaired
    | LinkAlive
    | BeatsLeftOut
    | OldKeyUsed
    | GapsCounted
    | IsalAbsent
    | EnginesTaken
    | SandboxIncomplete
    | UdpPathTaken
    | WorkerDied
    | WorkersLate
    | WorkerRefused
    | WorkerSaid
    | Coming
    | NowHeld
    | Ended
    | DescriptionFailed
    | NamesTaken
    | Incomplete
    | ResendNeeded
    | CodeNotKept
    | Dismissed
    | HintsLeftOut
    | Scanned
    | ScanFailed
    | Noted
    | NowInUse
    | HealthFound
    | HealthUnsaid
    | RecallChanged
    | DrillEnded
    | LagBreached
    | LagRecovered
)


def disk_failing(message: DiskFailing) -> Noted:
    """Make the alarm event for a failing disk."""
    return Noted("error", "disk_failing", {"detail": message.detail, "failures": message.failures, "do": DISK_DO})
