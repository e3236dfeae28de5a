"""The settings that each worker of the receiver is given when it starts: one frozen class a worker, each field bounded.

A descriptor is a number in the worker's own process. A path is text, as in the configuration. ``listen`` imports this
module, too, so it needs only the standard library.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from diode.process.messages import CORES, ENGINES, MACS, UDP_PATHS
from diode.process.vocabulary import ByName, Chars, Fields, Flag, Many, Maybe, Row, Whole, Word

MAX_CHANNELS: Final = 100_000  # of a configuration; all of it still fits into what a worker takes
KEPT: Final = "identity"  # the folder below ``state`` with copies of identity material
MAX_RULES: Final = 8 << 20  # characters of one channel's rules of identity material: its pins are in them
MAX_WORDS: Final = 10_000  # of a list in the configuration
MAX_SESSIONS: Final = 128  # of both link keys that may be held; a test compares it with the link's
AUTHS: Final = ("aead", "gmac", "none")  # those of diode.protocol.auth, which `listen` must not load; a test compares

Fd = Annotated[int, Whole(-1, 1 << 20)]  # -1: none, in tests that have no pipe
Size = Annotated[int, Whole()]
Place = Annotated[str, Chars(1 << 16)]
Texts = Annotated[tuple[str, ...], Many(Chars(1 << 16), MAX_WORDS)]


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """Settings of ``listen``: the socket, the ring that it fills, and the pipe by which regions come back."""

    socket: Fd
    path: Annotated[Literal["auto", "batched", "portable"], Word("auto", *UDP_PATHS)]
    ring: Fd
    regions: Size
    region_bytes: Size
    free_read: Fd
    ready_write: Fd
    counters: Fd
    link_size: Fd


@dataclass(frozen=True, slots=True)
class AssembleSettings:
    """``assemble``: the ring that it reads, the arena that it fills, keys, and what it knew of the link before.

    ``orders``: the newest heartbeat of each key, by its fingerprint. ``admitted``: (key id, session, expected) of the
    sessions that need not be waited for. ``datagram_bytes``: size of the link's datagrams as the newest heartbeat had
    it; 0 is unknown.
    """

    ring: Fd
    regions: Size
    region_bytes: Size
    arena: Fd
    ready_read: Fd
    free_write: Fd
    store_read: Fd
    store_write: Fd
    counters: Fd
    link_size: Fd
    keys: Texts
    orders: Annotated[dict[str, tuple[int, int, bool, bool]], ByName(Row(Whole(-1), Whole(), Flag(), Flag()), 64)]
    admitted: Annotated[
        tuple[tuple[int, int, int], ...],
        Many(Row(Whole(0, (1 << 16) - 1), Whole(0, (1 << 64) - 1), Whole(0, 1 << 63)), MAX_SESSIONS),
    ]
    auth: Annotated[Literal["gmac", "aead", "none"], Word(*AUTHS)]
    core: Annotated[Literal["auto", "off", "require"], Word(*CORES)]
    mac: Annotated[Literal["auto", "library"], Word(*MACS)]
    engine: Annotated[str, Word("auto", *ENGINES)]
    datagram_bytes: Size


@dataclass(frozen=True, slots=True)
class ExamineSettings:
    """``examine``: the spool, whose bundles it looks at.

    ``kept``: copies of the identity material that was published last. ``identity``: each channel of it, and its rules
    in the form of :meth:`diode.identity.rules.IdentityRules.said`.
    """

    spool: Place
    asked_read: Fd
    verdicts_write: Fd
    kept: Place
    identity: Annotated[tuple[tuple[str, str], ...], Many(Row(Chars(), Chars(MAX_RULES)), MAX_CHANNELS)]


@dataclass(frozen=True, slots=True)
class DescribeSettings:
    """``describe``: the inbox, whose published bundles it looks into, and the index, whose cards it writes."""

    inbox: Place
    index: Place
    asked_read: Fd
    described_write: Fd


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """Settings of one channel for ``store``.

    ``links``: its bundles may hold symbolic links. ``signatures`` is how many signatures a bundle needs, by people
    among ``signers`` (None: any trusted key). ``verify``: empty means as for all channels. ``rules`` are the rules of
    content, in the form of :meth:`diode.content.rules.Rules.said`. ``quota`` is in bytes; 0 means none. ``serve``:
    kinds of names that clients find here. ``names``: those that belong to this channel. ``promote`` is what is in use
    while nobody has decided, ``promote_people`` how many must order the same. ``health``: a hook must find a new
    version healthy, within ``health_timeout_s``. ``keep_taken_s``: gc leaves what a client took so many seconds ago or
    later. ``identity``: it takes identity material, which never goes back.
    """

    signatures: Size
    signers: Annotated[tuple[str, ...] | None, Maybe(Many(Chars(1 << 16), MAX_WORDS))]
    verify: Annotated[str, Word("", "slabs", "at-rest")]
    classification: Texts
    releasable_to: Place
    rules: Annotated[
        tuple[str, tuple[str, ...], int, int, tuple[str, ...]],
        Row(Chars(), Many(Chars(), MAX_WORDS), Whole(0, 1), Whole(0, 1), Many(Chars(), MAX_WORDS)),
    ]
    links: Annotated[bool, Flag()]
    attested: Annotated[bool, Flag()]
    hold: Size
    scan: Annotated[bool, Flag()]
    quota: Size
    serve: Texts
    names: Texts
    promote: Annotated[str, Word("newest", "by-hand")]
    promote_people: Size
    health: Annotated[bool, Flag()]
    health_timeout_s: Size
    keep_taken_s: Size
    identity: Annotated[bool, Flag()]


@dataclass(frozen=True, slots=True)
class StorePipes:
    """The memory and pipes of ``store``."""

    arena: Fd
    slabs_read: Fd
    answers_write: Fd
    verdicts_read: Fd
    asked_write: Fd
    described_read: Fd
    describe_write: Fd


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """``store``: its folders, its limits in bytes and files, and each channel that the configuration names."""

    pipes: Annotated[StorePipes, Fields(StorePipes)]
    inbox: Place
    state: Place
    signers: Place
    services: Place
    releasers: Place
    audit: Place
    service_key: Place
    guard: Place
    index: Place
    taken: Place
    verify: Annotated[str, Word("slabs", "at-rest")]
    max_bytes: Size
    max_files: Size
    reserve: Size
    resume: Size
    keep_incomplete_s: Size
    channels: Annotated[dict[str, ChannelSettings], ByName(Fields(ChannelSettings), MAX_CHANNELS)]
