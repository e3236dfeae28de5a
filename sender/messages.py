"""The messages that the sender's workers exchange with their supervisor and with each other.

Each message is one class. Each pipe has a vocabulary: the set of messages that may come through it. The supervisor
gives each job a number, and a worker names the job by that number; the supervisor looks up which slab of which bundle
it was. The supervisor describes a bundle to ``encode`` once, before its first slab, and says when no slab follows.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from diode.bundle.manifest import MAX_TABLE_BYTES
from diode.formats.names import MAX_FILES, MAX_SEQUENCE
from diode.process.messages import (
    CORES,
    ENGINES,
    MACS,
    UDP_PATHS,
    EnginesChosen,
    Fatal,
    PathChosen,
    PeerRefused,
    SandboxLacks,
)
from diode.process.vocabulary import Chars, Code, Many, Row, Text, Vocabulary, Whole, Word
from diode.protocol.geometry import PROFILES
from diode.protocol.link_key import MODES, Mode
from diode.protocol.sizes import MAX_COLUMNS, MAX_ROWS, MAX_SLABS, MAX_SYMBOL_BYTES, MIN_SYMBOL_BYTES

MAX_DATAGRAMS: Final = MAX_ROWS * MAX_COLUMNS  # of one job
MAX_SLOTS: Final = 64
MAX_RUNS: Final = 2
MAX_READS: Final = 1 << 22  # files and folders that `encode` may read; what a worker takes ends before
MAX_ANNOUNCED: Final = 64  # bundles that `encode` knows at one time
SLAB_DIGEST_BYTES: Final = 32

JobNumber = Annotated[int, Whole(1)]
Fd = Annotated[int, Whole(0, 1 << 20)]
Slot = Annotated[int, Whole(0, MAX_SLOTS - 1)]
Rate = Annotated[int, Whole()]
TableBytes = Annotated[int, Whole(0, MAX_TABLE_BYTES)]
BundleNumber = Annotated[int, Whole(0, (1 << 64) - 1)]

# from the supervisor to encode, some of them passed on to transmit


@dataclass(frozen=True, slots=True)
class SetRate:
    """Send ``rate`` bytes a second from now on. 0: as many as the line can carry."""

    rate: Rate


@dataclass(frozen=True, slots=True)
class SendPadding:
    """Send this many datagrams of padding."""

    job: JobNumber
    datagrams: Annotated[int, Whole(1, 1 << 24)]


@dataclass(frozen=True, slots=True)
class BundleBegun:
    """Slabs of this packed bundle follow. Its slabs have the link's shape; sizes are in bytes, ``files`` is a count.

    ``encode`` knows at most MAX_ANNOUNCED bundles. The supervisor ends one before it begins another beyond that.
    """

    bundle: BundleNumber
    stream_bytes: Annotated[int, Whole(0, MAX_SEQUENCE)]
    manifest_bytes: TableBytes
    files_bytes: TableBytes
    slabs_bytes: Annotated[int, Whole(0, SLAB_DIGEST_BYTES * MAX_SLABS)]
    files: Annotated[int, Whole(0, MAX_FILES)]


@dataclass(frozen=True, slots=True)
class BundleEnded:
    """No slab of this bundle follows, unless it is begun again."""

    bundle: BundleNumber


@dataclass(frozen=True, slots=True)
class SendSlab:
    """Encode and send one slab of one part of a bundle that was begun."""

    job: JobNumber
    bundle: BundleNumber
    kind: Annotated[int, Whole(1, 2)]
    flags: Annotated[int, Whole(0, 2)]
    slab: Annotated[int, Whole(0, MAX_SLABS - 1)]
    sending_pass: Annotated[int, Whole(0, 1 << 32)]


@dataclass(frozen=True, slots=True)
class SendRow:
    """Encode and send one row of a slab of a stream, counted over source and repair."""

    job: JobNumber
    bundle: BundleNumber
    slab: Annotated[int, Whole(0, MAX_SLABS - 1)]
    sending_pass: Annotated[int, Whole(0, 1 << 32)]
    row: Annotated[int, Whole(0, MAX_ROWS - 1)]


@dataclass(frozen=True, slots=True)
class ProveSlab:
    """Compare a slab of a stream with its digest, unless that was done. Nothing of it is sent."""

    job: JobNumber
    bundle: BundleNumber
    slab: Annotated[int, Whole(0, MAX_SLABS - 1)]


@dataclass(frozen=True, slots=True)
class SendSlot:
    """A slot of the arena is ready to be sent: runs of (first datagram, count), ``filler`` of padding between them."""

    job: JobNumber
    slot: Slot
    runs: Annotated[
        tuple[tuple[int, int], ...],
        Many(Row(Whole(0, MAX_DATAGRAMS - 1), Whole(0, MAX_DATAGRAMS)), MAX_RUNS),
    ]
    filler: Annotated[int, Whole(0, MAX_COLUMNS - 1)] = 0


@dataclass(frozen=True, slots=True)
class SendPart:
    """``count`` datagrams of a slot may leave, while ``encode`` still fills the rest. ``SendSlot`` sends that."""

    slot: Slot
    first: Annotated[int, Whole(0, MAX_DATAGRAMS - 1)]
    count: Annotated[int, Whole(0, MAX_DATAGRAMS)]


@dataclass(frozen=True, slots=True)
class GiveBack:
    """The rest of a slot, of which parts were sent, will not be sent. It is answered by :class:`SlotSent`."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class SendFiller:
    """Send padding in place of a job that failed, so that what leaves after it is as far from what left before."""

    datagrams: Annotated[int, Whole(1, MAX_DATAGRAMS)]


