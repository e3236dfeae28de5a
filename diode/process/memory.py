"""Memory that processes share: memfd mappings, which children inherit as descriptors, and their layout.

Regions of received datagrams, slabs being assembled and slabs ready to be sent lie in such mappings. Only numbers go
through the pipes. The standard library's shared memory is not used, because on Python 3.11 its tracker unlinks a
segment when any attached process ends.

Any other process that maps such memory may change it at any instant. So data is copied out once before it is judged,
and only the copy is judged and used. Every memfd is sealed: nobody can make it shorter, which would end its readers
(SIGBUS).
"""

import fcntl
import mmap
import os
import struct
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from typing import Final

from diode.errors import KernelError, MessageError

PAGE_BYTES: Final = 4096
LINK_SIZE: Final = ("datagram_bytes",)  # by which ``assemble`` tells ``listen`` how large the link's datagrams are
SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_MAX_COUNT: Final = (1 << 63) - 1  # counters of datagrams are off the wire


def create_memfd(name: str, size_bytes: int, *, reserve_bytes: int = 0) -> int:
    """An anonymous file of ``size_bytes`` zero bytes, sealed at this size for good. The caller closes it.

    The first ``reserve_bytes`` get their memory now, the rest when it is first touched. So a lack of memory that every
    transfer needs shows at the start, and no transfer waits for it at line rate. Raises OSError when there is not
    enough.
    """
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, size_bytes)
        if reserve_bytes:
            os.posix_fallocate(fd, 0, min(reserve_bytes, size_bytes))
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    except OSError:
        os.close(fd)
        raise
    return fd


def kept(fds: ExitStack, fd: int) -> int:
    """``fd``, which this process closes at the end of ``fds``, when the workers have copies of it."""
    fds.callback(os.close, fd)
    return fd


def reader_of(fd: int) -> int:
    """Another descriptor of a memfd, by which nobody can write it or map it for writing. The caller closes it."""
    return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)


def map_memfd(fd: int, least_bytes: int = 1) -> mmap.mmap:
    """Map a whole memfd, shared with every process that maps it. It is read-only if the descriptor allows no more.

    Raises KernelError when it is not sealed, or has less than ``least_bytes``: then another process could end this one
    by making it shorter.
    """
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError as error:
        raise KernelError(f"descriptor {fd} is no shared memory: {error.strerror}") from error
    size = os.fstat(fd).st_size
    if seals & SEALS != SEALS or size < least_bytes:
        raise KernelError(f"shared memory {fd} is not sealed, or has {size} of {least_bytes} bytes")
    is_readable_only = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    return mmap.mmap(fd, size, prot=mmap.PROT_READ if is_readable_only else mmap.PROT_READ | mmap.PROT_WRITE)


