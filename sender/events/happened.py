"""What happens on the sending side: each event is one frozen class. Log, display, metrics and heartbeats read them.

The supervisor makes an event only after what the event says is durable, and from what it looked up itself. Some texts
in events come from files, people or workers: each reader escapes them when it shows them. Sizes are in bytes, rates
in bytes a second.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from diode.bundle.ref import BundleRef
from diode.process.clock import ClockJumped
from diode.process.restarts import WorkersLate
from diode.process.shutdown import Stopping

# items of the outbox


@dataclass(frozen=True, slots=True)
class ItemIgnored:
    """Something lies beside the folders of the channels."""

    item: str


@dataclass(frozen=True, slots=True)
class ItemLeft:
    """Something in the outbox is not sent for now: ``why``, and what to ``do``."""

    item: str
    why: str
    do: str


@dataclass(frozen=True, slots=True)
class ItemRefused:
    """An item cannot be sent, and is set aside."""

    channel: str
    name: str
    reason: str
    detail: str = ""


# packing


@dataclass(frozen=True, slots=True)
class CheckRuns:
    """A check is reading an item: ``done_bytes`` of at most ``total_bytes``. Hashing is the check called ``hash``."""

    check: str
    channel: str
    name: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class CheckEnded:
    """A check has ended, and reads no more of an item."""

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
    """Every check of the channel let an item pass. ``noted`` has the remarks about it, by the name of the check."""

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
    """A bundle was packed, and waits until people have signed it. ``signatures`` is how many are needed."""

    bundle: BundleRef
    size_bytes: int
    signatures: int


# bundles on their way


@dataclass(frozen=True, slots=True)
class BundleResumed:
    """A bundle is sent on from the pass and the slab where an earlier run ended. Both count from 0."""

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
    """All passes of a bundle have been sent."""

    bundle: BundleRef
    size_bytes: int
    files: int
    passes: int


@dataclass(frozen=True, slots=True)
class BundleResent:
    """The slabs that a resend code asked for were sent again: ``resent_bytes`` in all.

    ``passes`` is how many passes the bundle had when it was first sent.
    """

    bundle: BundleRef
    resent_bytes: int
    files: int
    passes: int


@dataclass(frozen=True, slots=True)
class ResendFailed:
    """The slabs that a resend code asked for cannot be sent.

    ``hex_id`` is the id of the bundle. It stands here alone, because the ledger may not know the bundle.
    """

    hex_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class ResendBroken:
    """A resend that was under way ended early. A :class:`ResendFailed` follows and says why."""

    bundle: BundleRef
    passes: int


@dataclass(frozen=True, slots=True)
class BundleWithdrawn:
    """A bundle was given up, because its source files are no longer what was hashed."""

    bundle: BundleRef
    passes: int
    detail: str


# the daemon and its workers


@dataclass(frozen=True, slots=True)
class RateChanged:
    """The timetable sets another rate. None: from now on nothing is sent."""

    rate_bytes_per_s: int | None


@dataclass(frozen=True, slots=True)
class LineReady:
    """The workers are ready, and heartbeats have announced their session."""


@dataclass(frozen=True, slots=True)
class LineOff:
    """The workers are ready, but the timetable says ``off`` at this time."""


@dataclass(frozen=True, slots=True)
class IsalAbsent:
    """The fast FEC engine is not installed."""


@dataclass(frozen=True, slots=True)
class EnginesTaken:
    """What computes each step. ``refused``: why the compiled core is not used, although it should be; empty: it is."""

    fec: str
    tags: str
    refused: str


@dataclass(frozen=True, slots=True)
class UdpPathTaken:
    """How datagrams reach the kernel."""

    path: str


@dataclass(frozen=True, slots=True)
class OffloadRefused:
    """The kernel refused an offload (such as UDP GSO). Sending goes on without it."""

    detail: str


@dataclass(frozen=True, slots=True)
class KernelRefuses:
    """The kernel of this host takes no datagrams: the name of the errno, and for how long so far."""

    error: str
    since_s: float


@dataclass(frozen=True, slots=True)
class KernelAccepts:
    """The kernel of this host takes datagrams again, after ``refused_s`` seconds."""

    refused_s: float


@dataclass(frozen=True, slots=True)
class DestinationChanged:
    """What ``link.to`` names has another address now. What was under way to the old one is sent again."""

    to: str
    before: str
    now: str


@dataclass(frozen=True, slots=True)
class DestinationUnknown:
    """What ``link.to`` names cannot be looked up now, or cannot be sent to. The address ``used`` goes on to be used."""

    to: str
    used: str
    detail: str


@dataclass(frozen=True, slots=True)
class SandboxIncomplete:
    """The kernel lacks parts of a worker's sandbox."""

    worker: str
    lacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """A worker ended by itself, and the supervisor ended the other one too. A signal's ``code`` is negative."""

    worker: str
    code: int
    jobs_resent: int


@dataclass(frozen=True, slots=True)
class AnchorBehind:
    """The rollback guard could not follow the audit log."""

    detail: str


@dataclass(frozen=True, slots=True)
class LookupLate:
    """The ledger or the audit log does not answer. Heartbeats tell what was known ``waiting_s`` seconds ago."""

    waiting_s: float


Event = (
    ItemIgnored
    | ItemLeft
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
    | ClockJumped
    | RateChanged
    | LineReady
    | LineOff
    | IsalAbsent
    | EnginesTaken
    | KernelRefuses
    | KernelAccepts
    | DestinationChanged
    | DestinationUnknown
    | UdpPathTaken
    | OffloadRefused
    | SandboxIncomplete
    | WorkerDied
    | WorkersLate
    | AnchorBehind
    | LookupLate
)
