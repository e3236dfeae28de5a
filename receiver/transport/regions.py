"""Makes matrices of datagrams from filled regions, cut into runs.

``listen`` can write the ring at any instant. The readable way works on a copy of the region, and nothing reads the ring
again: the bytes whose tag was verified are the bytes that are placed. The compiled core copies what it judges itself
(:mod:`diode.protocol.run_taker`), so it is shown the ring.
"""

import mmap
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from diode.errors import Drop
from diode.process.memory import Ring
from diode.protocol.auth import DatagramViews
from diode.protocol.runs import MOST_ODD_RUNS, Run, gather, slice_runs


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

    def look(self, region: int, runs: int) -> Iterator[tuple[int, Any]]:
        """(datagram bytes, matrix) of each run, in order of arrival. ``listen`` may change the matrix at any instant.

        What was read to cut the region decides nothing else. A region of very many runs is copied, so that they can be
        moved together. Raises MessageError for a region or runs that there cannot be.
        """
        lengths, data = self.ring.look(region, runs)
        cut = slice_runs(data, lengths, self._drops, self.usual_bytes)
        if len(cut) > MOST_ODD_RUNS:
            self._copy[: len(data)] = data
            data = self._copy
        for run in gather(data, cut):
            self.datagrams += run.count
            rows = data[run.offset : run.offset + run.size * run.count]
            yield run.size, np.frombuffer(rows, np.uint8).reshape(-1, run.size)

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
