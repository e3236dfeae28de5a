"""Who calls the assembler: it keeps what is complete, and a disk in memory from which spilled symbols come back."""

from collections import Counter
from typing import Any

import numpy as np

from diode.errors import Drop
from diode.protocol.assembler import Assembler
from diode.protocol.auth import Session
from diode.protocol.encoder import Part, SlabEncoder, Slot, fill_from
from diode.protocol.fec import choose_engine
from diode.protocol.geometry import Geometry, object_geometry, slab_at
from diode.protocol.handed_over import Begun, Completed, HandedOver, SlabKey, Spilled, Wanted
from diode.protocol.sizes import Kind, datagram_bytes

ENGINE = choose_engine()


class Caller:
    """An assembler over ``arena_bytes``, and what became of all that it handed over."""

    def __init__(self, arena_bytes: int) -> None:
        self.drops: Counter[Drop] = Counter()
        self.completed: dict[SlabKey, bytes] = {}
        self.spilled: dict[SlabKey, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = {}
        self.wanted: list[SlabKey] = []
        self.begun: list[SlabKey] = []
        self.arena = np.zeros(arena_bytes, np.uint8)
        self.assembler = Assembler(self.arena, ENGINE, self.drops, self.answer_one)

    def feed(self, datagrams: np.ndarray[Any, Any]) -> dict[Drop, int]:
        """Hand in authentic datagrams and answer at once; why those were dropped that were."""
        before = self.drops.copy()
        self.assembler.feed(datagrams, np.arange(len(datagrams)))
        self.answer()
        return {reason: count - before[reason] for reason, count in self.drops.items() if count != before[reason]}

    def answer(self) -> None:
        """Do all that was handed over."""
        while self.answer_one():
            pass

    def answer_one(self) -> bool:
        """Do the first of it; False: there is nothing."""
        if not self.assembler.handed_over:
            return False
        self._take(self.assembler.handed_over.popleft())
        return True

    def _take(self, item: HandedOver) -> None:
        match item:
            case Completed(key, offset, length):
                self.completed[key] = self.arena[offset : offset + length].tobytes()
                self.assembler.release(offset)
            case Spilled(key, offset, symbol_bytes, have):
                symbols = self.arena[offset : offset + len(have) * symbol_bytes].reshape(-1, symbol_bytes)
                self.spilled[key] = symbols.copy(), have.copy()
                self.assembler.release(offset)
            case Wanted(key, offset, symbol_bytes, count):
                self.wanted.append(key)
                symbols, have = self.spilled.pop(key)
                place = self.arena[offset : offset + count * symbol_bytes].reshape(-1, symbol_bytes)
                place[have] = symbols[have]
                self.assembler.loaded(key, have)
            case Begun(key):
                self.begun.append(key)


def sent(
    full: Geometry, part: Part, content: bytes, number: int = 0, *, repair_offset: int = 0
) -> np.ndarray[Any, Any]:
    """All datagrams of one slab of ``content``, in sending order and without tags."""
    is_object = part.kind == Kind.OBJECT
    full = object_geometry(full.symbol_bytes) if is_object else full
    slab = slab_at(full, len(content), number, is_object=is_object)
    size = datagram_bytes(full.symbol_bytes)
    slot = Slot(memoryview(bytearray(size * full.rows * full.columns)), full)
    encoder = SlabEncoder(ENGINE, Session(None, 1, "none"), 0)
    fill = fill_from(content[slab.offset : slab.offset + slab.length])
    runs = encoder.encode(slot, slab, part, fill, repair_offset=repair_offset)
    return np.concatenate([slot.datagrams[first : first + count] for first, count in runs])
