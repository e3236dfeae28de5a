"""What archives hold, looked at as files are: nothing is unpacked to a disk, and all of it is paid for."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from diode.content.allowance import Allowance
from diode.content.reader import Reader

LOOKED_INTO: Final[frozenset[str]] = frozenset()  # kinds of archives whose members are looked at

# a member's bytes, its size, its path: what examine() says of it
Look = Callable[[BinaryIO, int, str], None]


@dataclass(slots=True)
class Inside:
    """What was met: how many members of each kind, and how many were not looked into."""

    kinds: Counter[str] = field(default_factory=Counter)
    unopened: Counter[str] = field(default_factory=Counter)


def look_inside(reader: Reader, kind: str, path: str, look: Look, allowance: Allowance) -> None:
    """Have ``look`` see every member of an archive of this kind. Raises UnsoundError, also what ``look`` raises."""
