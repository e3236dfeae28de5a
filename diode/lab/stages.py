"""Measures each stage of a transfer alone, in one thread, to show where the time goes."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from diode.errors import Drop
from diode.formats.digest import digest
from diode.protocol.auth import Session
from diode.protocol.encoder import Part, SlabEncoder, Slot, fill_from
from diode.protocol.fec import Engine, choose_engine
from diode.protocol.geometry import PROFILES, Slab, slab_at, stream_geometry
from diode.protocol.handed_over import SlabKey
from diode.protocol.link_key import LinkKey
from diode.protocol.open_slab import OpenSlab
from diode.protocol.sizes import HEADER_BYTES, TAG_BYTES, Kind

_ROUNDS: Final = 5


def measure(mtu: int, symbol_bytes: int, folder: Path) -> Iterator[dict[str, object]]:
    """One row for each stage: ``stage``, ``mtu``, ``gb_per_s`` (of user data). Files are written below ``folder``."""
    bench = _Bench(symbol_bytes, folder)
    for name, work in bench.stages():
        seconds = [_timed(work) for _ in range(_ROUNDS)]
        yield {"stage": name, "mtu": mtu, "gb_per_s": bench.slab.length / median(seconds) / 1e9}


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class _Bench:
    def __init__(self, symbol_bytes: int, folder: Path) -> None:
        self.full = stream_geometry(symbol_bytes, PROFILES["standard"])
        self.slab: Slab = slab_at(self.full, self.full.source_bytes, 0)
        self._engine: Engine = choose_engine()
        self._session = Session(LinkKey.of(os.urandom(32)), 1, "gmac")
        buffer = memoryview(bytearray(self.full.rows * self.full.columns * (symbol_bytes + HEADER_BYTES + TAG_BYTES)))
        self._slot = Slot(buffer, self.full)
        self._data = np.random.default_rng(1).integers(0, 256, self.slab.length, dtype=np.uint8)
        encoder = SlabEncoder(self._engine, self._session, 1)
        encoder.encode(self._slot, self.slab, Part(1, Kind.DATA), fill_from(self._data))
        self._symbols = np.ascontiguousarray(self._slot.symbols)
        self._path = folder / "stage.bin"
        self._path.write_bytes(self._data.tobytes())

    def stages(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """(name, work on one slab) of each stage, in the order a byte meets them."""
        slot, full = self._slot, self.full
        rows = slot.datagrams.reshape(full.rows, -1)
        count = full.rows * full.columns
        scratch, region = np.empty(self.slab.length, dtype=np.uint8), np.empty_like(slot.datagrams)
        yield "read", lambda: self._read(scratch)
        yield "FEC encode 200+20", lambda: self._engine.encode(rows[: full.k], rows[full.k :])
        yield "tag", lambda: self._session.seal(slot.datagrams, slot.views, 0, count)
        yield "copy from the ring", lambda: np.copyto(region, slot.datagrams)
        yield "verify", lambda: self._session.check(slot.datagrams, slot.views, slice(0, count))
        yield "place", self._place
        for share in (0.01, 0.05):
            yield f"FEC decode at {share:.0%} loss", self._decode(share)
        yield "copy from the arena", lambda: np.copyto(scratch, self._data)
        yield "hash", lambda: digest(self._data)
        yield "write", self._write

    def _read(self, into: "np.ndarray[tuple[int], np.dtype[np.uint8]]") -> None:
        with self._path.open("rb", buffering=0) as file:
            file.readinto(memoryview(into))

    def _place(self) -> None:
        drops: Counter[Drop] = Counter()
        target = np.empty_like(self._symbols)
        slab = OpenSlab(SlabKey(1, Kind.DATA, 0, 0), 0, target, self.full, self.slab.length)
        k_rows = self.full.k * self.full.columns
        for first in range(0, k_rows, 2816):
            numbers = np.arange(first, min(first + 2816, k_rows))
            slab.place(self._slot.symbols[first : first + 2816][: len(numbers)], numbers, drops)

    def _decode(self, share: float) -> Callable[[], object]:
        cube = self._symbols.copy().reshape(self.full.rows, self.full.columns, -1)
        have = np.random.default_rng(2).random((self.full.rows, self.full.columns)) >= share
        while (short := np.count_nonzero(have, axis=0) < self.full.k).any():
            have[:, short] = True
        return lambda: self._engine.restore(cube, have, self.full.k)

    def _write(self) -> None:
        fd = os.open(self._path.with_suffix(".out"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            os.write(fd, memoryview(self._data))
        finally:
            os.close(fd)
