"""Chooses how trains are sent and runs are received: batched or portable. Both do the same; nothing ever goes back.

::

    train -> BatchedSender (UDP_SEGMENT)                  BatchedReader (UDP_GRO)        -> run
             PortableSender (asyncio-dgram) ~~ one way ~> PortableReader (asyncio-dgram)

Neither this module nor those that it imports load numpy, because the listening process must not.
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
    """The sender for ``path``; ``auto`` means batched if the kernel supports UDP_SEGMENT."""
    if path == "batched" or (path == "auto" and knows(sock, UDP_SEGMENT)):
        return BatchedSender(sock, to, datagram_bytes)
    return PortableSender(sock, to, datagram_bytes)


def choose_reader(path: UdpPath, sock: socket.socket, timeout_s: float) -> BatchedReader | PortableReader:
    """The reader for ``path``; ``auto`` means batched if the kernel supports UDP_GRO."""
    if path == "batched" or (path == "auto" and knows(sock, UDP_GRO)):
        return BatchedReader(sock, timeout_s)
    return PortableReader(sock, timeout_s)
