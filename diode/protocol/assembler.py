"""From authentic datagrams to slabs of bytes, within a fixed budget of memory.

Symbols go to their place in a matrix of the slab; a slab is complete when every column has k of its symbols, then the
missing ones are solved for. Nothing here believes a size that is not signed: of a bundle whose manifest has not been
verified, symbols are only kept, at most half the budget and 4,096 slabs of them, the oldest given up first.

A slab of a known bundle that cannot be completed for now is parked: its symbols go to the caller's disk, and come back
with the next datagram of it. Of one pass the first symbol under a number wins; one that was parked, or came before its
manifest, gives way to what comes later: a wrong one does not outlast the pass that brought it.

The caller verifies what is complete: it answers with :meth:`Assembler.know` (manifest verified), :meth:`loaded` (parked
symbols are back), :meth:`finish` (published or refused), and gives every extent back with :meth:`release`.
"""

import itertools
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diode.errors import Drop
from diode.formats.names import MAX_MANIFEST_BYTES
from diode.protocol.extents import Extents
from diode.protocol.fec import Engine
from diode.protocol.geometry import (
    OBJECT_MAX_K,
    Geometry,
    Slab,
    columns_for,
    object_geometry,
    repair_sets,
    slab_at,
    slab_count,
)
from diode.protocol.wire import FILLER_BUNDLE, HEADER_BYTES, MAX_ROWS, TAG_BYTES, Kind, ObjectType, copy_headers

Bytes2D = NDArray[np.uint8]
Rows = NDArray[np.intp]
Symbols = NDArray[np.intp]

MAX_EARLY_SLABS: Final = 4096
MAX_FINISHED: Final = 4096  # bundles remembered as published or refused
MOST_BEGUN: Final = 2  # slabs of one part still open when another begins: what is older waits for a later pass


class SlabKey(NamedTuple):
    """Which slab of which part of which bundle."""

    bundle: int
    kind: Kind
    flags: int
    number: int


class Completed(NamedTuple):
    """``length`` bytes at ``offset`` of the arena are slab ``key``. The receiver of this owns them until release."""

    key: SlabKey
    offset: int
    length: int


class Parked(NamedTuple):
    """The symbols so far of an incomplete slab, at ``offset`` of the arena, one after another, those of ``have`` valid.

    The receiver of this owns them until release, and keeps them until :class:`Wanted`.
    """

    key: SlabKey
    offset: int
    symbol_bytes: int
    have: NDArray[np.bool_]


class Wanted(NamedTuple):
    """A parked slab is going on: its symbols shall be put at ``offset`` of the arena, then :meth:`Assembler.loaded`."""

    key: SlabKey
    offset: int
    symbol_bytes: int
    symbols: int


class Begun(NamedTuple):
    """The first symbol of a slab arrived: what is lost should we be killed."""

    key: SlabKey


HandedOver = Completed | Parked | Wanted | Begun


@dataclass(slots=True)
class Known:
    """What the verified manifest says of a bundle, and which slabs are done or parked."""

    geometry: Geometry
    sizes: dict[tuple[Kind, int], int]
    done: dict[tuple[Kind, int], NDArray[np.bool_]] = field(default_factory=dict)
    parked: set[SlabKey] = field(default_factory=set)

    def shape(self, key: SlabKey) -> Slab | None:
        """The signed shape of a slab, or None when there is no such slab."""
        size = self.sizes.get((key.kind, key.flags), 0)
        is_object = key.kind == Kind.OBJECT
        full = object_geometry(self.geometry.symbol_bytes) if is_object else self.geometry
        if key.number >= slab_count(full, size):
            return None
        return slab_at(full, size, key.number, is_object=is_object)

    def done_map(self, key: SlabKey) -> NDArray[np.bool_]:
        """Which slabs of the same part are done."""
        part = (key.kind, key.flags)
        if part not in self.done:
            full = object_geometry(self.geometry.symbol_bytes) if key.kind == Kind.OBJECT else self.geometry
            self.done[part] = np.zeros(slab_count(full, self.sizes[part]), dtype=np.bool_)
        return self.done[part]