# from transmit to encode


@dataclass(frozen=True, slots=True)
class SlotSent:
    """The last train of a slot has left."""

    slot: Slot


# from the workers to the supervisor


@dataclass(frozen=True, slots=True)
class SessionBegun:
    """``encode`` has started: it seals datagrams under this session and link key."""

    session: Annotated[str, Code("[0-9a-f]{16}")]
    key_id: Annotated[int, Whole(0, (1 << 16) - 1)]


@dataclass(frozen=True, slots=True)
class Proven:
    """A slab is what was packed."""

    job: JobNumber


@dataclass(frozen=True, slots=True)
class Failed:
    """A job could not be encoded, or a slab is not what was packed."""

    job: JobNumber
    detail: Annotated[str, Text(500)]


@dataclass(frozen=True, slots=True)
class Sent:
    """The kernel took all datagrams of a job."""

    job: JobNumber


@dataclass(frozen=True, slots=True)
class Degraded:
    """The kernel refused an offload. The worker goes on without it."""

    detail: Annotated[str, Text(500)]


@dataclass(frozen=True, slots=True)
class SendRefused:
    """The kernel has taken nothing for a while: the errno. ``transmit`` keeps offering the same datagrams."""

    code: Annotated[int, Whole(1, 4095)]


@dataclass(frozen=True, slots=True)
class SendAccepted:
    """The kernel takes datagrams again."""


# settings that a worker is given when it starts


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """Settings of ``encode``: its arena and pipes, the link's key and geometry, and the files that it may read."""

    arena: Fd
    slots: Annotated[int, Whole(1, MAX_SLOTS)]
    slot_bytes: Annotated[int, Whole()]
    free_read: Fd
    ready_write: Fd
    state: Annotated[str, Chars(1 << 16)]
    key: Annotated[str, Chars(1 << 16)]
    auth: Annotated[Mode, Word(*MODES)]
    core: Annotated[Literal["auto", "off", "require"], Word(*CORES)]
    mac: Annotated[Literal["auto", "library"], Word(*MACS)]
    engine: Annotated[str, Word("auto", *ENGINES)]
    symbol_bytes: Annotated[int, Whole(MIN_SYMBOL_BYTES, MAX_SYMBOL_BYTES)]
    profile: Annotated[str, Word(*PROFILES)]
    reads: Annotated[tuple[str, ...], Many(Chars(1 << 16), MAX_READS)]


@dataclass(frozen=True, slots=True)
class TransmitSettings:
    """Settings of ``transmit``: its arena and pipes, its socket, the address of the peer, and the first rate."""

    arena: Fd
    slots: Annotated[int, Whole(1, MAX_SLOTS)]
    slot_bytes: Annotated[int, Whole()]
    ready_read: Fd
    free_write: Fd
    counters: Fd
    socket: Fd
    to: Annotated[tuple[str, int], Row(Chars(), Whole(0, 65535))]
    datagram_bytes: Annotated[int, Whole(1, 65535)]
    padding_datagrams: Annotated[int, Whole(1, 1 << 24)]
    rate: Rate
    path: Annotated[Literal["auto", "batched", "portable"], Word("auto", *UDP_PATHS)]


ENCODE_HEARS: Final = Vocabulary(SetRate, SendPadding, BundleBegun, BundleEnded, SendSlab, SendRow, ProveSlab)
ENCODE_SAYS: Final = Vocabulary(Failed, Proven, once=(SessionBegun, EnginesChosen, SandboxLacks, PeerRefused))
TRANSMIT_SAYS: Final = Vocabulary(
    Sent, Degraded, SendRefused, SendAccepted, once=(PathChosen, SandboxLacks, PeerRefused, Fatal)
)
ENCODE_TO_TRANSMIT: Final = Vocabulary(SetRate, SendPadding, SendPart, SendSlot, GiveBack, SendFiller)
TRANSMIT_TO_ENCODE: Final = Vocabulary(SlotSent)
