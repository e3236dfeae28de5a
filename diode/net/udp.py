"""Trains go out and runs of datagrams come in by one of two paths that do the same; nothing ever goes back.

::

    train -> BatchedSender (UDP_SEGMENT)                  BatchedReader (UDP_GRO)        -> run
             PortableSender (asyncio-dgram) ~~ one way ~> PortableReader (asyncio-dgram)

No numpy in here or below: the process that listens has none.
"""

import socket
from typing import Literal

from diode.net.address import Address
from diode.net.batched import BatchedReader, BatchedSender
from diode.net.portable import PortableReader, PortableSender
from diode.net.sockets import UDP_GRO, UDP_SEGMENT, knows

UdpPath = Literal["auto", "batched", "portable"]


def choose_sender(
    path: UdpPath, sock: socket.socket, to: Address, datagram_bytes: int
) -> BatchedSender | PortableSender:
    """The sender of this ``path``; ``auto`` is batched where the kernel knows UDP_SEGMENT."""
    if path == "batched" or (path == "auto" and knows(sock, UDP_SEGMENT)):
        return BatchedSender(sock, to, datagram_bytes)
    return PortableSender(sock, to, datagram_bytes)


def choose_reader(path: UdpPath, sock: socket.socket, timeout_s: float) -> BatchedReader | PortableReader:
    """The reader of this ``path``; ``auto`` is batched where the kernel knows UDP_GRO."""
    if path == "batched" or (path == "auto" and knows(sock, UDP_GRO)):
        return BatchedReader(sock, timeout_s)
    return PortableReader(sock, timeout_s)
