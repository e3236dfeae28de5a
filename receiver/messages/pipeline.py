"""The messages that the receiver's workers exchange with their supervisor and with each other.

Each message is one class. Each pipe has a vocabulary: the set of messages that may come through it. Only ``store``
tells the supervisor about bundles. It names a bundle by its id, and the supervisor looks up everything else. ``listen``
imports this module, too, so it needs only the standard library. A test compares the bounds here with those of the link.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from diode.errors import ContentError, Drop, exit_codes
from diode.process.messages import EnginesChosen, Fatal, PathChosen, PeerRefused, SandboxLacks
from diode.process.vocabulary import Blob, Code, Many, Row, Text, Vocabulary, Whole, Word
from receiver.messages.use import Drilled, NotLinked, Ordered, PointerMoved, Recalled

MAX_SLABS: Final = 1 << 26
MAX_SYMBOLS: Final = 256 * 64  # of one slab: rows by columns
MAX_SYMBOL_BYTES: Final = 8896
MAX_SESSIONS: Final = 128  # of both link keys that may be held
MAX_BEAT: Final = 16 << 10  # a heartbeat fits into a datagram
MAX_LOST: Final = 1024
MAX_PEOPLE: Final = 1000
MAX_REASON: Final = 500
MAX_CLAIMS: Final = 20_000  # names that one bundle may claim

Bundle = Annotated[int, Whole(0, (1 << 64) - 1)]
BundleId = Annotated[str, Code("[0-9a-f]{16}")]
Bytes = Annotated[int, Whole()]
Slabs = Annotated[int, Whole(0, MAX_SLABS)]
Number = Annotated[int, Whole(0, MAX_SLABS - 1)]
Offset = Annotated[int, Whole(0, 1 << 40)]
Detail = Annotated[str, Text(500)]
Reason = Annotated[str, Word(*exit_codes(ContentError))]
SlabMask = Annotated[bytes, Blob(MAX_SLABS // 8)]

# assemble and store


@dataclass(frozen=True, slots=True)
class _OfSlab:
    """One slab of one part of a bundle."""

    bundle: Bundle
    kind: Annotated[int, Whole(1, 2)]  # data or object
    flags: Annotated[int, Whole(0, 2)]
    number: Number


@dataclass(frozen=True, slots=True)
class Begun(_OfSlab):
    """The first symbol of a slab arrived."""


@dataclass(frozen=True, slots=True)
class Grown(_OfSlab):
    """The first ``length`` bytes of a slab of data lie in the arena, and the rest is on its way. It has no answer."""

    offset: Offset
    length: Offset


@dataclass(frozen=True, slots=True)
class Complete(_OfSlab):
    """A slab lies in the arena. It is answered by :class:`Free`."""

    offset: Offset
    length: Offset


@dataclass(frozen=True, slots=True)
class Spilled(_OfSlab):
    """The symbols so far of an incomplete slab lie in the arena. It is answered by :class:`Free`."""

    offset: Offset
    symbol_bytes: Annotated[int, Whole(1, MAX_SYMBOL_BYTES)]
    symbols: Annotated[int, Whole(1, MAX_SYMBOLS)]
    have: Annotated[bytes, Blob(MAX_SYMBOLS // 8)]


@dataclass(frozen=True, slots=True)
class Wanted(_OfSlab):
    """Spilled symbols are wanted back, to this place of the arena. It is answered by :class:`Loaded`."""

    offset: Offset
    symbol_bytes: Annotated[int, Whole(1, MAX_SYMBOL_BYTES)]
    symbols: Annotated[int, Whole(1, MAX_SYMBOLS)]


@dataclass(frozen=True, slots=True)
class Started:
    """``store`` has told which bundles it keeps."""


@dataclass(frozen=True, slots=True)
class Free:
    """``store`` no longer needs what lay at this place of the arena."""

    offset: Offset


@dataclass(frozen=True, slots=True)
class Loaded(_OfSlab):
    """The spilled symbols of a slab are back in their places of the arena: those whose bits are set in ``have``."""

    symbols: Annotated[int, Whole(1, MAX_SYMBOLS)]
    have: Annotated[bytes, Blob(MAX_SYMBOLS // 8)]


@dataclass(frozen=True, slots=True)
class Redo(_OfSlab):
    """Collect a slab again: it did not have its signed digest, or could not be written."""


@dataclass(frozen=True, slots=True)
class Known:
    """A manifest is verified: its geometry, its sizes, which slabs of data are stored, and what is spilled."""

    bundle: Bundle
    geometry: Annotated[tuple[int, int, int, int], Row(*(Whole(0, MAX_SYMBOL_BYTES) for _ in range(4)))]
    stream_bytes: Bytes
    files_bytes: Bytes
    slabs_bytes: Bytes
    done: SlabMask
    spilled: SlabMask
    spilled_files: SlabMask
    spilled_slabs: SlabMask


@dataclass(frozen=True, slots=True)
class Finished:
    """A bundle needs no more datagrams. They are dropped for the reason ``drop``. If it is empty, it may begin anew."""

    bundle: Bundle
    drop: Annotated[str, Word("", Drop.REFUSED, Drop.REDUNDANT)]


# assemble to its supervisor


@dataclass(frozen=True, slots=True)
class Heard:
    """An authentic heartbeat, as its JSON, and the sessions that may speak: (key id, session, expected) of each.

    ``key`` is the fingerprint of its link key; ``has_mac``: that key has spoken by kind 4.
    """

    beat: Annotated[str, Text(MAX_BEAT)]
    admitted: Annotated[
        tuple[tuple[int, int, int], ...],
        Many(Row(Whole(0, (1 << 16) - 1), Whole(0, (1 << 64) - 1), Whole(0, 1 << 63)), MAX_SESSIONS),
    ]
    key: Annotated[str, Code("[0-9a-f]{64}")]
    has_mac: Annotated[int, Whole(0, 1)]


@dataclass(frozen=True, slots=True)
class OldKey:
    """A session uses the link key from before the last change."""

    key: Annotated[str, Code("[0-9a-f]{4}")]
    session: Annotated[str, Code("[0-9a-f]{16}")]


# store to its supervisor


@dataclass(frozen=True, slots=True)
class _OfBundle:
    """A message about the bundle of this id."""

    bundle: BundleId


@dataclass(frozen=True, slots=True)
class Accepted(_OfBundle):
    """The manifest of a bundle was verified, and the bundle was begun."""


@dataclass(frozen=True, slots=True)
class Progress(_OfBundle):
    """A slab of a bundle was stored."""

    stored_bytes: Bytes
    missing: Slabs


@dataclass(frozen=True, slots=True)
class Resumed(Progress):
    """A bundle that an earlier run began is received further."""


@dataclass(frozen=True, slots=True)
class Proving(Progress):
    """A bundle of channel ``trust`` is coming. The ledger does not know it before its document is proven."""

    size_bytes: Bytes
    files: Bytes
    slabs: Slabs
    is_new: Annotated[int, Whole(0, 1)]  # 1: the bundle has just begun; 0: this only reports its progress


@dataclass(frozen=True, slots=True)
class Dropped(_OfBundle):
    """A bundle of channel ``trust`` was given up, and nothing of it is kept."""


@dataclass(frozen=True, slots=True)
class Held(_OfBundle):
    """A bundle is verified, and waits until ``people`` people have released it."""

    people: Annotated[int, Whole(0, MAX_PEOPLE)]


@dataclass(frozen=True, slots=True)
class AcceptedBy(_OfBundle):
    """A person has accepted a held bundle, and this counts."""

    person: Annotated[str, Text(200)]


@dataclass(frozen=True, slots=True)
class Published(_OfBundle):
    """A bundle lies in the inbox."""


@dataclass(frozen=True, slots=True)
class NotDescribed(_OfBundle):
    """A published bundle could not be looked into, or not as a whole: what it holds may not be served."""

    detail: Detail


@dataclass(frozen=True, slots=True)
class NamesRefused(_OfBundle):
    """A published bundle claims names that belong to another channel. They are not served of this bundle."""

    count: Annotated[int, Whole(1, MAX_CLAIMS)]
    detail: Detail


@dataclass(frozen=True, slots=True)
class BundleRefused(_OfBundle):
    """A signed bundle breaks the rules and was refused."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class ManifestRefused(_OfBundle):
    """A manifest that came under this id does not count. Anybody may have sent it, so the bundle is not refused."""

    reason: Reason
    detail: Detail


