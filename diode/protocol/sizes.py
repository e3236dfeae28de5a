"""What a datagram can be: its sizes, its limits and its kinds (docs/wire-format.md).

Configuration, manifests, ledgers and commands need these alone, so nothing here loads numpy.
"""

from enum import IntEnum
from typing import Final

HEADER_BYTES: Final = 48
TAG_BYTES: Final = 16
OVERHEAD_BYTES: Final = HEADER_BYTES + TAG_BYTES

MIN_SYMBOL_BYTES: Final = 448  # MTU 576, the smallest an IPv4 path must carry
MAX_SYMBOL_BYTES: Final = 8896  # MTU 9000
SYMBOL_ALIGNMENT: Final = 64
MAX_ROWS: Final = 256  # of one zfec codeword
MAX_COLUMNS: Final = 64
MAX_SLABS: Final = 1 << 26


class Kind(IntEnum):
    """What a datagram carries. Padding is ``DATA`` of bundle 0."""

    DATA = 1
    OBJECT = 2
    HEARTBEAT = 3
    HEARTBEAT_MAC = 4


class ObjectType(IntEnum):
    """Which control object of a bundle an ``OBJECT`` datagram belongs to (its ``flags`` byte)."""

    MANIFEST = 0
    FILES = 1
    SLABS = 2


def datagram_bytes(symbol_bytes: int) -> int:
    """Size of every datagram of a link whose symbols have ``symbol_bytes`` bytes."""
    return symbol_bytes + OVERHEAD_BYTES


def symbol_bytes_for(mtu: int, *, ipv6: bool = False) -> int:
    """The largest symbol, a multiple of 64 bytes, whose datagram is not fragmented at an MTU of ``mtu`` bytes."""
    ip_udp_bytes = 48 if ipv6 else 28
    room = (mtu - ip_udp_bytes - OVERHEAD_BYTES) // SYMBOL_ALIGNMENT * SYMBOL_ALIGNMENT
    return min(room, MAX_SYMBOL_BYTES)


def is_symbol_size(symbol_bytes: int) -> bool:
    """Whether a link may use symbols of this size."""
    return MIN_SYMBOL_BYTES <= symbol_bytes <= MAX_SYMBOL_BYTES and symbol_bytes % SYMBOL_ALIGNMENT == 0
