"""What happens on the sending side: one frozen class an event. What is logged, shown, counted or told reads these.

The supervisor makes them of what it looked up itself, after what they say is durable. Texts in them that files, people
or workers brought are escaped where they are shown. Sizes are in bytes, rates in bytes a second.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from diode.bundle.ref import BundleRef
from diode.process.shutdown import Stopping

# items of the outbox


@dataclass(frozen=True, slots=True)
class ItemIgnored:
    """Something lies beside the folders of the channels."""

    item: str


@dataclass(frozen=True, slots=True)
class WatchRestarted:
    """The outbox cannot be watched for the moment; it is still looked at now and then."""

    detail: str


@dataclass(frozen=True, slots=True)
class ItemRefused:
    """An item cannot be sent, and is set aside."""

    channel: str
    name: str
    reason: str


# packing


@dataclass(frozen=True, slots=True)
class CheckRuns:
    """How much of an item a check (``hash`` is one) has read."""

    check: str
    channel: str
    name: str
    done_bytes: int


@dataclass(frozen=True, slots=True)
class CheckEnded:
    """A check reads no more of an item."""

    check: str
    channel: str
    name: str


@dataclass(frozen=True, slots=True)
class FilesSentAgain:
    """Several paths of an item lead to the same files, which are sent whole for each path."""

    again_bytes: int


@dataclass(frozen=True, slots=True)
class ContentSkipped:
    """The same content was sent under this name before."""

    channel: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class IntakePassed:
    """Every check of the channel let an item pass. ``noted`` is what checks said of it, by check."""

    channel: str
    name: str
    version: str
    checks: tuple[str, ...]
    noted: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class IntakeRefused:
    """A check of the channel refused an item."""

    channel: str
    name: str
    version: str
    check: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class BundleQueued:
    """A bundle was packed and signed, and waits for its turn."""

    bundle: BundleRef
    size_bytes: int


@dataclass(frozen=True, slots=True)
class BundleUnapproved:
    """A bundle was packed, and waits for so many people's signatures."""

    bundle: BundleRef
    size_bytes: int
    signatures: int


# bundles on their way


@dataclass(frozen=True, slots=True)
class BundleResumed:
    """A bundle goes on where an earlier run ended. Passes and slabs count from 0."""

    bundle: BundleRef
    sending_pass: int
    slab: int


@dataclass(frozen=True, slots=True)
class SlabSent:
    """A slab left the socket. Bytes are of user data, over all passes; ``sending_pass`` counts from 1."""

    bundle: BundleRef
    done_bytes: int
    total_bytes: int
    sending_pass: int
    passes: int


@dataclass(frozen=True, slots=True)
class BundleSent:
    """All transmissions of a bundle are over."""

    bundle: BundleRef
    size_bytes: int
    files: int
    passes: int


@dataclass(frozen=True, slots=True)
class BundleResent:
    """The slabs that were asked for, of so many bytes, were sent again. ``passes`` are those of the bundle before."""

    bundle: BundleRef
    resent_bytes: int
    files: int
    passes: int


@dataclass(frozen=True, slots=True)
class ResendFailed:
    """What was asked for again cannot be sent. ``hex_id`` is the bundle's id: the ledger may not know the bundle."""

    hex_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class ResendBroken:
    """A resend that was under way ended early. :class:`ResendFailed` says why."""

    bundle: BundleRef
    passes: int


@dataclass(frozen=True, slots=True)
class BundleWithdrawn:
    """A bundle was given up: its source is not what was hashed any more."""

    bundle: BundleRef
    passes: int
    detail: str


# the daemon and its workers


@dataclass(frozen=True, slots=True)
class RateChanged:
    """The timetable sets another rate; None: nothing is sent."""

    rate_bytes_per_s: int | None


@dataclass(frozen=True, slots=True)
class LineReady:
    """The workers run under a session that was announced."""


@dataclass(frozen=True, slots=True)
class LineOff:
    """The workers are ready, and the timetable lets nothing be sent now."""


@dataclass(frozen=True, slots=True)
class IsalAbsent:
    """The fast FEC engine is not installed."""


@dataclass(frozen=True, slots=True)
class UdpPathTaken:
    """How datagrams reach the kernel."""

    path: str


@dataclass(frozen=True, slots=True)
class OffloadRefused:
    """The kernel refused an offload; sending goes on without."""

    detail: str


@dataclass(frozen=True, slots=True)
class SandboxIncomplete:
    """The kernel lacks parts of a worker's sandbox."""

    worker: str
    lacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """A worker ended, and the other one was ended too. ``code`` is negative for a signal."""

    worker: str
    code: int
    jobs_resent: int


@dataclass(frozen=True, slots=True)
class AnchorBehind:
    """The rollback guard could not follow the audit log."""

    detail: str


@dataclass(frozen=True, slots=True)
class LookupLate:
    """Ledger or audit log do not answer: heartbeats tell what was known so many seconds ago."""

    waiting_s: float


Event = (
    ItemIgnored
    | WatchRestarted
    | ItemRefused
    | CheckRuns
    | CheckEnded
    | FilesSentAgain
    | ContentSkipped
    | IntakePassed
    | IntakeRefused
    | BundleQueued
    | BundleUnapproved
    | BundleResumed
    | SlabSent
    | BundleSent
    | BundleResent
    | ResendFailed
    | ResendBroken
    | BundleWithdrawn
    | Stopping
    | RateChanged
    | LineReady
    | LineOff
    | IsalAbsent
    | UdpPathTaken
    | OffloadRefused
    | SandboxIncomplete
    | WorkerDied
    | AnchorBehind
    | LookupLate
)