class Counters:
    """Named 64-bit counters of one worker in a memfd. Only the worker writes them; the supervisor reads them.

    Each value that is read is between 0 and 2^63 - 1, whatever the worker wrote. It is only shown and compared, and
    never used as an offset.

    One more cell counts the writes themselves. So a worker that keeps writing the same values still shows that it is at
    work.
    """

    def __init__(self, fd: int, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._places = {name: place for place, name in enumerate(names)}
        self._cells = memoryview(map_memfd(fd, 8 * (len(names) + 1))).cast("q")

    @staticmethod
    def create(names: Sequence[str]) -> int:
        """A memfd that is large enough for ``names``."""
        return create_memfd("counters", max(8 * (len(names) + 1), PAGE_BYTES))

    def __getitem__(self, name: str) -> int:
        return max(0, self._cells[self._places[name]])

    def __setitem__(self, name: str, value: int) -> None:
        self._cells[self._places[name]] = min(value, _MAX_COUNT)
        self._count_write()

    def add(self, name: str, value: int = 1) -> None:
        """Add to one counter."""
        place = self._places[name]
        self._cells[place] = min(max(0, self._cells[place]) + value, _MAX_COUNT)
        self._count_write()

    def _count_write(self) -> None:
        self._cells[len(self.names)] = (self._cells[len(self.names)] + 1) & _MAX_COUNT

    @property
    def writes(self) -> int:
        """How often any counter was written."""
        return max(0, self._cells[len(self.names)])

    def snapshot(self) -> dict[str, int]:
        """All counters by name."""
        return {name: self[name] for name in self.names}


class Ring:
    """Regions of received datagrams in one memfd: the data of each region, then the lengths of the runs in each.

    A filled region is handed over by a ``READY`` record in a pipe, and given back by a ``FREE`` record. The receiver of
    a region judges copies, and never the ring itself.
    """

    READY: Final = struct.Struct("=II")  # region, runs in it
    FREE: Final = struct.Struct("=I")  # region

    MIN_RUN_BYTES: Final = 512

    def __init__(self, fd: int, regions: int, region_bytes: int) -> None:
        self.region_bytes = region_bytes
        self.max_runs = region_bytes // self.MIN_RUN_BYTES
        view = memoryview(map_memfd(fd, self._size(regions, region_bytes)))
        starts = range(0, regions * region_bytes, region_bytes)
        self.data = [view[at : at + region_bytes] for at in starts]
        tables = view[regions * region_bytes : self._size(regions, region_bytes)].cast("I")
        self.lengths = [tables[i * self.max_runs : (i + 1) * self.max_runs] for i in range(regions)]

    def ready(self, records: bytes) -> list[tuple[int, int]]:
        """(region, number of runs in it) of each ``READY`` record.

        Raises MessageError for a region or number that cannot be.
        """
        if len(records) % self.READY.size:
            raise MessageError("Ready", "half a record")
        ready = [(region, runs) for region, runs in self.READY.iter_unpack(records)]
        if any(region >= len(self.data) or runs > self.max_runs for region, runs in ready):
            raise MessageError("Ready", "no such region, or too many runs for it")
        return ready

    def freed(self, records: bytes, lent: Collection[int]) -> list[int]:
        """The regions of ``FREE`` records. Raises MessageError for one that is not in ``lent``."""
        if len(records) % self.FREE.size:
            raise MessageError("Free", "half a record")
        freed = [region for (region,) in self.FREE.iter_unpack(records)]
        if len(set(freed)) < len(freed) or not set(freed) <= set(lent):
            raise MessageError("Free", "a region that was not handed over")
        return freed

    @classmethod
    def create(cls, regions: int, region_bytes: int) -> int:
        """A memfd of the right size for a ring."""
        size = cls._size(regions, region_bytes)
        return create_memfd("ring", size, reserve_bytes=size)

    @classmethod
    def _size(cls, regions: int, region_bytes: int) -> int:
        return regions * (region_bytes + 4 * (region_bytes // cls.MIN_RUN_BYTES))

    def take(self, region: int, runs: int, into: memoryview) -> list[int]:
        """Copy a filled region to the start of ``into`` (of the size of a region); returns the lengths of its runs.

        Lengths and data are read once, because whoever fills the ring may change them at any time. Raises MessageError
        for a region that does not exist, and for runs that are longer than their region.
        """
        lengths, data = self.look(region, runs)
        into[: len(data)] = data
        return lengths

    def look(self, region: int, runs: int) -> tuple[list[int], memoryview]:
        """The lengths of the runs of a filled region, read once, and the region itself, as long as all of them.

        Whoever fills the ring may change it at any time: what the caller judges, it copies first. Raises MessageError
        as :meth:`take` does.
        """
        if region >= len(self.data) or runs > self.max_runs:
            raise MessageError("Ring", "no such region, or too many runs for it")
        lengths: list[int] = self.lengths[region][:runs].tolist()
        used = sum(lengths)
        if used > self.region_bytes:
            raise MessageError("Ready", "runs that are longer than their region")
        return lengths, self.data[region][:used]
