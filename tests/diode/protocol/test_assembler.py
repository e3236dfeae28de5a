"""What the assembler makes of authentic lies; whole transfers are in tests/e2e/test_memory_link.py."""

from collections import Counter

import numpy as np

from diode.errors import Drop
from diode.protocol.assembler import Assembler
from diode.protocol.auth import Session
from diode.protocol.encoder import Part, SlabEncoder, Slot, fill_from
from diode.protocol.fec import choose_engine
from diode.protocol.geometry import Slab, object_geometry, slab_at
from diode.protocol.handed_over import Completed, SlabKey
from diode.protocol.wire import Kind, ObjectType, headers_of

FULL = object_geometry(448)
CONTENT = bytes(range(256)) * 7  # four symbols


def datagrams(slab: Slab) -> np.ndarray:
    """A manifest's, without tags."""
    slot = Slot(memoryview(bytearray(512 * FULL.rows * FULL.columns)), FULL)
    encoder = SlabEncoder(choose_engine(), Session(None, 1, "none"), 0)
    part = Part(99, Kind.OBJECT, ObjectType.MANIFEST)
    return np.concatenate([slot.datagrams[a : a + n] for a, n in encoder.encode(slot, slab, part, fill_from(CONTENT))])


def test_a_wrong_shape_does_not_outlast_who_claims_it() -> None:
    """One datagram that lies about a manifest's shape must not keep the true ones out for good."""
    drops: Counter[Drop] = Counter()
    assembler = Assembler(np.zeros(64 << 20, np.uint8), choose_engine(), drops, lambda: False)
    true = datagrams(slab_at(FULL, len(CONTENT), 0, is_object=True))
    lie = true[:1].copy()
    headers_of(lie)["k"] = 9
    assembler.feed(lie, np.arange(1))
    assembler.feed(true, np.arange(len(true)))
    done = assembler.handed_over.popleft()
    assert isinstance(done, Completed)
    assert CONTENT == bytes(assembler._arena[done.offset : done.offset + done.length])
    assert (1, 0) == (assembler.figures.slabs_given_up, drops[Drop.SIGNED_GEOMETRY])


def test_a_manifest_that_is_known_is_not_collected_again() -> None:
    """The disk failed after its bundle was said to be known: that it shall come again ends nobody."""
    assembler = Assembler(np.zeros(8 << 20, np.uint8), choose_engine(), Counter(), lambda: False)
    assembler.know(99, FULL, {(Kind.DATA, 0): 10, (Kind.OBJECT, 1): 10, (Kind.OBJECT, 2): 32}, [0])
    assembler.redo(SlabKey(99, Kind.OBJECT, int(ObjectType.MANIFEST), 0))
    assembler.redo(SlabKey(99, Kind.DATA, 0, 7))
    assert assembler._bundles.known[99].done_map(SlabKey(99, Kind.DATA, 0, 0)).all()
