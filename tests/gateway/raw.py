"""Speaks HTTP byte by byte, as no library would; and stub protocols, to be served by the real engine."""

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from receiver.gateway.answers import Answer, file_answer, json_answer, redirect, text_answer
from receiver.gateway.request import Request
from receiver.gateway.server.app import Mounted
from receiver.gateway.view import View
from tests.patience import PATIENCE_S


class Reply(NamedTuple):
    """One answer. ``headers``: names in lower case."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes


def exchange(port: int, sent: bytes, *, source: str = "127.0.0.1") -> bytes:
    """Send bytes, and read until the other end closes. A connection that is cut gives what came before."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S, source_address=(source, 0)) as sock:
        got = b""
        try:
            sock.sendall(sent)
            while piece := sock.recv(1 << 20):
                got += piece
        except ConnectionError:
            pass
        return got


def parsed(got: bytes) -> Reply:
    """The first answer of what came."""
    head, _, body = got.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    _, status, reason = [*line.split(" ", 2), "", ""][:3]
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
    return Reply(int(status or 0), reason, headers, body)


def ask(port: int, target: str, method: str = "GET", **headers: str) -> Reply:
    """One request, on a connection of its own."""
    fields = {"Host": "gateway", **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return parsed(exchange(port, f"{method} {target} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode("latin-1")))


def files(request: Request, view: View) -> Answer:
    """``/channel/name/path...``: of the bundle in use, an address that moves; ``/channel/name@version/path...``."""
    channel, label, *path = request.segments
    name, _, version = label.partition("@")
    found = view.named(channel, name)
    wanted = [
        one
        for one in found
        if (one.version == version if version else one.id == request.began if request.began else one.is_current)
    ]
    file = view.card(wanted[0]).file("/".join(path)) if wanted and wanted[0].is_servable else None
    if file is None:
        return text_answer("not here\n", 404)
    return replace(file_answer(wanted[0], file), is_moving=not version)


def echo(request: Request, view: View) -> Answer:
    """What the protocol saw."""
    seen = {
        "method": request.method,
        "segments": request.segments,
        "query": dict(request.query),
        "headers": dict(request.headers),
        "body": len(request.body),
        "prefix": request.prefix,
        "base": request.base,
        "host": request.host,
    }
    return json_answer(seen)


ODD: dict[str, Callable[[], Answer]] = {
    "json": lambda: json_answer({"a": 1}),
    "text": lambda: text_answer("hello\n"),
    "empty": Answer,
    "gone": lambda: text_answer("gone\n", 410, reason="Recalled 2026-11-28: it is bad"),
    "moved": lambda: redirect("/hub/x"),
    "none": lambda: Answer(204),
    "split": lambda: text_answer("x", 410, reason="a\r\nSet-Cookie: b", headers={"X-Why": "c\r\nX-Evil: d\n\u2028 é"}),
    "tagged": lambda: json_answer([], etag="abc"),
}


def odd(request: Request, view: View) -> Answer:
    """One of the answers of ODD; anything else breaks."""
    return ODD[request.segments[0]]() if request.segments[0] in ODD else _broken(request)


def _broken(request: Request) -> Answer:
    raise ZeroDivisionError(request.segments)


def mounts(channels: frozenset[str] = frozenset({"tools"})) -> list[Mounted]:
    """The stubs, below prefixes of real protocols."""
    return [
        Mounted("/trees", "trees", files, channels),
        Mounted("/hub", "hub", echo, channels),
        Mounted("/_npm", "npm", odd, channels),
        Mounted("/v2", "oci", files, channels),
    ]


def seen(reply: Reply) -> dict[str, object]:
    """What ``echo`` saw."""
    found: dict[str, object] = json.loads(reply.body)
    return found
