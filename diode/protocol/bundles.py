"""Keeps which bundles are known by a verified manifest, which are finished, and which of their slabs may begin."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diode.errors import Drop
from diode.protocol.geometry import Geometry, Slab, object_geometry, slab_at, slab_count
from diode.protocol.handed_over import SlabKey
from diode.protocol.sizes import Kind, ObjectType

MAX_FINISHED: Final = 4096  # bundles remembered as published or refused


@dataclass(slots=True)
class KnownBundle:
    """What the verified manifest says about a bundle, and which of its slabs are done or spilled."""

    geometry: Geometry
    sizes: dict[tuple[Kind, int], int]
    done: dict[tuple[Kind, int], NDArray[np.bool_]] = field(default_factory=dict)
    spilled: set[SlabKey] = field(default_factory=set)

    def shape(self, key: SlabKey) -> Slab | None:
        """The signed shape of a slab, or None when there is no such slab."""
        size = self.sizes.get((key.kind, key.flags), 0)
        is_object = key.kind == Kind.OBJECT
        full = object_geometry(self.geometry.symbol_bytes) if is_object else self.geometry
        if key.number >= slab_count(full, size):
            return None
        return slab_at(full, size, key.number, is_object=is_object)

    def done_map(self, key: SlabKey) -> NDArray[np.bool_]:
        """For each slab of the part that ``key`` belongs to, whether it is done."""
        part = (key.kind, key.flags)
        if part not in self.done:
            full = object_geometry(self.geometry.symbol_bytes) if key.kind == Kind.OBJECT else self.geometry
            self.done[part] = np.zeros(slab_count(full, self.sizes[part]), dtype=np.bool_)
        return self.done[part]


class Bundles:
    """The bundles that a receiver has met: ``known`` by number, and ``finished`` with why their datagrams are dropped.

    The caller finishes bundles that it no longer wants. The oldest finished ones are forgotten.
    """

    def __init__(self) -> None:
        self.known: dict[int, KnownBundle] = {}
        self.finished: OrderedDict[int, Drop] = OrderedDict()

    def know(
        self,
        bundle: int,
        geometry: Geometry,
        sizes: dict[tuple[Kind, int], int],
        done: Iterable[int],
        spilled: Iterable[SlabKey],
    ) -> KnownBundle:
        """Store what the verified manifest of ``bundle`` says. Data slabs in ``done`` are stored already."""
        known = self.known[bundle] = KnownBundle(geometry, sizes, spilled=set(spilled))
        known.done_map(SlabKey(bundle, Kind.DATA, 0, 0))[list(done)] = True
        return known

    def finish(self, bundle: int, reason: Drop | None) -> None:
        """From now on drop datagrams of ``bundle`` for this reason. Without a reason it may begin again."""
        self.known.pop(bundle, None)
        if reason is None:
            return
        self.finished[bundle] = reason
        if len(self.finished) > MAX_FINISHED:
            self.finished.popitem(last=False)

    def may_begin(self, key: SlabKey, symbol_bytes: int) -> Slab | Drop | None:
        """The signed shape of a slab that is needed, or why it is not. None: its manifest is not verified yet."""
        if key.bundle in self.finished:
            return self.finished[key.bundle]
        known = self.known.get(key.bundle)
        if known is None:
            return None
        if key.kind == Kind.OBJECT and key.flags == ObjectType.MANIFEST:
            return Drop.REDUNDANT
        signed = known.shape(key)
        if signed is None or signed.shape.symbol_bytes != symbol_bytes:
            return Drop.SIGNED_GEOMETRY
        return Drop.REDUNDANT if known.done_map(key)[key.number] else signed
