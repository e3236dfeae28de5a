"""Messages with open files: who may open them hands them to a process that may open nothing (SCM_RIGHTS, unix(7))."""

import os
import socket
from collections.abc import Sequence
from typing import Any, Final

from diode.errors import MessageError
from diode.process.vocabulary import Vocabulary

MAX_DESCRIPTORS: Final = 64  # of one message; the kernel takes 253
CALLS: Final = ("recvmsg",)  # what who takes needs


def hand_pair() -> tuple[int, int]:
    """Two connected ends, the giver's and the taker's. Each message arrives whole, or not at all."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return ours.detach(), theirs.detach()


class Giver:
    """The end that hands. It owns ``fd``."""

    def __init__(self, fd: int, says: Vocabulary) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=fd)
        self._socket.setblocking(False)
        self._says = says

    def give(self, message: object, descriptors: Sequence[int]) -> None:
        """Hand files on; ours stay open, and are the caller's. Never waits: who gives bounds what is under way.

        Raises OSError when the taker is gone, or has not taken what it was given before.
        """
        socket.send_fds(self._socket, [self._says.encode(message)], descriptors)

    def close(self) -> None:
        """Nothing more is handed on."""
        self._socket.close()


class Taker:
    """The other end. It owns ``fd``."""

    def __init__(self, fd: int, hears: Vocabulary) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=fd)
        self._hears = hears

    def take(self) -> tuple[Any, list[int]]:
        """The next message and its descriptors, which are the caller's; (None, []) when there will be none.

        Raises MessageError for what may not be said, or was cut.
        """
        line, fds, flags, _ = socket.recv_fds(
            self._socket, self._hears.line_bytes, MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
        )
        try:
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                raise MessageError("?", f"more than {self._hears.line_bytes} bytes or {MAX_DESCRIPTORS} files")
            return (self._hears.decode(line), fds) if line else (None, fds)
        except MessageError:
            for fd in fds:
                os.close(fd)
            raise
