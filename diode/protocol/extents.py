"""Allocates stretches (extents) of an arena. This is arithmetic only; the memory itself belongs to the caller."""

from typing import Final

PAGE_BYTES: Final = 4096


class Extents:
    """First-fit allocator of page-aligned stretches of one mapping. Its size bounds the memory in use."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.used_bytes = 0
        self._free: list[tuple[int, int]] = [(0, size_bytes)]
        self._taken: dict[int, int] = {}

    def allocate(self, size_bytes: int) -> int | None:
        """The offset of a free stretch of at least ``size_bytes``, or None when there is none."""
        size = -(-size_bytes // PAGE_BYTES) * PAGE_BYTES
        for i, (offset, room) in enumerate(self._free):
            if room >= size:
                self._free[i : i + 1] = [(offset + size, room - size)] if room > size else []
                self._taken[offset] = size
                self.used_bytes += size
                return offset
        return None

    def free(self, offset: int) -> None:
        """Free what :meth:`allocate` returned. Neighbouring free stretches are merged."""
        size = self._taken.pop(offset)
        self.used_bytes -= size
        merged: list[tuple[int, int]] = []
        for at, room in sorted([*self._free, (offset, size)]):
            if merged and merged[-1][0] + merged[-1][1] == at:
                merged[-1] = (merged[-1][0], merged[-1][1] + room)
            else:
                merged.append((at, room))
        self._free = merged
