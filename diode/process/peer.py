"""Who is at the other end of a local socket, as the kernel knows it (SO_PEERCRED, unix(7))."""

import socket
import struct
from typing import Final, NamedTuple

_UCRED: Final = struct.Struct("3i")  # struct ucred: process, user, group


class Peer(NamedTuple):
    """A process, and its user. Of a listening one: as they were when it began to listen."""

    pid: int
    uid: int


def peer_of(connected: socket.socket) -> Peer:
    """The peer of a connected socket of the family AF_UNIX. Raises OSError."""
    pid, uid, _ = _UCRED.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Peer(pid, uid)
