"""Ports of the loopback for what a test starts. Each is one test's alone, in whichever process that test runs."""

import contextlib
import itertools
import os
import random
import socket
from collections import deque
from typing import Final

from diode.net.address import Address

HOST: Final = "127.0.0.1"
MOST_HELD: Final = 64  # far more than one test uses
_PORTS = itertools.cycle(random.Random(os.getpid()).sample(range(20_000, 32_000), 12_000))
_HELD: deque[socket.socket] = deque()


def free_address() -> Address:
    """A loopback address that nobody listens on, nor is about to, by UDP or TCP.

    It is below the range of which sockets are given a port by chance. Between this call and the daemon that listens
    there nobody else is given it: a name of the kernel's, which it forgets with this process, is held for it.
    """
    while True:
        address = Address(HOST, next(_PORTS))
        with contextlib.suppress(OSError):
            _hold(address.port)
            return address


def _hold(port: int) -> None:
    """Raises OSError when a port is in use, or held."""
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0port {port} of the tests of diode")
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                if kind == socket.SOCK_STREAM:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((HOST, port))
    except OSError:
        name.close()
        raise
    _HELD.append(name)
    if len(_HELD) > MOST_HELD:
        _HELD.popleft().close()