@dataclass(frozen=True, slots=True)
class Expired(_OfBundle):
    """A bundle was incomplete for too long and was given up."""


@dataclass(frozen=True, slots=True)
class TrustChanged(_OfBundle):
    """A bundle brought the trust document that counts from now on."""

    version: Bytes


@dataclass(frozen=True, slots=True)
class TrustForked(_OfBundle):
    """A bundle brought a trust document of a version that is known already, with other content."""

    detail: Detail


@dataclass(frozen=True, slots=True)
class TrustNotPublished(_OfBundle):
    """The trust document of a bundle counts, but the bundle's folder has no place in the inbox."""

    detail: Detail


@dataclass(frozen=True, slots=True)
class NumberWaits(_OfBundle):
    """A bundle waits for a person, because of its sequence number."""

    detail: Detail
    do: Detail


@dataclass(frozen=True, slots=True)
class MoreNotSaid:
    """More reports of this kind were due within the last minute. They were only counted."""

    count: Bytes
    what: Annotated[str, Text(200)]


@dataclass(frozen=True, slots=True)
class PredecessorDiffers(_OfBundle):
    """The bundle before this one is not the one that its manifest names. ``signed``: the id there, or empty."""

    signed: Annotated[str, Code("([0-9a-f]{16})?")]


@dataclass(frozen=True, slots=True)
class SlabMismatch(_OfBundle):
    """A slab of a bundle does not have its signed digest."""

    number: Number


