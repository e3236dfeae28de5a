"""The assembler under any order of authentic datagrams and of its caller's answers.

Input: a program, one byte an operation and its operands after it (`_Play`).
"""

import itertools
from collections import Counter
from functools import cache
from typing import Final

import numpy as np

from diode.errors import Drop
from diode.protocol.assembler import Assembler
from diode.protocol.early_slabs import MAX_EARLY_SLABS
from diode.protocol.fec import Engine, choose_engine
from diode.protocol.geometry import Geometry, slab_at
from diode.protocol.handed_over import Begun, Completed, HandedOver, SlabKey, Spilled, Wanted
from diode.protocol.sizes import MAX_SLABS, Kind, ObjectType
from diode.protocol.wire import headers_of, pack_headers, screen
from tests.fuzz.reading import Input

S: Final = 448
ARENA_BYTES: Final = 9 << 20  # one early slab of the largest shape, and a little
SHAPES: Final = (Geometry(S, 64, 4, 2), Geometry(S, 64, 200, 20), Geometry(S, 64, 128, 128))
SIZES: Final = (0, 1, S, 5 * S, 70 * S, 256 * S, 257 * S + 3, 600 * S)
MOST_STEPS: Final = 200


def one_input(data: bytes) -> None:
    """Nothing raises, extents neither leak nor overlap, and what completes has the length that was signed."""
    play, given = _Play(), Input(data)
    for _ in range(MOST_STEPS):
        if given.is_over:
            break
        play.step(given)
    play.end()


@cache
def _engine() -> Engine:
    return choose_engine("auto")


