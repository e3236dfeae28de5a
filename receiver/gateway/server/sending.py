"""Sends a reply through ASGI: bytes as they are, files by the kernel where the server can, else in large pieces."""

import os
from typing import Final

from starlette.types import Scope, Send

from receiver.gateway.server.replies import Reply

ZERO_COPY: Final = "http.response.zerocopysend"  # an extension of ASGI
PIECE_BYTES: Final = 256 << 10  # a client that reads nothing holds a few; in 64 KiB pieces it is slower


class GoneError(Exception):
    """The client went away, or reads too slowly. ``sent``: bytes of the body that were handed to the kernel."""

    def __init__(self, sent: int = 0) -> None:
        super().__init__(sent)
        self.sent = sent


async def deliver(reply: Reply, fd: int, scope: Scope, send: Send) -> int:
    """Send a reply, whose file is open as ``fd``. Returns how many bytes of the body were sent. Raises GoneError."""
    await send(
        {"type": "http.response.start", "status": reply.status, "headers": reply.headers, "reason": reply.reason}
    )
    if scope["method"] == "HEAD" or reply.file is None:
        body = b"" if scope["method"] == "HEAD" else reply.body
        await send({"type": "http.response.body", "body": body})
        return len(body)
    first, count = reply.span
    if ZERO_COPY in (scope.get("extensions") or {}):
        await send({"type": ZERO_COPY, "file": fd, "offset": first, "count": count})
    else:
        await _in_pieces(fd, first, count, send)
    return count


async def _in_pieces(fd: int, first: int, count: int, send: Send) -> None:
    at, end = first, first + count
    while at < end:
        piece = os.pread(fd, min(PIECE_BYTES, end - at), at)
        if not piece:
            raise OSError(f"a file ended {end - at} bytes early")  # the server cuts the connection: never a short file
        at += len(piece)
        try:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        except GoneError:
            raise GoneError(at - first) from None
    await send({"type": "http.response.body", "body": b""})
