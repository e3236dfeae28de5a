"""Collects the symbols of one incomplete slab, resolves conflicts between them, and tells when there are enough.

Within one pass, the first symbol under a number is kept. A symbol that was spilled, or that came before its manifest,
is replaced by a later one, so that a wrong symbol does not outlast the pass that brought it.
"""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from diode.errors import Drop
from diode.protocol.geometry import Geometry, Slab
from diode.protocol.handed_over import SlabKey

Bytes2D = NDArray[np.uint8]
Symbols = NDArray[np.intp]


class OpenSlab:
    """An incomplete slab: a matrix in the arena, and a mask of the symbols that are there."""

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
        self.is_loading = False  # its spilled symbols are on their way
        self._whole = 0  # symbols from its beginning that are settled, as far as was counted
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
        """Take the signed shape of a slab that began before its manifest was known.

        None when the two contradict each other.

        Returns how many of its symbols the signed shape does not have: those in rows from ``rows`` on, and in the zero
        tail. They are given up.
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
        """Which of these symbols can be sent at all. Those of the zero tail count as present, and never come."""
        inside = numbers < len(self.symbols)
        if self.length is None:
            return inside
        source, end = -(-self.length // self.shape.symbol_bytes), self.shape.k * self.shape.columns
        is_tail: NDArray[np.bool_] = (numbers >= source) & (numbers < end)
        return inside & ~is_tail

    def loaded(self, symbols: Bytes2D, have: NDArray[np.bool_]) -> None:
        """Take the spilled symbols in ``have``, except those that arrived again meanwhile."""
        lacking = have & ~self.have
        self.symbols[lacking] = symbols[lacking]
        self.have |= lacking
        self.count = int(np.count_nonzero(self.have))
        self.is_loading = False

    def took(self, numbers: Symbols) -> None:
        """Count symbols that somebody else put to places which were empty, and noted in ``have``."""
        self.settled[numbers] = not self.is_early
        self.count += len(numbers)

    def place(self, rows: Bytes2D, numbers: Symbols, drops: "Counter[Drop]") -> None:
        """Copy symbols ((n, S) view of received datagrams, by symbol number) to their places.

        The first symbol is kept, unless it was spilled or came before the manifest.
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

    def maybe_grown(self, step_bytes: int) -> int | None:
        """Bytes from its beginning that are final, if they are ``step_bytes`` more than this was last told of."""
        if self.length is None or self.is_early or self.is_loading:
            return None
        source = -(-self.length // self.shape.symbol_bytes)
        lacking = np.flatnonzero(~self.settled[self._whole : source])
        whole = self._whole + int(lacking[0]) if len(lacking) else source
        if (whole - self._whole) * self.shape.symbol_bytes < step_bytes:
            return None
        self._whole = whole
        return min(whole * self.shape.symbol_bytes, self.length)

    @property
    def matrix(self) -> NDArray[np.bool_]:
        """The mask as an array of (rows, D)."""
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
        """How many blocks cannot be restored from the symbols that are there."""
        return int(np.count_nonzero(np.count_nonzero(self.matrix, axis=0) < self.shape.k))
