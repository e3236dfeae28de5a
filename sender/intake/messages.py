"""The messages between intake and the child process ``examine``: each message is one class.

A message names a file by its place in the item's list of paths; that list itself is handed over as a file. This module
imports little: the process loads it that all children are forked from.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from diode.content.rules import PRESETS
from diode.content.trouble import Trouble
from diode.process.messages import PeerRefused, SandboxLacks
from diode.process.vocabulary import Blob, Many, Row, Text, Vocabulary, Whole, Word

MAX_FILES: Final = 1_000_000
MOST_TOGETHER: Final = 32  # files of one piece that cross in one message
MAX_KINDS: Final = 200
MAX_TOLD: Final = 17
UNREAD: Final = ("changed", "unreadable")

Number = Annotated[int, Whole(0, MAX_FILES - 1)]
Count = Annotated[int, Whole(0, MAX_FILES)]
Bytes = Annotated[int, Whole()]
Counts = Annotated[tuple[tuple[str, int], ...], Many(Row(Text(40), Whole(1)), MAX_KINDS)]
Told = Annotated[tuple[str, ...], Many(Text(500), MAX_TOLD)]

# messages to the child


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin to examine an item by these rules. One file goes with it: the paths, each ended by a zero byte."""

    content: Annotated[str, Word(*PRESETS)]
    types: Annotated[tuple[str, ...], Many(Text(40), 100)]
    lint: Annotated[int, Whole(0, 1)]
    code: Annotated[int, Whole(0, 1)]
    also: Annotated[tuple[str, ...], Many(Text(40), 100)]
    files: Count
    size_bytes: Bytes
    piece_bytes: Annotated[int, Whole(1, 1 << 30)]


@dataclass(frozen=True, slots=True)
class Look:
    """Examine the next files, from number ``first`` on. Each has one piece at most. The files go with it, in order."""

    first: Number
    sizes: Annotated[tuple[int, ...], Many(Whole(), MOST_TOGETHER)]
    digests: Annotated[bytes, Blob(32 * MOST_TOGETHER)]


@dataclass(frozen=True, slots=True)
class LookAtLarge:
    """Examine the next file, which has several pieces. The file goes with it, and a file of its pieces' digests."""

    number: Number
    size: Bytes


# messages of the child


@dataclass(frozen=True, slots=True)
class Looked:
    """This many files have been examined so far, and the channel takes all of them."""

    files: Count


@dataclass(frozen=True, slots=True)
class Refused:
    """The channel does not take this file. The child ends."""

    number: Number
    trouble: Annotated[str, Word(*Trouble)]
    detail: Annotated[str, Text(500)]


@dataclass(frozen=True, slots=True)
class NotRead:
    """This file is not what was hashed, or cannot be read. The child ends."""

    number: Number
    why: Annotated[str, Word(*UNREAD)]
    detail: Annotated[str, Text(200)]


@dataclass(frozen=True, slots=True)
class Done:
    """The channel takes all files. It counts them by kind, and what archives hold; it has notes for people."""

    kinds: Counts
    inside: Counts
    unopened: Counts
    notes: Told
    auto_map: Told


TO_CHILD: Final = Vocabulary(Begin, Look, LookAtLarge)
CHILD_SAYS: Final = Vocabulary(Looked, once=(Refused, NotRead, Done, SandboxLacks, PeerRefused))
