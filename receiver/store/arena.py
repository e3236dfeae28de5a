"""Reads the memory that ``assemble`` shares, and can write at any instant: once, into memory of this process alone."""

import mmap

from diode.process.memory import map_memfd
from diode.protocol.geometry import MAX_SLAB_BYTES


class Arena:
    """The arena behind the descriptor ``fd``, and room for a copy of one slab of it."""

    def __init__(self, fd: int) -> None:
        self._shared = memoryview(map_memfd(fd))
        room = min(len(self._shared), MAX_SLAB_BYTES)
        self._copy = memoryview(mmap.mmap(-1, room, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))

    def __len__(self) -> int:
        return len(self._shared)

    def maybe_copy(self, offset: int, length: int) -> memoryview | None:
        """A copy of a stretch, good until the next call; None: it does not lie in the arena, or no slab is so long."""
        if not 0 <= offset <= offset + length <= len(self._shared) or length > len(self._copy):
            return None
        data = self._copy[:length]
        data[:] = self._shared[offset : offset + length]
        return data

    def place(self, offset: int, length: int) -> memoryview:
        """A stretch to write into. Its caller releases it."""
        return self._shared[offset : offset + length]

    def release(self) -> None:
        """The arena is not used any more."""
        self._shared.release()
