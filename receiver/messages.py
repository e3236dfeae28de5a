"""What the receiver's workers say to their supervisor and to each other: one class a message, one vocabulary a pipe.

Of bundles ``store`` alone speaks, and names them by id: whatever else is shown of one, the supervisor looks up.
``listen`` imports this too, so no more than the standard library is used; a test compares the bounds with those of
the link.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from diode.errors import ContentError, Drop, exit_codes
from diode.process.messages import EngineChosen, Fatal, PathChosen, PeerRefused, SandboxLacks
from diode.process.vocabulary import Blob, Code, Many, Row, Text, Vocabulary, Whole, Word

MAX_SLABS: Final = 1 << 26
MAX_SYMBOLS: Final = 256 * 64  # of one slab: rows by columns
MAX_SYMBOL_BYTES: Final = 8896
MAX_SESSIONS: Final = 128  # of both link keys that may be held
MAX_BEAT: Final = 16 << 10  # a heartbeat fits into a datagram
MAX_LOST: Final = 1024
MAX_PEOPLE: Final = 1000
MAX_REASON: Final = 500
CONTENTS: Final = ("any", "weights", "packages", "images", "os")
TROUBLES: Final = ("pickle", "polyglot", "ambiguous", "unsound", "budget", "kind", "code", "unanswered")

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
    """What lay at this place of the arena is done with."""

    offset: Offset


@dataclass(frozen=True, slots=True)
class Loaded(_OfSlab):
    """Of a slab's spilled symbols those of ``have`` are back in their places."""

    symbols: Annotated[int, Whole(1, MAX_SYMBOLS)]
    have: Annotated[bytes, Blob(MAX_SYMBOLS // 8)]


@dataclass(frozen=True, slots=True)
class Redo(_OfSlab):
    """A slab was not what was signed, or the disk did not take it."""


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
    """A bundle needs no more datagrams: they are dropped for this reason; without one it may begin anew."""

    bundle: Bundle
    drop: Annotated[str, Word("", Drop.REFUSED, Drop.REDUNDANT)]


# store and examine


@dataclass(frozen=True, slots=True)
class Question:
    """The complete tree of this bundle lies in the spool; its content is to be looked at."""

    bundle: BundleId
    channel: Annotated[str, Text(100)]
    content: Annotated[str, Word(*CONTENTS)]
    types: Annotated[tuple[str, ...], Many(Text(300), 100)]  # empty: any
    lint: Annotated[int, Whole(0, 1)]
    code: Annotated[int, Whole(0, 1)]
    also: Annotated[tuple[str, ...], Many(Text(40), 100)]
    files: Bytes
    size_bytes: Bytes


@dataclass(frozen=True, slots=True)
class Sound:
    """The channel takes every file of this bundle."""

    bundle: BundleId


@dataclass(frozen=True, slots=True)
class Unsound:
    """It does not, for this trouble; ``unanswered``: nobody could say. The reason is for people."""

    bundle: BundleId
    trouble: Annotated[str, Word(*TROUBLES)]
    reason: Annotated[str, Text(MAX_REASON)]


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
    """A session spoke under the link key from before its last change."""

    key: Annotated[str, Code("[0-9a-f]{4}")]
    session: Annotated[str, Code("[0-9a-f]{16}")]


# store to its supervisor


@dataclass(frozen=True, slots=True)
class _OfBundle:
    """Something happened to a bundle."""

    bundle: BundleId


@dataclass(frozen=True, slots=True)
class Accepted(_OfBundle):
    """Its manifest is verified, and it was begun."""


@dataclass(frozen=True, slots=True)
class Progress(_OfBundle):
    """A slab of it was stored."""

    stored_bytes: Bytes
    missing: Slabs


@dataclass(frozen=True, slots=True)
class Resumed(Progress):
    """An earlier run began it."""


@dataclass(frozen=True, slots=True)
class Proving(Progress):
    """A bundle of channel ``trust`` is coming, of which no ledger knows before it is proven."""

    size_bytes: Bytes
    files: Bytes
    slabs: Slabs
    is_new: Annotated[int, Whole(0, 1)]  # it is said that it comes, and not only how far it is


@dataclass(frozen=True, slots=True)
class Dropped(_OfBundle):
    """Nothing is kept any more of a bundle of channel ``trust``."""


@dataclass(frozen=True, slots=True)
class Held(_OfBundle):
    """It is verified, and waits for so many people."""

    people: Annotated[int, Whole(0, MAX_PEOPLE)]


@dataclass(frozen=True, slots=True)
class AcceptedBy(_OfBundle):
    """A person's word for a held bundle counts."""

    person: Annotated[str, Text(200)]


@dataclass(frozen=True, slots=True)
class Published(_OfBundle):
    """It lies in the inbox."""


@dataclass(frozen=True, slots=True)
class BundleRefused(_OfBundle):
    """It was signed, and breaks the rules."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class ManifestRefused(_OfBundle):
    """What came under its id is refused for this time, and held against no bundle: it may be anybody's."""

    reason: Reason
    detail: Detail


@dataclass(frozen=True, slots=True)
class Expired(_OfBundle):
    """It was incomplete for too long."""


@dataclass(frozen=True, slots=True)
class TrustChanged(_OfBundle):
    """It brought the trust document that counts from now on."""

    version: Bytes


@dataclass(frozen=True, slots=True)
class TrustForked(_OfBundle):
    """It brought another trust document of a version that is there."""

    detail: Detail


@dataclass(frozen=True, slots=True)
class TrustNotPublished(_OfBundle):
    """Its trust document counts; its folder has no place in the inbox."""

    detail: Detail


@dataclass(frozen=True, slots=True)
class NumberWaits(_OfBundle):
    """Its number waits for a person."""

    detail: Detail
    do: Detail


@dataclass(frozen=True, slots=True)
class MoreNotSaid:
    """So many more within a minute were not said one by one."""

    count: Bytes
    what: Annotated[str, Text(200)]


@dataclass(frozen=True, slots=True)
class PredecessorDiffers(_OfBundle):
    """The bundle before it is another one than its signer says; empty: he knows none."""

    signed: Annotated[str, Code("([0-9a-f]{16})?")]


@dataclass(frozen=True, slots=True)
class SlabMismatch(_OfBundle):
    """A slab of it does not have its signed digest."""

    number: Number


@dataclass(frozen=True, slots=True)
class SpoolLost(_OfBundle):
    """What an earlier run had begun is gone, or its key is trusted no more."""

    detail: Detail


@dataclass(frozen=True, slots=True)
class SymbolsLost(_OfBundle):
    """These of its slabs were being assembled when an earlier run ended; the first MAX_LOST of them."""

    slabs: Annotated[tuple[int, ...], Many(Whole(0, MAX_SLABS - 1), MAX_LOST)]


@dataclass(frozen=True, slots=True)
class SpaceShort(_OfBundle):
    """It has to wait: so many bytes are needed, so many are free, on the disk or of its channel's quota."""

    needed: Bytes
    free: Bytes
    of: Annotated[str, Word("disk", "quota")]


@dataclass(frozen=True, slots=True)
class DecisionRefused:
    """A file with somebody's decision does not count."""

    file: Annotated[str, Text(300)]
    detail: Detail


@dataclass(frozen=True, slots=True)
class DiskFailing:
    """The disk did not take something."""

    detail: Detail
    failures: Bytes


LISTEN_SAYS: Final = Vocabulary(once=(SandboxLacks, PathChosen, PeerRefused))
ASSEMBLE_SAYS: Final = Vocabulary(Heard, OldKey, once=(SandboxLacks, EngineChosen, PeerRefused))
STORE_SAYS: Final = Vocabulary(
    *(Accepted, Resumed, Progress, Held, AcceptedBy, Published, BundleRefused, ManifestRefused, Expired, TrustChanged),
    *(Proving, Dropped, TrustForked, TrustNotPublished, NumberWaits, MoreNotSaid),
    *(PredecessorDiffers, SlabMismatch, SpoolLost, SymbolsLost, SpaceShort, DecisionRefused, DiskFailing),
    once=(SandboxLacks, PeerRefused, Fatal),
)
ASSEMBLE_TO_STORE: Final = Vocabulary(Begun, Complete, Spilled, Wanted)
STORE_TO_ASSEMBLE: Final = Vocabulary(
    Free, Known, Loaded, Redo, Finished, once=(Started,), line_bytes=4 * MAX_SLABS // 6 + (1 << 16)
)
EXAMINE_SAYS: Final = Vocabulary(once=(SandboxLacks, PeerRefused))
STORE_TO_EXAMINE: Final = Vocabulary(Question)
EXAMINE_TO_STORE: Final = Vocabulary(Sound, Unsound, line_bytes=8 << 10)
