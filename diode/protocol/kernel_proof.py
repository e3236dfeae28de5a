"""Compares a compiled kernel for tags with the readable way, before any datagram is entrusted to it."""

from typing import Final

import numpy as np

from diode.protocol.auth import Bytes2D, DatagramViews, Kernel, Session
from diode.protocol.link_key import LinkKey, Mode
from diode.protocol.sizes import (
    HEADER_BYTES,
    OVERHEAD_BYTES,
    TAG_BYTES,
    datagram_bytes,
    symbol_bytes_for,
)

_ODD: Final = (OVERHEAD_BYTES, OVERHEAD_BYTES + 31)  # strangers choose the sizes that are judged
_SIZES: Final = (*_ODD, *(datagram_bytes(symbol_bytes_for(mtu)) for mtu in (576, 1500, 9000)))
_ROWS: Final = 9  # more than a kernel takes at once, so that it must take some of them alone


def prove_tags(kernel: Kernel, seed: int) -> None:
    """Seal and judge random datagrams under random keys, of the sizes of several MTUs. Raises OSError on a difference.

    It takes a few milliseconds. A kernel that cannot work on this CPU proves nothing, and is not used either.
    """
    rng = np.random.default_rng(seed)
    cases: tuple[tuple[Mode, int], ...] = (*(("gmac", size) for size in _SIZES), ("none", _SIZES[-2]))
    for mode, size in cases:
        key, session = LinkKey.of(rng.bytes(32)), int(rng.integers(1 << 63))
        _prove(Session(key, session, mode, kernel), Session(key, session, mode), size, rng)


def _prove(fast: Session, readable: Session, size: int, rng: np.random.Generator) -> None:
    content = rng.bytes(_ROWS * size)
    one, views = _matrix(content, size)
    other, other_views = _matrix(content, size)
    numbers = rng.bytes(HEADER_BYTES), int(rng.integers(1 << 62)), int(rng.integers(1 << 15))
    fast.seal_numbered(one, views, 1, _ROWS - 1, *numbers)
    readable.seal_numbered(other, other_views, 1, _ROWS - 1, *numbers)
    fast.seal(one, views, 0, 1)
    readable.seal(other, other_views, 0, 1)
    if not np.array_equal(one, other):
        raise OSError(f"the kernel seals datagrams of {size} bytes otherwise: it will not be used")
    damaged = np.unique(rng.integers(0, _ROWS, 4))
    first = 0 if fast.mode == "gmac" else size - TAG_BYTES
    one[damaged, rng.integers(first, size, len(damaged))] ^= np.uint8(1 << rng.integers(8))
    rows = rng.permutation(_ROWS)
    for which in (slice(None), rows):
        if not np.array_equal(fast.check(one, views, which), readable.check(one, views, which)):
            raise OSError(f"the kernel judges datagrams of {size} bytes otherwise: it will not be used")


def _matrix(content: bytes, size: int) -> tuple[Bytes2D, DatagramViews]:
    buffer = bytearray(content)
    return np.frombuffer(buffer, np.uint8).reshape(-1, size), DatagramViews(memoryview(buffer), size, _ROWS)