class _Play:
    def __init__(self) -> None:
        self.drops: Counter[Drop] = Counter()
        self.assembler = Assembler(np.zeros(ARENA_BYTES, np.uint8), _engine(), self.drops, self.wait)
        self.sizes: dict[int, tuple[Geometry, dict[tuple[Kind, int], int]]] = {}
        self.signed = dict(self.sizes)
        self.over: set[int] = set()
        self.spilled: dict[SlabKey, np.ndarray] = {}

    def step(self, given: Input) -> None:
        bundle = 1 + given.number(1) % 3
        match given.number(1) % 8:
            case 1:
                self.know(bundle, given)
            case 2:
                self.assembler.spill((None, bundle)[given.number(1) % 2])
            case 3:
                self.take(given)
            case 4:
                reason = (None, Drop.REDUNDANT, Drop.REFUSED)[given.number(1) % 3]
                self.assembler.finish(bundle, reason)
                self.sizes.pop(bundle, None)
                if reason:
                    self.over.add(bundle)
            case _:
                self.datagrams(bundle, given)
        self.check()

    def datagrams(self, bundle: int, given: Input) -> None:
        count = 1 + given.number(1)
        rows = np.full((count, S + 64), given.number(1), np.uint8)
        kind = (Kind.DATA, Kind.OBJECT)[given.number(1) % 2]
        pack_headers(
            headers_of(rows), kind=kind, flags=given.number(1) % 3 if kind == Kind.OBJECT else 0, key_id=0, session=0,
            counter=0, bundle=bundle, slab=given.number(4) % MAX_SLABS,
            symbols=((given.number(2) + np.arange(count)) % (1 << 16)).astype(np.uint16), symbol_bytes=S,
            columns=given.number(1), k=given.number(1),
        )  # fmt: skip
        passed, _ = screen(headers_of(rows), S)
        self.assembler.feed(rows, np.flatnonzero(passed))

    def know(self, bundle: int, given: Input) -> None:
        if bundle in self.sizes or bundle in self.over:
            return  # a store says so once
        geometry = SHAPES[given.number(1) % len(SHAPES)]
        parts = ((Kind.DATA, 0), (Kind.OBJECT, int(ObjectType.FILES)), (Kind.OBJECT, int(ObjectType.SLABS)))
        sizes = {part: SIZES[given.number(1) % len(SIZES)] for part in parts}
        geometry, sizes = self.signed.setdefault(bundle, (geometry, sizes))  # its number is a digest of both
        self.sizes[bundle] = geometry, sizes
        self.assembler.know(bundle, geometry, sizes, [])

    def take(self, given: Input) -> None:
        if self.assembler.handed_over:
            self.answer(self.assembler.handed_over.popleft(), given)

    def answer(self, item: HandedOver, given: Input) -> None:
        match item:
            case Completed(key, offset, length):
                if key.bundle in self.sizes:
                    geometry, sizes = self.sizes[key.bundle]
                    is_object = key.kind == Kind.OBJECT
                    shape = Geometry(S, 64, 64, 128) if is_object else geometry
                    size = sizes.get((key.kind, key.flags), 0)
                    if key.flags != ObjectType.MANIFEST or not is_object:
                        assert length == slab_at(shape, size, key.number, is_object=is_object).length
                        if given.number(1) % 2:
                            self.assembler.redo(key)
                self.assembler.release(offset)
            case Spilled(key, offset, _, have):
                self.spilled[key] = have
                self.assembler.release(offset)
            case Wanted(key, _, _, symbols):
                have = np.zeros(symbols, dtype=np.bool_)
                mask = self.spilled.get(key, have)[:symbols]
                have[: len(mask)] = mask
                self.assembler.loaded(key, have)
            case Begun():
                pass

    def wait(self) -> bool:
        queue = self.assembler.handed_over
        if not queue:
            return False
        self.answer(queue.popleft(), Input(b""))
        return True

    def check(self) -> None:
        assembler = self.assembler
        extents = assembler._extents
        pending = {item.offset for item in assembler.handed_over if isinstance(item, Completed | Spilled)}
        held = {slab.offset for slab in assembler._open.values()}
        loading = {at for places in assembler._loading.values() for at in places if at is not None}
        assert len(held) + len(pending) + len(loading) == len(extents._taken)  # no two share a stretch
        assert held | pending | loading == extents._taken.keys()
        stretches = sorted([*extents._free, *extents._taken.items()])
        assert all(at + size == after for (at, size), (after, _) in itertools.pairwise(stretches))
        assert sum(size for _, size in stretches) == ARENA_BYTES
        assert len(assembler._early) <= MAX_EARLY_SLABS

    def end(self) -> None:
        """When everything is finished and given back, all memory is free."""
        while self.assembler.handed_over:
            self.answer(self.assembler.handed_over.popleft(), Input(b""))
        for bundle in range(1, 4):
            self.assembler.finish(bundle, None)
        while self.assembler.handed_over:
            self.answer(self.assembler.handed_over.popleft(), Input(b""))
        assert self.assembler.used_bytes == 0


def seeds() -> dict[str, bytes]:
    """A bundle in order; data before its manifest; spilled and wanted again; a lie about a shape; all memory taken."""
    know, take, spill = bytes([0, 1, 0, 3, 1, 1]), bytes([0, 3, 0]), bytes([0, 2, 0])

    def sent(
        count: int, *, kind: int = 0, flags: int = 0, slab: int = 0, symbol: int = 0, d: int = 5, k: int = 1
    ) -> bytes:
        kinds = bytes([kind]) if kind == 0 else bytes([kind, flags])
        return bytes([0, 0, count - 1, 7]) + kinds + slab.to_bytes(4, "big") + symbol.to_bytes(2, "big") + bytes([d, k])

    manifest = sent(3, kind=1, flags=0, d=3, k=1)
    tables = sent(1, kind=1, flags=1, d=1) + sent(1, kind=1, flags=2, d=1)
    return {
        "in_order": manifest + take + know + tables + sent(5) + take * 8,
        "early": sent(5) + sent(2, symbol=5) + manifest + take + know + take * 4,
        "parked": know + sent(3) + spill + take * 2 + sent(2, symbol=3) + take * 3,
        "lie": sent(1, kind=1, d=2, k=9) + manifest + take,
        "wide": b"".join(sent(200, slab=n, d=64, k=255) for n in range(3)) + know + take * 4,
        "finished": know + sent(2) + bytes([0, 4, 1]) + sent(5) + take * 3,
        "repaired": know + sent(3) + sent(2, symbol=8) + take * 3,
    }
