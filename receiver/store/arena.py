"""Reads the memory that ``assemble`` shares, and can write at any instant: once, into memory of this process alone.

A slab of data is copied while it arrives, in strips, and each strip is hashed while the cache still holds it. Only the
copy is hashed and used. So a beginning that ``assemble`` changes afterwards changes nothing here.
"""

import mmap
from contextlib import suppress
from typing import Final

from blake3 import blake3

from diode.process.memory import map_memfd
from diode.protocol.geometry import MAX_SLAB_BYTES
from diode.protocol.handed_over import SlabKey

STRIP_BYTES: Final = 256 << 10  # copied and hashed at once: a cache holds it, and BLAKE3 uses the widest instructions
SMALL_BYTES: Final = 1 << 20  # what is so short has memory of its own while a slab arrives


class _Growing:
    """A slab of which the first ``done`` bytes are copied and hashed."""

    def __init__(self, key: SlabKey, offset: int) -> None:
        self.key = key
        self.offset = offset
        self.done = 0
        self.hasher = blake3()


class Arena:
    """The arena behind the descriptor ``fd``, and room for a copy of one slab of it."""

    def __init__(self, fd: int) -> None:
        self._shared = memoryview(map_memfd(fd))
        room = mmap.mmap(-1, min(len(self._shared), MAX_SLAB_BYTES), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with suppress(OSError):  # a kernel without huge pages
            room.madvise(mmap.MADV_HUGEPAGE)  # one fault for 2 MiB, and not one for 4 KiB
        self._copy = memoryview(room)
        self._growing: _Growing | None = None  # whose beginning lies in the copy

    def __len__(self) -> int:
        return len(self._shared)

    def grow(self, key: SlabKey, offset: int, length: int) -> None:
        """Copy and hash the first ``length`` bytes of a slab, while the rest arrives.

        One slab has the room at a time, from its first beginning to its end. Others are copied when they are whole.
        """
        if self._growing is None or (self._growing.key == key and self._growing.offset != offset):
            self._growing = _Growing(key, offset)
        if self._growing.key == key and self._is_inside(offset, length):
            self._go_on(self._growing, length)

    def forget(self, key: SlabKey) -> None:
        """A slab begins, or ends without being whole: what was copied of it does not count."""
        if self._growing is not None and self._growing.key == key:
            self._growing = None

    def maybe_copy(self, offset: int, length: int) -> memoryview | None:
        """A copy of a stretch, good until the next call; None: it does not lie in the arena, or no slab is so long."""
        if not self._is_inside(offset, length):
            return None
        data = self._room(length)
        data[:] = self._shared[offset : offset + length]
        return data

    def maybe_copy_hashed(self, key: SlabKey, offset: int, length: int) -> tuple[memoryview, bytes] | None:
        """A copy of a whole slab of data, as :meth:`maybe_copy`, and its BLAKE3. It may have begun by :meth:`grow`."""
        if not self._is_inside(offset, length):
            return None
        growing = self._growing
        if growing is None or (growing.key, growing.offset) != (key, offset) or growing.done > length:
            growing, data = _Growing(key, offset), self._room(length)
        else:
            data, self._growing = self._copy[:length], None
        self._go_on(growing, length, data)
        return data, growing.hasher.digest()

    def place(self, offset: int, length: int) -> memoryview:
        """A stretch to write into. Its caller releases it."""
        return self._shared[offset : offset + length]

    def release(self) -> None:
        """The arena is not used any more."""
        self._shared.release()

    def _is_inside(self, offset: int, length: int) -> bool:
        return 0 <= offset <= offset + length <= len(self._shared) and length <= len(self._copy)

    def _room(self, length: int) -> memoryview:
        """Memory for a copy. A long one takes the room of a slab that arrives, which is copied once more then."""
        if self._growing is not None and length <= SMALL_BYTES:
            return memoryview(bytearray(length))
        self._growing = None
        return self._copy[:length]

    def _go_on(self, growing: _Growing, length: int, data: memoryview | None = None) -> None:
        into = self._copy if data is None else data
        for at in range(growing.done, length, STRIP_BYTES):
            end = min(at + STRIP_BYTES, length)
            into[at:end] = self._shared[growing.offset + at : growing.offset + end]
            growing.hasher.update(into[at:end])
        growing.done = max(growing.done, length)
