"""Puts authentic datagrams together into slabs of bytes, within a fixed budget of memory.

Symbols go to their place in the slab's matrix. A slab is complete when every column has k of its symbols; the missing
ones are then computed. No size is believed unless it is signed. While a bundle's manifest is not verified, its symbols
are only kept: at most half the budget and 4,096 slabs, and the oldest are given up first.

A slab of a known bundle that cannot be completed for now is spilled: its symbols go to the caller's disk, and come back
with its next datagram. Within one pass, the first symbol under a number is kept. A symbol that was spilled, or that
came before its manifest, is replaced by a later one, so that a wrong symbol does not outlast the pass that brought it.

The caller verifies complete slabs. It calls :meth:`Assembler.know` (the manifest is verified), :meth:`Assembler.loaded`
(spilled symbols are back) and :meth:`Assembler.finish` (the bundle was published or refused), and gives every extent
back with :meth:`Assembler.release`.
"""

import itertools
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diode.errors import Drop
from diode.protocol.bundles import Bundles
from diode.protocol.early_slabs import EarlySlabs, claimed
from diode.protocol.extents import Extents
from diode.protocol.fec import Engine
from diode.protocol.geometry import Geometry, sent_rows
from diode.protocol.handed_over import Begun, Completed, Grown, HandedOver, SlabKey, Spilled, Wanted
from diode.protocol.open_slab import OpenSlab
from diode.protocol.sizes import HEADER_BYTES, TAG_BYTES, Kind, ObjectType
from diode.protocol.wire import PADDING_BUNDLE, copy_headers

Bytes2D = NDArray[np.uint8]
Rows = NDArray[np.intp]
Symbols = NDArray[np.intp]

MOST_BEGUN: Final = 2  # slabs of one part still open when another begins: what is older waits for a later pass


@dataclass(slots=True)
class Figures:
    """Counters of an assembler since it was made."""

    blocks_repaired: int = 0  # restored by FEC
    blocks_lost: int = 0  # of slabs that were given up or spilled with too few symbols
    slabs_given_up: int = 0
    slabs_spilled: int = 0
    padding: int = 0  # datagrams


