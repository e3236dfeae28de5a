"""Hands open files, with a message, to a process that may not open files itself (SCM_RIGHTS, unix(7))."""

import os
import socket
from collections.abc import Sequence
from typing import Any, Final

from diode.errors import MessageError
from diode.process.vocabulary import Vocabulary

MAX_DESCRIPTORS: Final = 64  # of one message; the kernel takes 253
CALLS: Final = ("recvmsg",)  # what who takes needs


def hand_pair() -> tuple[int, int]:
    """Two connected descriptors: the giver's end and the taker's. Each message arrives as a whole or not at all."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return ours.detach(), theirs.detach()


class Giver:
    """The end that hands files over. It owns ``fd``."""

    def __init__(self, fd: int, says: Vocabulary) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=fd)
        self._socket.setblocking(False)
        self._says = says

    def give(self, message: object, descriptors: Sequence[int]) -> None:
        """Send a message with open files. Our descriptors stay open, and belong to the caller.

        It never waits, so the caller must bound how many messages are under way. Raises OSError when the taker is gone,
        or has not yet taken what it was given before.
        """
        socket.send_fds(self._socket, [self._says.encode(message)], descriptors)

    def close(self) -> None:
        """Close this end: no more files are handed over."""
        self._socket.close()


class Taker:
    """The end that receives files. It owns ``fd``."""

    def __init__(self, fd: int, hears: Vocabulary) -> None:
        self.fd = fd
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=fd)
        self._hears = hears

    def take(self) -> tuple[Any, list[int]]:
        """The next message and its descriptors, which then belong to the caller; (None, []) when no more will come.

        Raises MessageError for a message that is not allowed, or was cut.
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
