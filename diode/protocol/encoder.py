"""Turns the bytes of slabs into sealed datagrams in sending order.

A slot is a matrix of datagrams: ``(k + r) x D`` rows of header, symbol, tag. The caller writes the slab's bytes into
the symbols; the encoder adds repair, headers and tags. Repair is computed over whole rows, including headers and tags.
That part of the result is meaningless, and the real headers and tags overwrite it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diode.protocol.auth import DatagramViews, Session
from diode.protocol.fec import Engine
from diode.protocol.geometry import Geometry, Slab
from diode.protocol.sizes import HEADER_BYTES, OVERHEAD_BYTES, TAG_BYTES, Kind, datagram_bytes
from diode.protocol.wire import PADDING_COUNTER, headers_of, one_header, pack_lone_headers

Bytes2D = NDArray[np.uint8]

MAX_PLACES: Final = 1024  # IOV_MAX
COUNTERS_PER_SESSION: Final = 1 << 40  # then a worker restarts with a new session: far below AES-GCM's own limit


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a bundle that a slab belongs to, as its headers name it."""

    bundle: int
    kind: Kind
    flags: int = 0


class Slot:
    """Memory of the caller for the datagrams of one slab, and the views that sealing needs, which are made once."""

    def __init__(self, buffer: memoryview, full: Geometry) -> None:
        self.size = datagram_bytes(full.symbol_bytes)
        self.capacity = len(buffer) // self.size
        assert self.capacity >= full.rows * full.columns
        self.datagrams: Bytes2D = np.frombuffer(buffer, np.uint8, self.capacity * self.size).reshape(-1, self.size)
        self.views = DatagramViews(buffer, self.size, self.capacity)
        starts = range(HEADER_BYTES, self.capacity * self.size, self.size)
        self._places = [buffer[at : at + full.symbol_bytes] for at in starts]

    def places(self, offset: int, length: int) -> list[memoryview]:
        """Where bytes ``offset .. offset + length`` of the slab belong, in order.

        At most ``MAX_PLACES`` views are returned.

        A file is read straight into them (``preadv``), so that its bytes are touched once before they are coded.
        """
        size = self.size - OVERHEAD_BYTES
        first, skip = divmod(offset, size)
        last, rest = divmod(offset + length, size)
        places = self._places[first : min(last + (rest > 0), first + MAX_PLACES)]
        if rest and first + len(places) == last + 1:
            places[-1] = places[-1][:rest]
        if skip and places:
            places[0] = places[0][skip:]
        return places

    @property
    def symbols(self) -> Bytes2D:
        """The symbol of each datagram, as a strided view."""
        return self.datagrams[:, HEADER_BYTES:-TAG_BYTES]


Fill = Callable[[Slot], None]


