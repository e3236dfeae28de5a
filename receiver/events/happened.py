"""What happens on the receiving side: one frozen class an event. What is logged, shown, counted or scanned reads these.

The supervisor makes them of what it looked up itself. Texts of a peer or a worker in them are bounded and escaped
where they are shown. Times, where an event has one, are seconds of one monotonic clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from diode.process.shutdown import Stopping
from diode.process.supervise import WorkerRefused, WorkerSaid
from receiver.ledger.bundles import Row
from receiver.messages import DiskFailing

DISK_DO: Final = "make the disk work again; what it does not take is asked for again"

# the daemon


@dataclass(frozen=True, slots=True)
class Listening:
    """The port is open and the workers were started."""

    address: str
    inbox: str


@dataclass(frozen=True, slots=True)
class TwoLinkKeys:
    """Two link keys are valid: the one from before, too."""

    previous: str  # its id, in hexadecimal digits
    since: str  # RFC 3339


@dataclass(frozen=True, slots=True)
class PreviousKeyMissing:
    """The configuration names a previous link key, and there is no such file."""

    path: str


@dataclass(frozen=True, slots=True)
class TrustAwaited:
    """A newer trust document counted here, and the ledger does not have it any more."""

    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class Ticked:
    """A quarter of a second has passed: what is shown is shown anew."""

    at: float


@dataclass(frozen=True, slots=True)
class Health:
    """How the daemon is. ``has_begun``: all workers do their work; ``is_well``: they live, and move."""

    at: float
    has_begun: bool
    is_well: bool


# the link


@dataclass(frozen=True, slots=True)
class BeatHeard:
    """A heartbeat was taken. ``health`` is what the sender counts, by its own word."""

    at: float
    health: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LinkSilent:
    """No heartbeat was heard for so long."""

    since_s: float


@dataclass(frozen=True, slots=True)
class LinkAlive:
    """Heartbeats are heard again."""

    since_s: float


@dataclass(frozen=True, slots=True)
class BeatsLeftOut:
    """What so many heartbeats said was not recorded: too many waited for the disk."""

    count: int


@dataclass(frozen=True, slots=True)
class OldKeyUsed:
    """A session spoke under the link key from before the last change; said once of each session."""

    key: str
    session: str


@dataclass(frozen=True, slots=True)
class GapsCounted:
    """So many bundles were numbered, and nothing of them arrived."""

    count: int


# the workers


@dataclass(frozen=True, slots=True)
class IsalAbsent:
    """A worker codes without ISA-L, though the configuration leaves it the choice."""


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
    """A worker ended by itself with this exit code; all of them begin anew."""

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
    """A bundle is over. Without ``row`` nobody knows whose it was; ``fields`` are shown.

    Dropped: nothing is kept of it, and nothing is said of it.
    """

    outcome: Literal["published", "quarantined", "expired", "dropped"]
    bundle: str
    row: Row | None
    fields: dict[str, Any]
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Incomplete:
    """All passes of a bundle are over, or its sender is gone, and something is missing still.

    Without ``row`` nothing of it could be begun. ``resend_code`` asks for the rest; a long one is a file's name.
    """

    bundle: str
    row: Row | None
    detail: str
    resend_code: str


@dataclass(frozen=True, slots=True)
class ResendNeeded:
    """What is missing has to be asked for by a person, who types ``do`` on the other side. ``kept``: a file, or ""."""

    what: str
    do: str
    kept: str


@dataclass(frozen=True, slots=True)
class CodeNotKept:
    """The disk did not take the file of a resend code."""


@dataclass(frozen=True, slots=True)
class HintsLeftOut:
    """So many bundles that heartbeats alone speak of were not reported one by one."""

    count: int


@dataclass(frozen=True, slots=True)
class Scanned:
    """A channel's scanner has decided about a held bundle."""

    bundle: str
    verdict: str
    reason: str


@dataclass(frozen=True, slots=True)
class ScanFailed:
    """It has not: the bundle stays held."""

    bundle: str
    detail: str


@dataclass(frozen=True, slots=True)
class Noted:
    """Something to be logged, and nothing else."""

    level: Literal["info", "error"]
    event: str
    fields: dict[str, Any]


Event = (
    Listening
    | TwoLinkKeys
    | PreviousKeyMissing
    | TrustAwaited
    | Stopping
    | Ticked
    | Health
    | BeatHeard
    | LinkSilent
    | LinkAlive
    | BeatsLeftOut
    | OldKeyUsed
    | GapsCounted
    | IsalAbsent
    | SandboxIncomplete
    | UdpPathTaken
    | WorkerDied
    | WorkerRefused
    | WorkerSaid
    | Coming
    | NowHeld
    | Ended
    | Incomplete
    | ResendNeeded
    | CodeNotKept
    | HintsLeftOut
    | Scanned
    | ScanFailed
    | Noted
)


def disk_failing(message: DiskFailing) -> Noted:
    """The alarm that a disk fails, whoever noticed."""
    return Noted("error", "disk_failing", {"detail": message.detail, "failures": message.failures, "do": DISK_DO})
