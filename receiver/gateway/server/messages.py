"""What the gateway's two processes say to each other, and the settings of the one that serves."""

from dataclasses import dataclass
from typing import Annotated, Final

from diode.layouts.kinds import KINDS
from diode.process.judges import Account
from diode.process.messages import MAX_WORDS
from diode.process.vocabulary import ByName, Chars, Code, Fields, Flag, Many, Maybe, Row, Text, Vocabulary, Whole, Word

MAX_CHANNELS: Final = 100_000
MAX_MS: Final = 24 * 3600 * 1000

Place = Annotated[str, Chars(1 << 16)]
_Kind: Final = Word(*KINDS)
_Ms = Annotated[int, Whole(0, MAX_MS)]


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Settings of the serving process.

    ``sockets``: (descriptor, port, what has its root or nothing). ``tokens``: of each channel that asks for one, the
    name and the SHA-256 of each. ``account``: whom it becomes; None: nobody else. ``url``: its address for clients.
    """

    sockets: Annotated[
        tuple[tuple[int, int, str | None], ...], Many(Row(Whole(0, 1 << 20), Whole(0, 65535), Maybe(_Kind)), 64)
    ]
    inbox: Place
    index: Place
    log: Place
    serve: Annotated[dict[str, tuple[str, ...]], ByName(Many(_Kind, len(KINDS)), MAX_CHANNELS)]
    tokens: Annotated[
        dict[str, tuple[tuple[str, str], ...]],
        ByName(Many(Row(Code(r"[A-Za-z0-9._ -]{1,64}"), Code("[0-9a-f]{64}")), 1000), MAX_CHANNELS),
    ]
    certificate: Place
    key: Place
    account: Annotated[Account | None, Maybe(Fields(Account))]
    url: Place
    hosts: Annotated[dict[str, str], ByName(_Kind, 1000)]
    proxies: Annotated[tuple[str, ...], Many(Chars(64), 1000)]
    is_confined: Annotated[bool, Flag()] = True


@dataclass(frozen=True, slots=True)
class Ready:
    """It has given up what it does not need, and waits. ``lacks``: what could not be enforced; normally nothing."""

    lacks: Annotated[tuple[str, ...], Many(Text(MAX_WORDS), 8)]


@dataclass(frozen=True, slots=True)
class Serving:
    """It serves from now on."""


@dataclass(frozen=True, slots=True)
class Ended:
    """It ends. ``cut``: how many clients were cut off, since they were not served within the time given."""

    cut: Annotated[int, Whole(0, 1 << 20)]


@dataclass(frozen=True, slots=True)
class Serve:
    """Accept clients from now on."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Accept nobody more, serve whom you have, and end. ``idle_ms``: how long clients may still ask once more."""

    within_ms: _Ms
    idle_ms: _Ms


SERVE_SAYS: Final = Vocabulary(Ready, Serving, Ended, once=(Ready, Serving, Ended))
SERVE_HEARS: Final = Vocabulary(Serve, Drain)
