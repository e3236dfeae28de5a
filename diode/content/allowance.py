"""Bounds how much may be unpacked, and how deep, while the archives of one item are looked into."""

from dataclasses import dataclass
from typing import Final, Self

from diode.content.trouble import Trouble, UnsoundError

MAX_DEPTH: Final = 8
MAX_MEMBERS: Final = 2_000_000
LEAST_BYTES: Final = 1 << 30
BYTES_PER_BYTE: Final = 64  # of what is unpacked: time grows with an item's size, not with its claims
MEMORY_BYTES: Final = 136 << 20  # of what is kept of streams, and of decoders; one zstd window of 128 MiB fits


@dataclass(slots=True)
class Allowance:
    """What is left of the bound. All archives of an item share it, so that many small bombs together stay within it.

    Memory is lent and given back. The other amounts are spent.
    """

    bytes: int
    members: int = MAX_MEMBERS
    depth: int = MAX_DEPTH
    memory: int = MEMORY_BYTES

    @classmethod
    def for_item(cls, size_bytes: int) -> Self:
        """The allowance for an item of this size."""
        return cls(LEAST_BYTES + BYTES_PER_BYTE * size_bytes)

    @property
    def is_spent(self) -> bool:
        """Whether nothing more can be unpacked."""
        return self.bytes < 0 or self.members < 0

    def unpack(self, count: int) -> None:
        """Spend ``count`` bytes that come out of an archive. Raises UnsoundError when fewer are left."""
        self.bytes -= count
        if self.bytes < 0:
            raise UnsoundError("unpacking it takes more than is allowed", Trouble.BUDGET)

    def meet(self, count: int = 1) -> None:
        """Count ``count`` more members of archives. Raises UnsoundError when there are too many."""
        self.members -= count
        if self.members < 0:
            raise UnsoundError(f"more than {MAX_MEMBERS} members", Trouble.BUDGET)

    def enter(self) -> None:
        """Enter an archive. Raises UnsoundError when it lies too deep in others. :meth:`leave` goes back."""
        if self.depth == 0:
            raise UnsoundError("archives lie in archives deeper than is allowed", Trouble.BUDGET)
        self.depth -= 1

    def leave(self) -> None:
        """Leave the archive that was entered last."""
        self.depth += 1

    def maybe_take_memory(self, count: int) -> bool:
        """Borrow ``count`` bytes of memory, if so many are left. Returns whether they were."""
        if count > self.memory:
            return False
        self.memory -= count
        return True

    def take_memory(self, count: int) -> None:
        """Borrow ``count`` bytes of memory. Raises UnsoundError when fewer are left."""
        if not self.maybe_take_memory(count):
            raise UnsoundError(f"unpacking it takes {count >> 20} MiB of memory, more than is left", Trouble.BUDGET)

    def give_memory(self, count: int) -> None:
        """Give borrowed memory back."""
        self.memory += count