class SlabEncoder:
    """Turns slabs into datagrams under one session, whose counter no other encoder uses."""

    def __init__(self, engine: Engine, session: Session, key_id: int) -> None:
        self.counter = 0
        self._engine = engine
        self._session = session
        self._key_id = key_id

    def encode(
        self, slot: Slot, slab: Slab, part: Part, fill: Fill, *, repair_offset: int = 0
    ) -> Sequence[tuple[int, int]]:
        """Fill ``slot`` with the datagrams of ``slab``; returns runs (first datagram, count) in sending order.

        ``fill`` writes the slab's bytes into the symbols of the slot that it is given; the rest of the last symbol is
        set to zero. ``repair_offset`` skips repair rows that an earlier pass has sent.
        """
        shape, symbols = slab.shape, slab.source_symbols
        k_rows, r_rows = shape.k * shape.columns, shape.r * shape.columns
        tail = slot.symbols[symbols - 1 : k_rows]
        tail[:] = 0
        fill(slot)
        self._add_repair(slot, shape, repair_offset)
        self._seal_source(slot, slab, part, 0, symbols)
        self._seal_repair(slot, slab, part, repair_offset)
        return [(0, symbols), (k_rows, r_rows)] if symbols < k_rows else [(0, k_rows + r_rows)]

    def encode_as_read(
        self, slot: Slot, slab: Slab, part: Part, reads: Iterable[int], *, repair_offset: int = 0
    ) -> Iterator[tuple[int, int]]:
        """As :meth:`encode`, but yields each run when it may leave: source symbols as they are read, repair at last.

        ``reads`` writes the slab's bytes into the symbols of ``slot``, in order. It yields how many symbols are whole
        so far, each time some are, and never writes those again. In ``aead`` mode all is read first: sealing encrypts
        in place, and repair is of what is not encrypted.
        """
        shape, sealed = slab.shape, 0
        slot.symbols[slab.source_symbols - 1 : shape.k * shape.columns] = 0
        for there in reads:
            if self._session.mode != "aead":
                yield self._seal_source(slot, slab, part, sealed, there)
                sealed = there
        self._add_repair(slot, shape, repair_offset)
        if sealed < slab.source_symbols:
            yield self._seal_source(slot, slab, part, sealed, slab.source_symbols)
        yield self._seal_repair(slot, slab, part, repair_offset)

    def encode_row(
        self, slot: Slot, slab: Slab, part: Part, row: int, fill: Fill, *, repair_offset: int = 0
    ) -> tuple[int, int]:
        """Fill ``slot`` with the datagrams of one row of ``slab``; returns them as (first datagram, count).

        Rows count over source and repair. ``fill`` writes at least that source row, and for a row of repair the whole
        slab, as for :meth:`encode`.
        """
        shape, symbols = slab.shape, slab.source_symbols
        columns, k_rows = shape.columns, shape.k * shape.columns
        slot.symbols[symbols - 1 : k_rows] = 0
        fill(slot)
        if row < shape.k:
            first, number, count = row * columns, row * columns, min(columns, symbols - row * columns)
        else:
            first, number, count = k_rows, (row + repair_offset) * columns, columns
            rows = slot.datagrams[: k_rows + columns].reshape(shape.k + 1, columns * slot.size)
            self._engine.encode(rows[: shape.k], rows[shape.k :], row - shape.k + repair_offset)
        self._seal(slot, first, number, count, slab, part)
        return first, count

    def padding(self, slot: Slot, count: int) -> None:
        """Seal ``count`` datagrams of padding into ``slot``. They may be sent any number of times."""
        slot.symbols[:count] = 0
        pack_lone_headers(
            headers_of(slot.datagrams[:count]),
            kind=Kind.DATA,
            key_id=self._key_id,
            session=self._session.session,
            counter=PADDING_COUNTER,
            symbol_bytes=slot.symbols.shape[1],
        )
        self._session.seal(slot.datagrams, slot.views, 0, count)

    def _add_repair(self, slot: Slot, shape: Geometry, repair_offset: int) -> None:
        """Compute all rows of repair from the source rows in ``slot``."""
        rows = slot.datagrams[: shape.rows * shape.columns].reshape(shape.rows, shape.columns * slot.size)
        self._engine.encode(rows[: shape.k], rows[shape.k :], repair_offset)

    def _seal_source(self, slot: Slot, slab: Slab, part: Part, first: int, end: int) -> tuple[int, int]:
        self._seal(slot, first, first, end - first, slab, part)
        return first, end - first

    def _seal_repair(self, slot: Slot, slab: Slab, part: Part, repair_offset: int) -> tuple[int, int]:
        shape = slab.shape
        first, count = shape.k * shape.columns, shape.r * shape.columns
        number = first + repair_offset * shape.columns
        self._seal(slot, first, number, count, slab, part)
        return first, count

    def _seal(self, slot: Slot, first: int, symbol: int, count: int, slab: Slab, part: Part) -> None:
        """Write headers and tags of ``count`` datagrams from ``first`` on. Symbols are numbered from ``symbol`` on."""
        header = one_header(
            kind=part.kind,
            flags=part.flags,
            key_id=self._key_id,
            session=self._session.session,
            bundle=part.bundle,
            slab=slab.number,
            symbol_bytes=slab.shape.symbol_bytes,
            columns=slab.shape.columns,
            k=slab.shape.k,
        )
        self._session.seal_numbered(slot.datagrams, slot.views, first, count, header, self.counter, symbol)
        self.counter += count
        assert self.counter < COUNTERS_PER_SESSION


def fill_from(data: "bytes | memoryview | NDArray[np.uint8]") -> Fill:
    """A ``fill`` for :meth:`SlabEncoder.encode` that takes the slab's bytes from memory."""

    def fill(slot: Slot) -> None:
        source, symbols = np.frombuffer(data, np.uint8), slot.symbols
        size = symbols.shape[1]
        whole = len(source) // size
        symbols[:whole] = source[: whole * size].reshape(-1, size)
        if whole * size < len(source):
            symbols[whole, : len(source) - whole * size] = source[whole * size :]

    return fill
