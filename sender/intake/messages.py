"""What intake and its child that looks at content say to each other: one class a message.

A file is named by its place in the item's list of paths, which crosses as a file. Little is imported: the child is a
new process for each item.
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

# to the child


@dataclass(frozen=True, slots=True)
class ChildSettings:
    """What the child is told when it starts: where files are handed to it."""

    files_read: Annotated[int, Whole(0, 1 << 20)]


@dataclass(frozen=True, slots=True)
class Begin:
    """An item is to be looked at, by these rules. With it goes one file: its paths, each ended by a zero byte."""

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
    """The next files, from number ``first`` on, each of one piece at most. With it go the files, in this order."""

    first: Number
    sizes: Annotated[tuple[int, ...], Many(Whole(), MOST_TOGETHER)]
    digests: Annotated[bytes, Blob(32 * MOST_TOGETHER)]


@dataclass(frozen=True, slots=True)
class LookAtLarge:
    """The next file, of several pieces. With it go the file, and a file of the digests of its pieces."""

    number: Number
    size: Bytes


# of the child


@dataclass(frozen=True, slots=True)
class Looked:
    """So many files were looked at, and are taken."""

    files: Count


@dataclass(frozen=True, slots=True)
class Refused:
    """A file is not taken."""

    number: Number
    trouble: Annotated[str, Word(*Trouble)]
    detail: Annotated[str, Text(500)]


@dataclass(frozen=True, slots=True)
class NotRead:
    """A file is not what was hashed, or cannot be read."""

    number: Number
    why: Annotated[str, Word(*UNREAD)]
    detail: Annotated[str, Text(200)]


@dataclass(frozen=True, slots=True)
class Done:
    """All files are taken: how many there are of each kind, what archives hold, and what people should know."""

    kinds: Counts
    inside: Counts
    unopened: Counts
    notes: Told
    auto_map: Told


TO_CHILD: Final = Vocabulary(Begin, Look, LookAtLarge)
CHILD_SAYS: Final = Vocabulary(Looked, once=(Refused, NotRead, Done, SandboxLacks, PeerRefused))
