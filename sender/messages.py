"""What the sender's workers say to their supervisor and to each other: one class a message, one vocabulary a pipe.

A worker names a job by the number that the supervisor gave it; what the job was, and of which bundle, the supervisor
looks up. ``encode`` hears of a bundle once, before the first slab of it, and once more when no slab of it follows.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from diode.bundle.manifest import MAX_TABLE_BYTES
from diode.formats.names import MAX_FILES, MAX_SEQUENCE
from diode.process.messages import ENGINES, UDP_PATHS, Fatal, PathChosen, PeerRefused, SandboxLacks
from diode.process.vocabulary import Chars, Code, Many, Row, Text, Vocabulary, Whole, Word
from diode.protocol.auth import MODES, Mode
from diode.protocol.geometry import PROFILES
from diode.protocol.wire import MAX_COLUMNS, MAX_ROWS, MAX_SLABS, MAX_SYMBOL_BYTES, MIN_SYMBOL_BYTES

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

# the supervisor to encode, and on to transmit


@dataclass(frozen=True, slots=True)
class SetRate:
    """From now on the line carries so many bytes a second; 0: as many as it can."""

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
class SendSlot:
    """A slot of the arena is ready to be sent: runs of (first datagram, count)."""

    job: JobNumber
    slot: Slot
    runs: Annotated[
        tuple[tuple[int, int], ...],
        Many(Row(Whole(0, MAX_DATAGRAMS - 1), Whole(0, MAX_DATAGRAMS)), MAX_RUNS),
    ]


# transmit to encode


@dataclass(frozen=True, slots=True)
class SlotSent:
    """The last train of a slot has left."""

    slot: Slot


# to the supervisor


@dataclass(frozen=True, slots=True)
class SessionBegun:
    """``encode`` seals under this session, by this link key, and codes with this engine."""

    session: Annotated[str, Code("[0-9a-f]{16}")]
    engine: Annotated[str, Word(*ENGINES)]
    key_id: Annotated[int, Whole(0, (1 << 16) - 1)]


@dataclass(frozen=True, slots=True)
class Failed:
    """A job could not be encoded."""

    job: JobNumber
    detail: Annotated[str, Text(500)]


@dataclass(frozen=True, slots=True)
class Sent:
    """All datagrams of a job have left the socket."""

    job: JobNumber


@dataclass(frozen=True, slots=True)
class Degraded:
    """The kernel refused an offload; it goes on without."""

    detail: Annotated[str, Text(500)]


# what they are told when they start


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """``encode``: the arena that it fills, the link's key and shape, and what it may read, the outbox among it."""

    arena: Fd
    slots: Annotated[int, Whole(1, MAX_SLOTS)]
    slot_bytes: Annotated[int, Whole()]
    free_read: Fd
    ready_write: Fd
    state: Annotated[str, Chars(1 << 16)]
    key: Annotated[str, Chars(1 << 16)]
    auth: Annotated[Mode, Word(*MODES)]
    engine: Annotated[str, Word("auto", *ENGINES)]
    symbol_bytes: Annotated[int, Whole(MIN_SYMBOL_BYTES, MAX_SYMBOL_BYTES)]
    profile: Annotated[str, Word(*PROFILES)]
    reads: Annotated[tuple[str, ...], Many(Chars(1 << 16), MAX_READS)]


@dataclass(frozen=True, slots=True)
class TransmitSettings:
    """``transmit``: the arena that it sends from, its socket, where to, and how fast at first."""

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


ENCODE_HEARS: Final = Vocabulary(SetRate, SendPadding, BundleBegun, BundleEnded, SendSlab)
ENCODE_SAYS: Final = Vocabulary(Failed, once=(SessionBegun, SandboxLacks, PeerRefused))
TRANSMIT_SAYS: Final = Vocabulary(Sent, Degraded, once=(PathChosen, SandboxLacks, PeerRefused, Fatal))
ENCODE_TO_TRANSMIT: Final = Vocabulary(SetRate, SendPadding, SendSlot)
TRANSMIT_TO_ENCODE: Final = Vocabulary(SlotSent)