class OpenSlab:
    """A slab that still lacks symbols: a matrix in the arena and a mask of what is there."""

    def __init__(self, key: SlabKey, offset: int, symbols: Bytes2D, shape: Geometry, length: int | None) -> None:
        self.key = key
        self.offset = offset
        self.symbols = symbols
        self.shape = shape
        self.length = length
        self.have = np.zeros(len(symbols), dtype=np.bool_)
        self.settled = np.zeros(len(symbols), dtype=np.bool_)  # of them, those that give way to no others
        self.is_early = False  # nobody has signed what it is: the newer claim rules
        self.count = 0
        self.is_loading = False  # its parked symbols are on their way
        if length is not None:
            self._know_tail(-(-length // shape.symbol_bytes))

    def _know_tail(self, source_symbols: int) -> None:
        """Mark the symbols of the last row that are zero and never sent as there."""
        tail = slice(source_symbols, self.shape.k * self.shape.columns)
        self.symbols[tail] = 0
        self.count += int(np.count_nonzero(~self.have[tail]))
        self.have[tail] = self.settled[tail] = True

    def has_shape(self, symbol_bytes: int, columns: int, k: int) -> bool:
        """Whether a datagram that claims this shape may belong to it."""
        return (symbol_bytes, columns, k) == (self.shape.symbol_bytes, self.shape.columns, self.shape.k)

    def learn(self, slab: Slab, rows: int) -> int | None:
        """Take the signed shape of a slab that began before its manifest; None when it contradicts it.

        Returns how many of its symbols that shape does not have: of rows from ``rows`` on, or of the zero tail. They
        are given up.
        """
        shape, before = slab.shape, self.count
        if not self.has_shape(shape.symbol_bytes, shape.columns, shape.k):
            return None
        self.shape, self.length, self.is_early = shape, slab.length, False
        symbols = rows * shape.columns
        self.symbols, self.have, self.settled = self.symbols[:symbols], self.have[:symbols], self.settled[:symbols]
        self.have[slab.source_symbols : shape.k * shape.columns] = False
        self.count = int(np.count_nonzero(self.have))
        strange = before - self.count
        self._know_tail(slab.source_symbols)
        return strange

    def may_hold(self, numbers: Symbols) -> NDArray[np.bool_]:
        """Which of these symbols are sent: those of the zero tail are there, and never come."""
        inside = numbers < len(self.symbols)
        if self.length is None:
            return inside
        source, end = -(-self.length // self.shape.symbol_bytes), self.shape.k * self.shape.columns
        is_tail: NDArray[np.bool_] = (numbers >= source) & (numbers < end)
        return inside & ~is_tail

    def loaded(self, symbols: Bytes2D, have: NDArray[np.bool_]) -> None:
        """Take the parked symbols of ``have`` that did not come again meanwhile."""
        lacking = have & ~self.have
        self.symbols[lacking] = symbols[lacking]
        self.have |= lacking
        self.count = int(np.count_nonzero(self.have))
        self.is_loading = False

    def place(self, rows: Bytes2D, numbers: Symbols, drops: "Counter[Drop]") -> None:
        """Copy symbols ((n, S) view of received datagrams, by symbol number) to their places.

        The first one wins, but over those that were parked, or that came before the manifest.
        """
        first, n = int(numbers[0]), len(numbers)
        if int(numbers[-1]) - first == n - 1 and (numbers[1:] > numbers[:-1]).all():
            span = slice(first, first + n)
            if not self.have[span].any():
                self.symbols[span] = rows
                self.have[span], self.settled[span] = True, not self.is_early
                self.count += n
                return
        self._place_each(rows, numbers, drops)

    def _place_each(self, rows: Bytes2D, numbers: Symbols, drops: "Counter[Drop]") -> None:
        unique, first = np.unique(numbers, return_index=True)
        new = ~self.have[unique]
        stale = ~new & ~self.settled[unique]
        targets, sources = unique[new], first[new]
        self.symbols[targets] = rows[sources]
        self.have[targets] = True
        self.count += len(targets)
        repeated = np.ones(len(numbers), dtype=np.bool_)
        repeated[sources] = False
        if repeated.any():
            same = (self.symbols[numbers[repeated]] == rows[repeated]).all(axis=1)
            drops[Drop.DUPLICATE] += int(np.count_nonzero(same))
            drops[Drop.CONFLICT] += int(np.count_nonzero(~same))
        self.symbols[unique[stale]] = rows[first[stale]]
        self.settled[unique] |= not self.is_early

    @property
    def matrix(self) -> NDArray[np.bool_]:
        """The mask as (rows, D)."""
        return self.have.reshape(-1, self.shape.columns)

    def is_decodable(self) -> bool:
        """Whether every block has at least k symbols."""
        enough = self.shape.k * self.shape.columns
        return (
            self.length is not None
            and not self.is_loading
            and self.count >= enough
            and bool((np.count_nonzero(self.matrix, axis=0) >= self.shape.k).all())
        )

    def lost_blocks(self) -> int:
        """Blocks that cannot be restored from what is there."""
        return int(np.count_nonzero(np.count_nonzero(self.matrix, axis=0) < self.shape.k))


class Assembler:
    """Places authentic datagrams, decodes slabs, and hands them over in ``handed_over``, which the caller empties.

    ``arena`` is the memory (uint8, its whole size is the budget). ``wait`` is called when memory is short and slabs are
    still with the caller: it waits for one, calls :meth:`release`, and returns False if there is no hope.
    """

    def __init__(
        self, arena: NDArray[np.uint8], engine: Engine, drops: "Counter[Drop]", wait: Callable[[], bool]
    ) -> None:
        self.handed_over: deque[HandedOver] = deque()
        self.blocks_repaired = 0
        self.blocks_lost = 0
        self.slabs_given_up = 0
        self.slabs_parked = 0
        self.filler = 0
        self._arena = arena
        self._extents = Extents(len(arena))
        self._engine = engine
        self._drops = drops
        self._wait = wait
        self._known: dict[int, Known] = {}
        self._finished: OrderedDict[int, Drop] = OrderedDict()
        self._open: OrderedDict[SlabKey, OpenSlab] = OrderedDict()
        self._early: OrderedDict[SlabKey, int] = OrderedDict()  # of them, those of unknown bundles, and their bytes
        self._loading: dict[SlabKey, deque[int | None]] = {}  # extents for parked symbols; None: in their places

    @property
    def used_bytes(self) -> int:
        """Memory that open and complete slabs take of the budget."""
        return self._extents.used_bytes

    def feed(self, datagrams: Bytes2D, rows: Rows) -> None:
        """Take the authentic ``rows`` of a matrix of received datagrams; nothing of it is kept after the call."""
        headers = copy_headers(datagrams if len(rows) == len(datagrams) else datagrams[:, :HEADER_BYTES][rows])
        symbols = datagrams[:, HEADER_BYTES:-TAG_BYTES]
        for first, last in _stretches(headers):
            head = headers[first]
            if head["bundle"] == FILLER_BUNDLE:
                self.filler += last - first
                continue
            key = SlabKey(int(head["bundle"]), Kind(int(head["kind"])), int(head["flags"]), int(head["slab"]))
            columns, k = int(head["columns"]), int(head["k"])
            slab = self._slab(key, symbols.shape[1], columns, k)
            picked = rows[first:last]
            if isinstance(slab, Drop):
                self._drops[slab] += len(picked)
            elif not slab.has_shape(symbols.shape[1], columns, k):
                self._drops[Drop.SIGNED_GEOMETRY] += len(picked)
            else:
                self._place(slab, symbols, picked, headers["symbol"][first:last].astype(np.intp))

    def know(
        self,
        bundle: int,
        geometry: Geometry,
        sizes: dict[tuple[Kind, int], int],
        done: Iterable[int],
        parked: Iterable[SlabKey] = (),
    ) -> None:
        """The manifest of ``bundle`` is verified: its signed geometry and sizes rule.

        Slabs of data ``done`` are stored, and of slabs ``parked`` the caller has symbols.
        """
        known = self._known[bundle] = Known(geometry, sizes, parked=set(parked))
        key = SlabKey(bundle, Kind.DATA, 0, 0)
        known.done_map(key)[list(done)] = True
        for slab in [slab for key, slab in self._open.items() if key.bundle == bundle]:
            self._early.pop(slab.key, None)
            shape = known.shape(slab.key)
            is_done = shape is not None and bool(known.done_map(slab.key)[slab.key.number])
            if is_done or slab.key[1:3] == (Kind.OBJECT, ObjectType.MANIFEST):
                self._drops[Drop.REDUNDANT] += slab.count
                self._forget(slab)
            elif shape is None or (strange := slab.learn(shape, sent_rows(slab.key.kind, shape))) is None:
                self._drops[Drop.SIGNED_GEOMETRY] += slab.count
                self._forget(slab)
            else:
                self._drops[Drop.SIGNED_GEOMETRY] += strange
                self.handed_over.append(Begun(slab.key))
                self._maybe_complete(slab)

    def loaded(self, key: SlabKey, have: NDArray[np.bool_]) -> None:
        """The parked symbols of ``have`` are where :class:`Wanted` asked for them."""
        extra = self._loading[key].popleft()
        if not self._loading[key]:
            del self._loading[key]
        slab = self._open.get(key)
        if slab is not None and slab.is_loading:
            offset = slab.offset if extra is None else extra
            slab.loaded(self._symbols(offset, len(slab.symbols), slab.shape.symbol_bytes), have)
            self._maybe_complete(slab)
        if extra is not None:
            self._extents.free(extra)

    def park(self, bundle: int | None = None) -> None:
        """Hand over what is open, of one bundle or of all: nothing more of it is expected soon."""
        for slab in list(self._open.values()):
            if slab.key not in self._early and bundle in (None, slab.key.bundle) and not slab.is_loading:
                self.blocks_lost += slab.lost_blocks() if bundle is not None else 0
                self._park(slab)

    def redo(self, key: SlabKey) -> None:
        """A slab that was handed over was not what was signed: collect it again."""
        known = self._known.get(key.bundle)
        if known is not None and known.shape(key) is not None:  # of a manifest that is known nothing is collected
            known.done_map(key)[key.number] = False
            known.parked.discard(key)

    def finish(self, bundle: int, reason: Drop | None) -> None:
        """``bundle`` needs no more datagrams: free what is open, count them as ``reason`` from now on.

        Without a reason it may begin anew.
        """
        self._known.pop(bundle, None)
        for slab in [slab for key, slab in self._open.items() if key.bundle == bundle]:
            self._forget(slab)
        if reason is None:
            return
        self._finished[bundle] = reason
        if len(self._finished) > MAX_FINISHED:
            self._finished.popitem(last=False)

    def release(self, offset: int) -> None:
        """Give back the memory of a slab that was handed over."""
        self._extents.free(offset)

    def _place(self, slab: OpenSlab, symbols: Bytes2D, rows: Rows, numbers: Symbols) -> None:
        inside = slab.may_hold(numbers)
        if not inside.all():
            self._drops[Drop.SIGNED_GEOMETRY] += int(np.count_nonzero(~inside))
            rows, numbers = rows[inside], numbers[inside]
            if not len(rows):
                return
        contiguous = int(rows[-1]) - int(rows[0]) == len(rows) - 1  # rows ascend
        slab.place(symbols[rows[0] : rows[-1] + 1] if contiguous else symbols[rows], numbers, self._drops)
        self._open.move_to_end(slab.key)
        self._maybe_complete(slab)

    def _slab(self, key: SlabKey, symbol_bytes: int, columns: int, k: int) -> OpenSlab | Drop:
        """The slab that a datagram belongs to, opened at its first one, or why there is none.

        Of a bundle not yet known nobody has signed a shape: the newer claim rules, so that a lie ends with its teller.
        """
        slab = self._open.get(key)
        if slab is not None and key in self._early and not slab.has_shape(symbol_bytes, columns, k):
            self._give_up(key)
            slab = None
        return slab or self._begin(key, symbol_bytes, columns, k)

    def _begin(self, key: SlabKey, symbol_bytes: int, columns: int, k: int) -> OpenSlab | Drop:
        """Open a slab at the first datagram of it, or say why not."""
        if key.bundle in self._finished:
            return self._finished[key.bundle]
        known = self._known.get(key.bundle)
        if known is None:
            return self._begin_early(key, symbol_bytes, columns, k)
        if key.kind == Kind.OBJECT and key.flags == ObjectType.MANIFEST:
            return Drop.REDUNDANT
        signed = known.shape(key)
        if signed is None or signed.shape.symbol_bytes != symbol_bytes:
            return Drop.SIGNED_GEOMETRY
        if known.done_map(key)[key.number]:
            return Drop.REDUNDANT
        if len(known.done_map(key)) > MOST_BEGUN:
            self._park_older(key)
        slab = self._allocate(key, signed.shape, sent_rows(key.kind, signed), signed.length)
        if isinstance(slab, Drop):
            return slab
        if key in known.parked:
            known.parked.remove(key)
            self._want(slab)
        else:
            self.handed_over.append(Begun(key))
        return slab

    def _want(self, slab: OpenSlab) -> None:
        """Ask for the parked symbols of a slab, in memory of their own: what comes meanwhile is newer.

        Where memory is short they come to their places in the slab, over those that came meanwhile.
        """
        extra = self._extents.allocate(slab.symbols.size)
        slab.is_loading = True
        self._loading.setdefault(slab.key, deque()).append(extra)
        offset = slab.offset if extra is None else extra
        self.handed_over.append(Wanted(slab.key, offset, slab.shape.symbol_bytes, len(slab.symbols)))

    def _park_older(self, key: SlabKey) -> None:
        """Slabs come one after another: of what is still open when two more have begun, nothing is under way."""
        older = [slab for slab in self._open.values() if slab.key[:3] == key[:3] and not slab.is_loading]
        for slab in older[: max(0, len(older) - MOST_BEGUN + 1)]:
            self.blocks_lost += slab.lost_blocks()
            self._park(slab)

    def _begin_early(self, key: SlabKey, symbol_bytes: int, columns: int, k: int) -> OpenSlab | Drop:
        if columns > columns_for(symbol_bytes):
            return Drop.SIGNED_GEOMETRY
        length, rows = None, MAX_ROWS
        if key.kind == Kind.OBJECT:
            rows = 3 * k
            if k > OBJECT_MAX_K:
                return Drop.SIGNED_GEOMETRY
            if key.flags == ObjectType.MANIFEST:
                length = k * columns * symbol_bytes
                if key.number or length > MAX_MANIFEST_BYTES + columns * symbol_bytes:
                    return Drop.SIGNED_GEOMETRY
        size = rows * columns * symbol_bytes
        while self._early and (
            len(self._early) >= MAX_EARLY_SLABS or sum(self._early.values()) + size > len(self._arena) // 2
        ):
            self._give_up(next(iter(self._early)))
        slab = self._allocate(key, Geometry(symbol_bytes, columns, k, rows - k), rows, length)
        if isinstance(slab, OpenSlab):
            slab.is_early = True
            self._early[key] = size
        return slab

    def _allocate(self, key: SlabKey, shape: Geometry, rows: int, length: int | None) -> OpenSlab | Drop:
        size = rows * shape.row_bytes
        while (offset := self._extents.allocate(size)) is None:
            if not self._make_room():
                return Drop.MEMORY
        symbols = self._symbols(offset, rows * shape.columns, shape.symbol_bytes)
        slab = self._open[key] = OpenSlab(key, offset, symbols, shape, length)
        return slab

    def _symbols(self, offset: int, count: int, symbol_bytes: int) -> Bytes2D:
        """So many symbols of the arena as a matrix, one a row."""
        return self._arena[offset : offset + count * symbol_bytes].reshape(-1, symbol_bytes)

    def _make_room(self) -> bool:
        """Free memory: of strangers first, then by waiting for the caller, then of the slab touched longest ago."""
        if self._early:
            self._give_up(next(iter(self._early)))
            return True
        if self._wait():
            return True
        for slab in self._open.values():
            if not slab.is_loading:
                self._park(slab)
                return True
        return False

    def _park(self, slab: OpenSlab) -> None:
        """Hand over the symbols of a slab of a known bundle."""
        del self._open[slab.key]
        self._known[slab.key.bundle].parked.add(slab.key)
        self.slabs_parked += 1
        self.handed_over.append(Parked(slab.key, slab.offset, slab.shape.symbol_bytes, slab.have))

    def _give_up(self, key: SlabKey) -> None:
        slab = self._open[key]
        self.slabs_given_up += 1
        self.blocks_lost += slab.lost_blocks()
        self._forget(slab)

    def _forget(self, slab: OpenSlab) -> None:
        del self._open[slab.key]
        self._early.pop(slab.key, None)
        self._extents.free(slab.offset)

    def _maybe_complete(self, slab: OpenSlab) -> None:
        if not slab.is_decodable():
            return
        shape = slab.shape
        cube = slab.symbols.reshape(-1, shape.columns, shape.symbol_bytes)
        self.blocks_repaired += self._engine.restore(cube, slab.matrix, shape.k)
        del self._open[slab.key]
        self._early.pop(slab.key, None)
        assert slab.length is not None
        known = self._known.get(slab.key.bundle)
        if known is not None:
            known.done_map(slab.key)[slab.key.number] = True
        self.handed_over.append(Completed(slab.key, slab.offset, slab.length))


def sent_rows(kind: Kind, slab: Slab) -> int:
    """Rows of a slab that any pass sends: of the stream, fresh repair as long as there is any; of objects, one set."""
    return slab.shape.k + slab.shape.r * (1 if kind == Kind.OBJECT else repair_sets(slab.shape))


def _stretches(headers: NDArray[np.void]) -> Iterator[tuple[int, int]]:
    """(first, last + 1) of neighbouring datagrams that belong to one slab and claim one shape."""
    if not len(headers):
        return
    differs = np.zeros(len(headers) - 1, dtype=np.bool_)
    for name in ("bundle", "slab", "kind", "flags", "columns", "k"):
        column = headers[name]
        differs |= column[1:] != column[:-1]
    cuts = [0, *(np.flatnonzero(differs) + 1).tolist(), len(headers)]
    yield from itertools.pairwise(cuts)
