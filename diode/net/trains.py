"""Trains: equal-sized datagrams one after another in one buffer, which the kernel may take or give in one call.

The last datagram of a train may be shorter. Nothing here has a socket.
"""

from collections.abc import Iterator
from typing import Final

MAX_TRAIN_BYTES: Final = 65507  # an IPv4 packet (65535) less its headers
MAX_TRAIN_DATAGRAMS: Final = 64  # UDP_MAX_SEGMENTS of kernels before 6.9; later ones take 128
MAX_RUN_BYTES: Final = 65535  # no run that a read returns is longer


def train_datagrams(datagram_bytes: int) -> int:
    """How many datagrams of this size one train may hold; at least one."""
    return max(1, min(MAX_TRAIN_DATAGRAMS, MAX_TRAIN_BYTES // datagram_bytes))


def count_datagrams(train: memoryview, datagram_bytes: int) -> int:
    """How many datagrams a train holds; a shorter last one counts."""
    return -(-len(train) // datagram_bytes)


def cut(train: memoryview, datagram_bytes: int) -> Iterator[memoryview]:
    """Views of the datagrams of a train, one by one."""
    return (train[start : start + datagram_bytes] for start in range(0, len(train), datagram_bytes))
