"""Compares how a compiled kernel takes runs of datagrams with the readable gate and assembler, before it is used.

Each way receives the same slab in two runs: in any order, with losses, repeats and damaged datagrams among them.
"""

from collections import Counter
from typing import Any, Final

import numpy as np

from diode.errors import Drop
from diode.protocol.assembler import Assembler
from diode.protocol.auth import Bytes2D, DatagramViews, Kernel, Session
from diode.protocol.encoder import Part, SlabEncoder, Slot, fill_from
from diode.protocol.gate import Gate
from diode.protocol.geometry import Geometry, slab_at
from diode.protocol.handed_over import Completed
from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.run_taker import RunTaker, can_take
from diode.protocol.sessions import Admitted
from diode.protocol.sizes import MAX_ROWS, Kind, datagram_bytes, symbol_bytes_for
from diode.protocol.zfec_code import Zfec

_CASES: Final[tuple[tuple[Mode, int], ...]] = (("gmac", 1500), ("none", 576))  # and MTU
_BUNDLE: Final = 1
_LOST: Final = 5  # datagrams; each column keeps enough of its rows
_DAMAGED: Final = 9


def prove_taking(kernel: Kernel, seed: int) -> None:
    """Take a slab both ways, with tags and without. Raises OSError on a difference.

    It takes some milliseconds. A kernel that cannot take proves nothing, and is not used for it either.
    """
    rng = np.random.default_rng(seed)
    for mode, mtu in _CASES:
        if can_take(kernel, mode):
            _prove(kernel, mode, symbol_bytes_for(mtu), rng)


def _prove(kernel: Kernel, mode: Mode, symbol_bytes: int, rng: np.random.Generator) -> None:
    full = Geometry(symbol_bytes, 4, 8, 6)
    key, session = LinkKey.of(rng.bytes(32)), int(rng.integers(1 << 63))
    content = rng.bytes(full.source_bytes)
    rows = _sent(content, full, Session(key, session, mode), key.key_id)
    kept, again = rng.permutation(len(rows))[_LOST:], rng.integers(0, len(rows), _DAMAGED)
    damaged = rows[again].copy()
    damaged[np.arange(_DAMAGED), -1] ^= np.uint8(1)
    runs = np.concatenate([damaged, rows[kept[: len(kept) // 2]]]), np.concatenate([rows[again], rows[kept], damaged])
    found = [_received(runs, full, key, Admitted(key.key_id, session, 0), mode, one) for one in (kernel, None)]
    if found[0] != found[1] or found[1][0] != content:
        raise OSError(f"the core takes datagrams of {rows.shape[1]} bytes otherwise: it will not be used")


def _sent(content: bytes, full: Geometry, session: Session, key_id: int) -> Bytes2D:
    slot = Slot(memoryview(bytearray(full.rows * full.columns * datagram_bytes(full.symbol_bytes))), full)
    slab = slab_at(full, len(content), 0)
    SlabEncoder(Zfec(), session, key_id).encode(slot, slab, Part(_BUNDLE, Kind.DATA), fill_from(content))
    return slot.datagrams


def _received(
    runs: tuple[Bytes2D, ...], full: Geometry, key: LinkKey, admitted: Admitted, mode: Mode, kernel: Kernel | None
) -> tuple[Any, ...]:
    """The bytes of the slab that came together, and what was counted."""
    drops: Counter[Drop] = Counter()
    arena = np.zeros(2 * MAX_ROWS * full.row_bytes, dtype=np.uint8)  # of which little is touched
    gate = Gate([key], mode, drops, None, [admitted], kernel)
    assembler = Assembler(arena, Zfec(), drops, lambda: False)
    assembler.know(_BUNDLE, full, {(Kind.DATA, 0): full.source_bytes}, [])
    for run in runs:
        if kernel is not None:
            RunTaker(gate, assembler, drops).take(run, 0.0)
            continue
        mine = run.copy()
        rows = gate.admit(mine, DatagramViews(memoryview(mine.reshape(-1)), mine.shape[1], len(mine)), 0.0)
        assembler.feed(mine, rows)
    slabs = [item for item in assembler.handed_over if isinstance(item, Completed)]
    content = b"".join(arena[slab.offset : slab.offset + slab.length].tobytes() for slab in slabs)
    return content, +drops, gate.received, gate.expected, assembler.figures, len(assembler.handed_over)
