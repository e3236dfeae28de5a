"""What ``identity`` and its child process ``identity_child`` say to each other: a class for each message."""

from dataclasses import dataclass
from typing import Annotated, Final

from diode.identity.check import MOST_CHANGES, MOST_FILES, MOST_LINE
from diode.identity.material import Fault
from diode.identity.rules import KINDS
from diode.process.messages import SandboxLacks
from diode.process.vocabulary import Chars, Many, Row, Text, Vocabulary, Whole, Word

MOST_RULES: Final = 16 << 20  # characters: pins in Base64
_LINE_BYTES: Final = 256 << 10  # every change, were each of its characters escaped in JSON


@dataclass(frozen=True, slots=True)
class MaterialSettings:
    """What the child is told when it starts. ``item`` and ``before`` are folders; "": nothing was taken before."""

    item: Annotated[str, Chars()]
    before: Annotated[str, Chars()]
    rules: Annotated[str, Chars(MOST_RULES)]
    at: Annotated[str, Text(40)]  # the moment of the check, in ISO 8601


@dataclass(frozen=True, slots=True)
class MaterialTaken:
    """The channel takes it. ``changes`` are for people; ``counts`` are files by kind."""

    changes: Annotated[tuple[str, ...], Many(Text(MOST_LINE), MOST_CHANGES + 1)]
    counts: Annotated[tuple[tuple[str, int], ...], Many(Row(Word(*KINDS), Whole(1, MOST_FILES)), len(KINDS))]


@dataclass(frozen=True, slots=True)
class MaterialRefused:
    """The channel does not take it."""

    fault: Annotated[str, Word(*Fault)]
    detail: Annotated[str, Text(4 * MOST_LINE)]


@dataclass(frozen=True, slots=True)
class MaterialUnread:
    """The item, or what was taken before, cannot be read from our own disk."""

    detail: Annotated[str, Text(MOST_LINE)]


CHILD_SAYS: Final = Vocabulary(
    once=(MaterialTaken, MaterialRefused, MaterialUnread, SandboxLacks), line_bytes=_LINE_BYTES
)