@dataclass(frozen=True, slots=True)
class SpoolLost(_OfBundle):
    """The files of a bundle that an earlier run began are gone, or its key is not trusted any more."""

    detail: Detail


@dataclass(frozen=True, slots=True)
class SymbolsLost(_OfBundle):
    """These slabs of a bundle were being assembled when an earlier run ended; at most MAX_LOST are named."""

    slabs: Annotated[tuple[int, ...], Many(Whole(0, MAX_SLABS - 1), MAX_LOST)]


@dataclass(frozen=True, slots=True)
class SpaceShort(_OfBundle):
    """A bundle has to wait for space on the disk, or in its channel's quota (``of``): bytes, or inodes."""

    needed: Bytes
    free: Bytes
    of: Annotated[str, Word("disk", "quota", "inodes")]


@dataclass(frozen=True, slots=True)
class DecisionRefused:
    """A file with somebody's decision does not count."""

    file: Annotated[str, Text(300)]
    detail: Detail


@dataclass(frozen=True, slots=True)
class DiskFailing:
    """The disk failed to write or to sync something."""

    detail: Detail
    failures: Bytes


LISTEN_SAYS: Final = Vocabulary(once=(SandboxLacks, PathChosen, PeerRefused))
ASSEMBLE_SAYS: Final = Vocabulary(Heard, OldKey, once=(SandboxLacks, EnginesChosen, PeerRefused))
STORE_SAYS: Final = Vocabulary(
    *(Accepted, Resumed, Progress, Held, AcceptedBy, Published, BundleRefused, ManifestRefused, Expired, TrustChanged),
    *(Proving, Dropped, TrustForked, TrustNotPublished, NumberWaits, MoreNotSaid),
    *(NotDescribed, NamesRefused),
    *(PredecessorDiffers, SlabMismatch, SpoolLost, SymbolsLost, SpaceShort, DecisionRefused, DiskFailing),
    *(PointerMoved, NotLinked, Ordered, Recalled, Drilled),
    once=(SandboxLacks, PeerRefused, Fatal),
)
ASSEMBLE_TO_STORE: Final = Vocabulary(Begun, Grown, Complete, Spilled, Wanted)
STORE_TO_ASSEMBLE: Final = Vocabulary(
    Free, Known, Loaded, Redo, Finished, once=(Started,), line_bytes=4 * MAX_SLABS // 6 + (1 << 16)
)
