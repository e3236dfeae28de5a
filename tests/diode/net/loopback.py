"""Datagrams over the loopback interface: where, how many, and what came."""

import random
import socket
from collections.abc import Callable
from typing import Any

from diode.net.address import Address
from diode.net.trains import MAX_RUN_BYTES

LOOPBACK = Address("127.0.0.1", 0)
BUFFER_BYTES = 4 << 20
QUIET_S = 0.2
PATHS = ("batched", "portable")
Closing = Callable[[Any], Any]


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def payload(datagrams: int, datagram_bytes: int, seed: int = 1) -> bytes:
    """Random bytes for so many datagrams."""
    return random.Random(seed).randbytes(datagrams * datagram_bytes)


def receive_all(reader: Any, length: int) -> bytes:
    """Runs until ``length`` bytes came, or the socket is quiet."""
    into = memoryview(bytearray(MAX_RUN_BYTES))
    got = bytearray()
    while len(got) < length:
        filled = reader.receive(into)
        if not filled:
            break
        got += into[:filled]
    return bytes(got)
