"""What is refused before a protocol is asked: requests that are malformed, methods, and tokens that are missing."""

import re
from collections.abc import Sequence
from typing import Final

from diode.layouts.kinds import Kind
from receiver.gateway.answers import Answer, json_answer, text_answer
from receiver.gateway.request import Request
from receiver.gateway.view import TokenNeededError, View

MAX_HEADERS: Final = 100
MAX_HEADER_BYTES: Final = 32 << 10
_HOST: Final = re.compile(rb"[A-Za-z0-9._~:\[\]%-]{0,255}")
METHODS: Final = ("GET", "HEAD", "POST")
ANSWERS_ALL: Final = ("oci", "mcp")  # their clients want a body of their own, or ask by OPTIONS


def malformed(headers: Sequence[tuple[bytes, bytes]], path: str) -> Answer | None:
    """The refusal of a request that proxies may read in two ways, or that is too large. It ends the connection."""
    close = {"Connection": "close"}
    names = [name for name, _ in headers]
    if len(headers) > MAX_HEADERS or sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        return text_answer("too many headers, or too long ones\n", 431, headers=close)
    if b"content-length" in names and b"transfer-encoding" in names:
        return text_answer("a request has Content-Length or Transfer-Encoding, never both\n", 400, headers=close)
    if not all(_HOST.fullmatch(value) for name, value in headers if name == b"host"):
        return text_answer("Host is no name of a host\n", 400, headers=close)
    if not path.startswith("/"):
        return text_answer("this is no proxy: a request names a path that begins with /\n", 400, headers=close)
    return None


def not_allowed(method: str, kind: Kind) -> Answer | None:
    """The refusal of a method that nothing here answers."""
    if method in METHODS or kind in ANSWERS_ALL:
        return None
    text = f"{method[:16]} is not answered: clients read here, and write nothing"
    headers = {"Allow": ", ".join(METHODS)}
    if kind == "trees":
        return text_answer(f"{text}\n", 405, headers=headers)
    return json_answer({"error": text}, 405, headers=headers)


def challenge(request: Request, view: View, error: TokenNeededError | None = None, *, is_tls: bool) -> Answer | None:
    """The answer to a client without a token: 401, or for images on plain http sometimes 403; None: it needs none.

    docker gives people's login of docker.io to a mirror that asks for Basic. A mirror's request looks like any other,
    so that on plain http neither the ping nor what could be of docker.io is answered by a challenge.
    """
    if error is None:
        is_ping = view.kind == "oci" and not request.segments
        if not (is_ping and is_tls and view.channels and view.closed == view.channels):
            return None
        error = TokenNeededError(min(view.closed))
    text = f"{error}; gateway clients on the receiver prints how to give it"
    if view.kind == "oci":
        if not is_tls and request.segments[:1] == ("library",):
            return _of_images("DENIED", f"{text}; on plain http it is not asked for", 403)
        return _of_images("UNAUTHORIZED", text, 401)
    headers = {**_BASIC, "X-Error-Message": text}
    if view.kind in ("npm", "mcp", "hub"):
        return json_answer({"error": text}, 401, headers=headers, reason=str(error))
    return text_answer(f"{text}\n", 401, headers=headers, reason=str(error))


_BASIC: Final = {"WWW-Authenticate": 'Basic realm="diode", charset="UTF-8"'}


def _of_images(code: str, text: str, status: int) -> Answer:
    headers = {"Docker-Distribution-API-Version": "registry/2.0", **(_BASIC if status == 401 else {})}
    return json_answer({"errors": [{"code": code, "message": text}]}, status, headers=headers, reason=text)
