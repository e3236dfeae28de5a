"""Messages from the assembler to its caller, who owns the disk: whole slabs, and symbols to spill or to load."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diode.protocol.sizes import Kind


class SlabKey(NamedTuple):
    """Identifies a slab: by bundle, part of the bundle (``kind``, ``flags``), and number."""

    bundle: int
    kind: Kind
    flags: int
    number: int


class Completed(NamedTuple):
    """Slab ``key`` is complete: ``length`` bytes at ``offset`` of the arena.

    The caller owns them until it releases them.
    """

    key: SlabKey
    offset: int
    length: int


class Spilled(NamedTuple):
    """The symbols so far of an incomplete slab, one after another at ``offset`` of the arena; ``have``: which count.

    The caller owns this memory until it releases it, and keeps the symbols until :class:`Wanted`.
    """

    key: SlabKey
    offset: int
    symbol_bytes: int
    have: NDArray[np.bool_]


class Wanted(NamedTuple):
    """A spilled slab goes on: write its symbols to ``offset`` of the arena, then call ``Assembler.loaded``."""

    key: SlabKey
    offset: int
    symbol_bytes: int
    symbols: int


class Begun(NamedTuple):
    """The first symbol of a slab arrived. If the process is killed, the symbols of such slabs are lost."""

    key: SlabKey


class Grown(NamedTuple):
    """The first ``length`` bytes of an open slab lie at ``offset`` of the arena, and will not change any more.

    The caller may copy them while the rest arrives. The memory stays the assembler's.
    """

    key: SlabKey
    offset: int
    length: int


HandedOver = Completed | Spilled | Wanted | Begun | Grown
