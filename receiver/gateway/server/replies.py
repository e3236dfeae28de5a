"""Makes the reply to a request out of what a protocol answered: status line, headers, and which bytes follow. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from receiver.gateway.answers import Answer, BundleFile
from receiver.gateway.freshness import CACHE_CONTROL, etag_of, is_unchanged, may_range
from receiver.gateway.server.ranges import Span, UnsatisfiableError, span_of

MAX_REASON: Final = 200
NOTHING: Final = Span(0, 0)
_BODILESS: Final = (204, 304)

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Reply:
    """``body``: bytes, or a part of ``file``. ``length``: of the body that GET gets."""

    status: int
    reason: bytes
    headers: Headers
    body: bytes = b""
    file: BundleFile | None = None
    span: Span = NOTHING

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return self.span.length if self.file else len(self.body)


def reply_to(method: str, asked: Mapping[str, str], answer: Answer) -> Reply:
    """The reply. ``asked``: the request's headers, with lower-case names. HEAD gets the headers that GET gets."""
    headers = {"Cache-Control": CACHE_CONTROL, "X-Content-Type-Options": "nosniff", **answer.headers}
    if answer.status == 200:
        headers.setdefault("ETag", etag_of(answer))
        if method in ("GET", "HEAD") and is_unchanged(asked, headers["ETag"]):
            return Reply(304, b"", _lines(headers))
    if answer.status not in _BODILESS:
        headers.setdefault("Content-Type", answer.media_type)
    if isinstance(answer.body, BundleFile) and answer.status == 200:
        return _of_file(method, asked, answer, answer.body, headers)
    body = answer.body if isinstance(answer.body, bytes) and answer.status not in _BODILESS else b""
    if answer.status not in _BODILESS:
        headers["Content-Length"] = str(len(body))
    return Reply(answer.status, phrase(answer.reason), _lines(headers), body)


def _of_file(method: str, asked: Mapping[str, str], answer: Answer, file: BundleFile, headers: dict[str, str]) -> Reply:
    size = file.file.size
    headers |= {"Accept-Ranges": "bytes", "Content-Encoding": "identity"}
    status, span = 200, Span(0, size)
    wanted = asked.get("range", "")
    if wanted and not size:
        headers["Content-Range"] = "bytes */0"  # huggingface_hub learns the size of an empty file from this
    elif wanted and method == "GET" and may_range(asked, headers["ETag"]):
        try:
            found = span_of(wanted, size)
        except UnsatisfiableError:
            refused = {name: headers[name] for name in ("Cache-Control", "ETag", "Accept-Ranges")}
            refused |= {"Content-Range": f"bytes */{size}", "Content-Length": "0"}
            return Reply(416, b"", _lines(refused))
        if found:
            status, span = 206, found
            headers["Content-Range"] = f"bytes {span.first}-{span.first + span.length - 1}/{size}"
    headers["Content-Length"] = str(span.length)
    return Reply(status, phrase(answer.reason), _lines(headers), b"", file, span)


def phrase(text: str) -> bytes:
    """A reason phrase: one line of printable ASCII, cut."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:MAX_REASON].strip().encode()


def _lines(headers: Mapping[str, str]) -> Headers:
    """Headers as they are sent. What no header may hold becomes a question mark: no text of a bundle splits a reply."""
    return [(name.lower().encode("ascii"), _value(value)) for name, value in headers.items()]


def _value(text: str) -> bytes:
    return "".join(c if " " <= c <= "~" or "\xa0" <= c <= "\xff" else "?" for c in text).strip().encode("latin-1")