class Assembler:
    """Places authentic datagrams, decodes slabs, and puts them into ``handed_over``, which the caller empties.

    ``arena`` is the memory (uint8; its whole size is the budget). ``wait`` is called when memory is short and slabs are
    still with the caller. It waits for one and calls :meth:`release`; it returns False if none will come back.
    """

    def __init__(
        self, arena: NDArray[np.uint8], engine: Engine, drops: "Counter[Drop]", wait: Callable[[], bool]
    ) -> None:
        self.handed_over: deque[HandedOver] = deque()
        self.figures = Figures()
        self._arena = arena
        self._extents = Extents(len(arena))
        self._engine = engine
        self._drops = drops
        self._wait = wait
        self._bundles = Bundles()
        self._open: OrderedDict[SlabKey, OpenSlab] = OrderedDict()
        self._early = EarlySlabs(len(arena) // 2)  # of them, those of bundles that are not known
        self._loading: dict[SlabKey, deque[int | None]] = {}  # extents for spilled symbols; None: in their places

    @property
    def used_bytes(self) -> int:
        """Bytes of the budget that open and complete slabs use."""
        return self._extents.used_bytes

    def feed(self, datagrams: Bytes2D, rows: Rows) -> None:
        """Take the authentic ``rows`` of a matrix of received datagrams.

        No reference to the matrix is kept after the call.
        """
        headers = copy_headers(datagrams if len(rows) == len(datagrams) else datagrams[:, :HEADER_BYTES][rows])
        symbols = datagrams[:, HEADER_BYTES:-TAG_BYTES]
        for first, last in stretches(headers):
            head = headers[first]
            if head["bundle"] == PADDING_BUNDLE:
                self.figures.padding += last - first
                continue
            key, columns, k = key_of(head), int(head["columns"]), int(head["k"])
            slab = self.slab(key, symbols.shape[1], columns, k)
            picked = rows[first:last]
            if isinstance(slab, Drop):
                self._drops[slab] += len(picked)
            elif self.place(slab, symbols, picked, headers["symbol"][first:last].astype(np.intp)):
                self.touch(slab)

    def peek(self, key: SlabKey, symbol_bytes: int, columns: int, k: int) -> OpenSlab | Drop | None:
        """The slab into whose empty places anything may be written, or why its datagrams are dropped. Changes nothing.

        None: :meth:`slab` must decide, because it would open a slab, or nobody has signed its shape, or its spilled
        symbols are on their way, which come to places that are still empty.
        """
        slab = self._open.get(key)
        if slab is None:
            signed = self._bundles.may_begin(key, symbol_bytes)
            return signed if isinstance(signed, Drop) else None
        if slab.is_early or slab.is_loading:
            return None
        return slab if slab.has_shape(symbol_bytes, columns, k) else Drop.SIGNED_GEOMETRY

    def slab(self, key: SlabKey, symbol_bytes: int, columns: int, k: int) -> OpenSlab | Drop:
        """The slab that authentic datagrams of this shape belong to, opened at its first one, or why there is none.

        Of a bundle not yet known nobody has signed a shape: the newer claim rules, so that a lie ends with its teller.
        """
        slab = self._open.get(key)
        if slab is not None and slab.is_early and not slab.has_shape(symbol_bytes, columns, k):
            self._give_up(key)
            slab = None
        found = slab or self._begin(key, symbol_bytes, columns, k)
        is_strange = isinstance(found, OpenSlab) and not found.has_shape(symbol_bytes, columns, k)
        return Drop.SIGNED_GEOMETRY if is_strange else found

    def place(self, slab: OpenSlab, symbols: Bytes2D, rows: Rows, numbers: Symbols) -> bool:
        """Put the symbols of these ascending rows of a matrix to their places; False if the slab has none for any."""
        inside = slab.may_hold(numbers)
        if not inside.all():
            self._drops[Drop.SIGNED_GEOMETRY] += int(np.count_nonzero(~inside))
            rows, numbers = rows[inside], numbers[inside]
            if not len(rows):
                return False
        contiguous = int(rows[-1]) - int(rows[0]) == len(rows) - 1  # rows ascend
        slab.place(symbols[rows[0] : rows[-1] + 1] if contiguous else symbols[rows], numbers, self._drops)
        return True

    def touch(self, slab: OpenSlab) -> None:
        """Symbols of a slab were placed: it is the newest one now, and complete, if they were enough."""
        self._open.move_to_end(slab.key)
        self._maybe_complete(slab)

    def know(
        self,
        bundle: int,
        geometry: Geometry,
        sizes: dict[tuple[Kind, int], int],
        done: Iterable[int],
        spilled: Iterable[SlabKey] = (),
    ) -> None:
        """The manifest of ``bundle`` is verified: from now on its signed geometry and sizes count.

        Data slabs in ``done`` are stored already. Of slabs in ``spilled`` the caller has symbols on its disk.
        """
        known = self._bundles.know(bundle, geometry, sizes, done, spilled)
        for slab in [slab for key, slab in self._open.items() if key.bundle == bundle]:
            self._early.discard(slab.key)
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
        """The spilled symbols in ``have`` are now in the place that :class:`Wanted` asked for."""
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

    def spill(self, bundle: int | None = None) -> None:
        """Spill the open slabs of one bundle or of all, because nothing more of them is expected soon."""
        for slab in list(self._open.values()):
            if not slab.is_early and bundle in (None, slab.key.bundle) and not slab.is_loading:
                self.figures.blocks_lost += slab.lost_blocks() if bundle is not None else 0
                self._spill(slab)

    def redo(self, key: SlabKey) -> None:
        """A slab that was handed over did not match its signed digest: collect it again."""
        known = self._bundles.known.get(key.bundle)
        if known is not None and known.shape(key) is not None:  # of a manifest that is known nothing is collected
            known.done_map(key)[key.number] = False
            known.spilled.discard(key)

    def finish(self, bundle: int, reason: Drop | None) -> None:
        """``bundle`` needs no more datagrams: free its open slabs, and from now on drop its datagrams as ``reason``.

        Without a reason the bundle may begin again.
        """
        self._bundles.finish(bundle, reason)
        for slab in [slab for key, slab in self._open.items() if key.bundle == bundle]:
            self._forget(slab)

    def note_growth(self, step_bytes: int) -> None:
        """Hand over the beginnings of open slabs of data, each when it has grown by ``step_bytes``."""
        for slab in self._open.values():
            if slab.key.kind == Kind.DATA and (length := slab.maybe_grown(step_bytes)) is not None:
                self.handed_over.append(Grown(slab.key, slab.offset, length))

    def release(self, offset: int) -> None:
        """Give back the memory of a slab that was handed over."""
        self._extents.free(offset)

    def _begin(self, key: SlabKey, symbol_bytes: int, columns: int, k: int) -> OpenSlab | Drop:
        """Open a slab at the first datagram of it, or say why not."""
        signed = self._bundles.may_begin(key, symbol_bytes)
        if signed is None:
            return self._begin_early(key, symbol_bytes, columns, k)
        if isinstance(signed, Drop):
            return signed
        known = self._bundles.known[key.bundle]
        if len(known.done_map(key)) > MOST_BEGUN:
            self._spill_older(key)
        slab = self._allocate(key, signed.shape, sent_rows(key.kind, signed), signed.length)
        if isinstance(slab, Drop):
            return slab
        if key in known.spilled:
            known.spilled.remove(key)
            self._want(slab)
        else:
            self.handed_over.append(Begun(key))
        return slab

    def _want(self, slab: OpenSlab) -> None:
        """Ask for the spilled symbols of a slab, in memory of their own: what comes meanwhile is newer.

        Where memory is short they come to their places in the slab, over those that came meanwhile.
        """
        extra = self._extents.allocate(slab.symbols.size)
        slab.is_loading = True
        self._loading.setdefault(slab.key, deque()).append(extra)
        offset = slab.offset if extra is None else extra
        self.handed_over.append(Wanted(slab.key, offset, slab.shape.symbol_bytes, len(slab.symbols)))

    def _spill_older(self, key: SlabKey) -> None:
        """Spill slabs that are still open when two more have begun.

        Slabs are sent in order, so nothing of them is under way.
        """
        older = [slab for slab in self._open.values() if slab.key[:3] == key[:3] and not slab.is_loading]
        for slab in older[: max(0, len(older) - MOST_BEGUN + 1)]:
            self.figures.blocks_lost += slab.lost_blocks()
            self._spill(slab)

    def _begin_early(self, key: SlabKey, symbol_bytes: int, columns: int, k: int) -> OpenSlab | Drop:
        """Open a slab whose shape is not signed, within the limits for such slabs. The oldest are given up first."""
        claim = claimed(key, symbol_bytes, columns, k)
        if claim is None:
            return Drop.SIGNED_GEOMETRY
        while self._early.is_full(claim.size_bytes) and (oldest := self._early.oldest()) is not None:
            self._give_up(oldest)
        slab = self._allocate(key, claim.shape, claim.shape.rows, claim.length)
        if isinstance(slab, OpenSlab):
            slab.is_early = True
            self._early.add(key, claim.size_bytes)
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
        """A stretch of the arena as a matrix with one symbol in each row."""
        return self._arena[offset : offset + count * symbol_bytes].reshape(-1, symbol_bytes)

    def _make_room(self) -> bool:
        """Free memory: first of early slabs, then by waiting for the caller, then of the slab touched longest ago."""
        if (oldest := self._early.oldest()) is not None:
            self._give_up(oldest)
            return True
        if self._wait():
            return True
        for slab in self._open.values():
            if not slab.is_loading:
                self._spill(slab)
                return True
        return False

    def _spill(self, slab: OpenSlab) -> None:
        """Hand over the symbols of a slab of a known bundle."""
        del self._open[slab.key]
        self._bundles.known[slab.key.bundle].spilled.add(slab.key)
        self.figures.slabs_spilled += 1
        self.handed_over.append(Spilled(slab.key, slab.offset, slab.shape.symbol_bytes, slab.have))

    def _give_up(self, key: SlabKey) -> None:
        slab = self._open[key]
        self.figures.slabs_given_up += 1
        self.figures.blocks_lost += slab.lost_blocks()
        self._forget(slab)

    def _forget(self, slab: OpenSlab) -> None:
        del self._open[slab.key]
        self._early.discard(slab.key)
        self._extents.free(slab.offset)

    def _maybe_complete(self, slab: OpenSlab) -> None:
        if not slab.is_decodable():
            return
        shape = slab.shape
        cube = slab.symbols.reshape(-1, shape.columns, shape.symbol_bytes)
        self.figures.blocks_repaired += self._engine.restore(cube, slab.matrix, shape.k)
        del self._open[slab.key]
        self._early.discard(slab.key)
        assert slab.length is not None
        known = self._bundles.known.get(slab.key.bundle)
        if known is not None:
            known.done_map(slab.key)[slab.key.number] = True
        self.handed_over.append(Completed(slab.key, slab.offset, slab.length))


def key_of(head: np.void) -> SlabKey:
    """The slab that a screened header names."""
    return SlabKey(int(head["bundle"]), Kind(int(head["kind"])), int(head["flags"]), int(head["slab"]))


def stretches(headers: NDArray[np.void]) -> Iterator[tuple[int, int]]:
    """(first, last + 1) of neighbouring datagrams that belong to one slab and claim one shape."""
    if not len(headers):
        return
    differs = np.zeros(len(headers) - 1, dtype=np.bool_)
    for name in ("bundle", "slab", "kind", "flags", "columns", "k"):
        column = headers[name]
        differs |= column[1:] != column[:-1]
    cuts = [0, *(np.flatnonzero(differs) + 1).tolist(), len(headers)]
    yield from itertools.pairwise(cuts)
