"""Measures each stage of a transfer alone, in one thread, to show where the time goes.

A stage that the compiled core does is measured with and without it, by turns.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import numpy as np

from diode.errors import Drop
from diode.formats.digest import digest
from diode.lab.report import Row
from diode.process.compiled import Compiled
from diode.protocol.auth import Session
from diode.protocol.encoder import Part, SlabEncoder, Slot, fill_from
from diode.protocol.fec import Engine, choose_engine
from diode.protocol.geometry import PROFILES, Slab, slab_at, stream_geometry
from diode.protocol.handed_over import SlabKey
from diode.protocol.link_key import LinkKey
from diode.protocol.open_slab import OpenSlab
from diode.protocol.run_taker import Takes
from diode.protocol.sizes import HEADER_BYTES, TAG_BYTES, Kind
from diode.protocol.wire import copy_headers

_ROUNDS: Final = 5
_RUN: Final = 2816  # datagrams that are placed at once, as a region of the ring has them

Work = Callable[[], object]


class Stage(NamedTuple):
    """One stage. ``limits``: which limits of :mod:`diode.lab.limits` it cannot pass. ``works``: by way to do it."""

    name: str
    limits: Sequence[str]
    works: dict[str, Work]  # "": no core is asked; else "off" and "on"


def measure(mtu: int, symbol_bytes: int, folder: Path, core: Compiled) -> Iterator[Row]:
    """One row for each stage and way: GB of user data for a second of one processor, whatever else it does.

    Files are written below ``folder``.
    """
    bench = _Bench(symbol_bytes, folder, core)
    for stage in bench.stages():
        seconds: dict[str, list[float]] = {way: [] for way in stage.works}
        for _ in range(_ROUNDS):
            for way, work in stage.works.items():
                seconds[way].append(_timed(work))
        for way, each in seconds.items():
            core_of = f", core {way}" if way else ""
            yield {
                "row": f"stage {mtu} {stage.name}{core_of}",
                "part": "stages",
                "unit": "GB/s",
                "value": bench.slab.length / median(each) / 1e9,
                "stage": stage.name,
                "mtu": mtu,
                "core": way,
                "limits": list(stage.limits),
            }


def _timed(work: Work) -> float:
    started = time.thread_time()
    work()
    return time.thread_time() - started


class _Bench:
    def __init__(self, symbol_bytes: int, folder: Path, core: Compiled) -> None:
        self.full = stream_geometry(symbol_bytes, PROFILES["standard"])
        self.slab: Slab = slab_at(self.full, self.full.source_bytes, 0)
        self._engines: dict[str, Engine] = {"off": choose_engine()}
        if core.library is not None:
            self._engines["on"] = choose_engine(library=core.library)  # which may be the same one
        key = LinkKey.of(os.urandom(32))
        kernels = {"off": None, "on": core.kernel_for("auto", "gmac")}
        self._sessions = {
            way: Session(key, 1, "gmac", kernel) for way, kernel in kernels.items() if way == "off" or kernel
        }
        buffer = memoryview(bytearray(self.full.rows * self.full.columns * (symbol_bytes + HEADER_BYTES + TAG_BYTES)))
        self._slot = Slot(buffer, self.full)
        self._data = np.random.default_rng(1).integers(0, 256, self.slab.length, dtype=np.uint8)
        encoder = SlabEncoder(self._engines["off"], self._sessions["off"], 1)
        encoder.encode(self._slot, self.slab, Part(1, Kind.DATA), fill_from(self._data))
        self._symbols = np.ascontiguousarray(self._slot.symbols)
        self._target = np.empty_like(self._symbols)
        self._path = folder / "stage.bin"
        self._path.write_bytes(self._data.tobytes())

    def stages(self) -> Iterator[Stage]:
        """In the order a byte meets them."""
        slot, full = self._slot, self.full
        rows = slot.datagrams.reshape(full.rows, -1)
        scratch, region = np.empty(self.slab.length, dtype=np.uint8), np.empty_like(slot.datagrams)
        yield _only("read", "memory, copy", lambda: self._read(scratch))
        yield self._by_engines("FEC encode 200+20", lambda engine: engine.encode(rows[: full.k], rows[full.k :]))
        yield self._by_sessions("number and tag", "memory, read", self._seal)
        yield _only("copy from the ring", "memory, copy", lambda: np.copyto(region, slot.datagrams))
        yield self._by_sessions("verify", "memory, read", self._check)
        yield _only("place", "memory, copy", self._place)
        if "on" in self._sessions and isinstance(self._sessions["on"].tags, Takes):
            yield Stage("verify and place at once", ["memory, copy"], {"on": self._take})
        for share in (0.01, 0.05):
            yield self._by_engines(f"FEC decode at {share:.0%} loss", self._decode(share))
        yield _only("copy from the arena", "memory, copy", lambda: np.copyto(scratch, self._data))
        yield Stage("hash", ["hash in the cache", "memory, read"], {"": lambda: digest(self._data)})
        yield _only("write", "memory, copy", self._write)

    def _by_engines(self, name: str, work: Callable[[Engine], object]) -> Stage:
        ways = {way: partial(work, engine) for way, engine in self._engines.items()}
        return Stage(name, ["memory, read"], dict(ways))

    def _by_sessions(self, name: str, limit: str, work: Callable[[Session], object]) -> Stage:
        return Stage(name, [limit], {way: partial(work, session) for way, session in self._sessions.items()})

    def _seal(self, session: Session) -> None:
        slot = self._slot
        header = slot.datagrams[0, :HEADER_BYTES].tobytes()
        session.seal_numbered(slot.datagrams, slot.views, 0, len(slot.datagrams), header, 0, 0)

    def _check(self, session: Session) -> None:
        slot = self._slot
        session.check(slot.datagrams, slot.views, slice(0, len(slot.datagrams)))

    def _take(self) -> None:
        tags = self._sessions["on"].tags
        assert isinstance(tags, Takes)
        have = np.zeros(len(self._target), dtype=np.bool_)
        for first in range(0, len(have), _RUN):
            run = self._slot.datagrams[first : first + _RUN]
            tags.take(run, np.arange(len(run)), copy_headers(run), (self._target, have))

    def _read(self, into: "np.ndarray[tuple[int], np.dtype[np.uint8]]") -> None:
        with self._path.open("rb", buffering=0) as file:
            file.readinto(memoryview(into))

    def _place(self) -> None:
        drops: Counter[Drop] = Counter()
        slab = OpenSlab(SlabKey(1, Kind.DATA, 0, 0), 0, self._target, self.full, self.slab.length)
        k_rows = self.full.k * self.full.columns
        for first in range(0, k_rows, _RUN):
            numbers = np.arange(first, min(first + _RUN, k_rows))
            slab.place(self._slot.symbols[first : first + _RUN][: len(numbers)], numbers, drops)

    def _decode(self, share: float) -> Callable[[Engine], object]:
        cube = self._symbols.copy().reshape(self.full.rows, self.full.columns, -1)
        have = np.random.default_rng(2).random((self.full.rows, self.full.columns)) >= share
        while (short := np.count_nonzero(have, axis=0) < self.full.k).any():
            have[:, short] = True
        return lambda engine: engine.restore(cube, have, self.full.k)

    def _write(self) -> None:
        fd = os.open(self._path.with_suffix(".out"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            os.write(fd, memoryview(self._data))
        finally:
            os.close(fd)


def _only(name: str, limit: str, work: Work) -> Stage:
    """A stage that the core has no part in."""
    return Stage(name, [limit], {"": work})
