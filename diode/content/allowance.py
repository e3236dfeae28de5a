"""How much may be unpacked, and how deep, while the archives of one item are looked into."""

from dataclasses import dataclass
from typing import Final, Self

from diode.content.trouble import Trouble, UnsoundError

MAX_DEPTH: Final = 8
MAX_MEMBERS: Final = 2_000_000
LEAST_BYTES: Final = 1 << 30
BYTES_PER_BYTE: Final = 64  # of what is unpacked: time grows with an item's size, not with its claims


@dataclass(slots=True)
class Allowance:
    """What is left of it. Used up by one item's archives together, so that many small bombs are no large one."""

    bytes: int
    members: int = MAX_MEMBERS
    depth: int = MAX_DEPTH

    @classmethod
    def for_item(cls, size_bytes: int) -> Self:
        """What an item of this size may cost."""
        return cls(LEAST_BYTES + BYTES_PER_BYTE * size_bytes)

    def unpack(self, count: int) -> None:
        """``count`` more bytes come out of an archive. Raises UnsoundError when that is too much."""
        self.bytes -= count
        if self.bytes < 0:
            raise UnsoundError("unpacking it takes more than is allowed", Trouble.BUDGET)

    def meet(self, count: int = 1) -> None:
        """``count`` more members of an archive. Raises UnsoundError when there are too many."""
        self.members -= count
        if self.members < 0:
            raise UnsoundError(f"more than {MAX_MEMBERS} members", Trouble.BUDGET)
