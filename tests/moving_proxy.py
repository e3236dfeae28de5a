"""A proxy that stands between a client and the gateway, and lets something happen between two requests of the client.

It can also hang up in the middle of a body, as a line that breaks does.
"""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import urlsplit

from tests.patience import PATIENCE_S

_OWN: Final = {"connection", "transfer-encoding", "content-length", "date", "server"}


@dataclass
class Moving:
    """``between``: called after each answer, before the client has it, with the number of the request and its path.

    ``cut``: hang up after so many bytes of the next body that has more.
    """

    upstream: str
    between: Callable[[int, str], None] = lambda number, path: None
    cut: int = 0
    asked: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def forget(self) -> None:
        """Begin to count anew."""
        self.asked.clear()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, moving: Moving) -> None:
        super().__init__(("127.0.0.1", 0), _Forwards)
        self.moving = moving


class _Forwards(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _forward(self) -> None:
        moving = self.server.moving
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        with moving.lock:
            answer, content = self._ask(moving, body)
            moving.asked.append(f"{self.command} {self.path} {answer.status}")
            is_cut = 0 < moving.cut < len(content) and self.command == "GET"
            most, moving.cut = (moving.cut, 0) if is_cut else (len(content), moving.cut)
            moving.between(len(moving.asked), self.path)
        self.send_response(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _OWN:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        self.wfile.write(content[:most])
        self.close_connection = is_cut

    def do_GET(self) -> None:
        """Ask for it upstream."""
        self._forward()

    def do_HEAD(self) -> None:
        """The same."""
        self._forward()

    def do_POST(self) -> None:
        """The same."""
        self._forward()

    def _ask(self, moving: Moving, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        upstream = http.client.HTTPConnection(urlsplit(moving.upstream).netloc, timeout=PATIENCE_S)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        upstream.request(self.command, self.path, body or None, {**headers, "Connection": "close"})
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        return answer, content

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def between(upstream: str) -> Iterator[tuple[str, Moving]]:
    """Its address, and what may be set."""
    moving = Moving(upstream)
    with _Server(moving) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", moving
        finally:
            server.shutdown()
            serving.join()
