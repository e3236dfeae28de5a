"""What the assembler hands over to its caller, who owns the disk: whole slabs, and symbols to spill and bring back."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diode.protocol.wire import Kind


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


class Spilled(NamedTuple):
    """The symbols so far of an incomplete slab, at ``offset`` of the arena, one after another, those of ``have`` valid.

    The receiver of this owns them until release, and keeps them until :class:`Wanted`.
    """

    key: SlabKey
    offset: int
    symbol_bytes: int
    have: NDArray[np.bool_]


class Wanted(NamedTuple):
    """A spilled slab is going on: its symbols shall be put at ``offset`` of the arena, then ``Assembler.loaded``."""

    key: SlabKey
    offset: int
    symbol_bytes: int
    symbols: int


class Begun(NamedTuple):
    """The first symbol of a slab arrived: what is lost should we be killed."""

    key: SlabKey


HandedOver = Completed | Spilled | Wanted | Begun
