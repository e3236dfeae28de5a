"""Makes matrices of datagrams from filled regions: copies each region once, cuts it into runs, makes views of tags.

``listen`` can write the ring at any instant. So after the copy nothing reads the ring again: the bytes whose tag was
verified are the bytes that are placed.
"""

import mmap
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from diode.errors import Drop
from diode.process.memory import Ring
from diode.protocol.auth import DatagramViews
from diode.protocol.runs import Run, gather, slice_runs


class Regions:
    """Takes regions of ``ring``. ``drops`` counts what no run is made of, ``datagrams`` what was cut.

    ``usual_bytes`` is the size of the link's datagrams, 0 while it is not known; whoever knows better sets it.
    """

    def __init__(self, ring: Ring, drops: "Counter[Drop]", usual_bytes: int) -> None:
        self.ring = ring
        self.datagrams = 0
        self.usual_bytes = usual_bytes
        self._drops = drops
        self._copy = memoryview(mmap.mmap(-1, ring.region_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        self._views: dict[int, tuple[Any, DatagramViews]] = {}  # of the whole region, by the datagrams' size

    def take(self, region: int, runs: int) -> Iterator[tuple[int, Any, DatagramViews]]:
        """(datagram bytes, matrix, views) of each run, in order of arrival. The caller owns them until the next region.

        Raises MessageError for a region or runs that there cannot be.
        """
        lengths = self.ring.take(region, runs, self._copy)
        for run in gather(self._copy, slice_runs(self._copy, lengths, self._drops, self.usual_bytes)):
            self.datagrams += run.count
            yield run.size, *self._matrix(run)

    def _matrix(self, run: Run) -> tuple[Any, DatagramViews]:
        """The run as a matrix, and views for its tags: made once for runs that begin a region, which nearly all do.

        Only of the link's own size, so that a stranger's datagram does not take the others' place.
        """
        if run.offset or run.size != self.usual_bytes:
            return self._make(run)
        if run.size not in self._views:
            self._views.clear()  # the sender changed its MTU
            self._views[run.size] = self._make(Run(0, run.size, len(self._copy) // run.size))
        matrix, views = self._views[run.size]
        return matrix[: run.count], views

    def _make(self, run: Run) -> tuple[Any, DatagramViews]:
        buffer = self._copy[run.offset : run.offset + run.size * run.count]
        return np.frombuffer(buffer, np.uint8).reshape(-1, run.size), DatagramViews(buffer, run.size, run.count)
