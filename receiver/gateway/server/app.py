"""Answers requests: takes one in, has a protocol answer it from one snapshot, sends the reply, and logs it.

An ASGI application. It trusts nothing of a request: every part has a bound, and what cannot be read is refused.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.types import Receive, Scope, Send

from diode.errors import StorageError
from diode.formats.timestamps import now_utc
from diode.log import log
from receiver.catalogue.snapshot import Snapshot
from receiver.gateway.answers import Answer, BundleFile, json_answer, text_answer
from receiver.gateway.request import BadPathError, Request, query_of, segments_of
from receiver.gateway.server.access import Access, peer_of
from receiver.gateway.server.answerers import Answerers
from receiver.gateway.server.counts import Counts
from receiver.gateway.server.journal import Journal, Visit
from receiver.gateway.server.newest import Newest, NoSnapshotError
from receiver.gateway.server.refusals import challenge, malformed, not_allowed
from receiver.gateway.server.replies import Reply, reply_to
from receiver.gateway.server.routing import Mounted, Routed, Routes, mounted
from receiver.gateway.server.sending import GoneError, deliver
from receiver.gateway.server.series import Series
from receiver.gateway.server.stored import NotYetError, Stored
from receiver.gateway.view import TokenNeededError, View

__all__ = ["Gateway", "Mounted", "mounted"]

MAX_BODY_BYTES: Final = 1 << 20
BODY_S: Final = 30.0  # in which a request's body must be there
HEALTH: Final = "/healthz"
_OURS: Final = ("authorization", "proxy-authorization", "cookie")  # headers that no protocol needs to see


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, taken in. ``port``: ours, by which it came."""

    method: str
    path: str  # as it was sent, without the query
    query: str
    headers: Mapping[str, str]
    peer: str
    port: int
    is_tls: bool
    body: bytes = b""


@dataclass(slots=True)
class Course:
    """What became known of a request while it was answered, for its line in the log."""

    protocol: str = ""
    generation: int = 0
    client: str = ""
    answer: Answer = field(default_factory=Answer)


class Gateway:
    """Answers from the newest snapshot in ``index``. Files lie below ``inbox``.

    ``journal`` and ``counts`` are told of each request. ``proxies``: whose X-Forwarded-For is believed.
    """

    def __init__(
        self,
        inbox: Path,
        index: Path,
        mounts: Sequence[Mounted],
        base: str = "",
        *,
        routes: Routes | None = None,
        access: Access | None = None,
        journal: Journal | None = None,
        counts: Counts | None = None,
        proxies: frozenset[str] = frozenset(),
    ) -> None:
        self._stored = Stored(inbox)
        self._newest = Newest(index)
        self._routes = routes or Routes(mounts, base)
        self._access = access or Access()
        self._journal, self._counts, self._proxies = journal, counts, proxies
        self._series = Series()
        self._answerers = Answerers()
        self._told: set[str] = set()  # troubles that were logged

    @property
    def base(self) -> str:
        """The gateway's address by the configuration."""
        return self._routes.base

    @base.setter
    def base(self, address: str) -> None:
        self._routes.base = address

    def snapshot(self) -> Snapshot:
        """The newest one. Raises NoSnapshotError."""
        return self._newest.get()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        http = HttpRequest(scope, receive)
        asked, course, fd = self._taken_in(http), Course(), -1
        try:
            course.answer = malformed(scope["headers"], asked.path) or await self._answer(http, asked, course)
            reply, fd = self._opened(asked, reply_to(asked.method, asked.headers, course.answer))
            try:
                sent = await deliver(reply, fd, scope, send)
            except GoneError as gone:
                sent = gone.sent
            self._log(asked, course, reply.status, sent)
        except ClientDisconnect:
            return
        finally:
            if fd >= 0:
                os.close(fd)

    def _taken_in(self, http: HttpRequest) -> Asked:
        headers: dict[str, str] = {}
        for name, value in http.headers.items():
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        _, port = http.scope.get("server") or ("", 0)
        peer = http.client.host if http.client else ""
        forwarded = http.headers.getlist("x-forwarded-for")
        return Asked(
            method=http.method,
            path=http.scope["raw_path"].decode("latin-1"),
            query=http.scope["query_string"].decode("latin-1"),
            headers=headers,
            peer=peer_of(peer, forwarded, self._proxies),
            port=port or 0,
            is_tls=http.scope["scheme"] == "https",
        )

    async def _answer(self, http: HttpRequest, asked: Asked, course: Course) -> Answer:
        if asked.path == HEALTH and asked.method in ("GET", "HEAD"):
            health = self._newest.health
            return json_answer(health, 503 if health["generation"] is None else 200)
        try:
            routed = self._routes.find(asked.path, asked.headers.get("host", ""), asked.port)
            course.protocol = routed.mount.kind
            if refused := not_allowed(asked.method, routed.mount.kind):
                return refused
            body = await _body_of(http) if asked.method == "POST" else b""
            return body if isinstance(body, Answer) else await self._by_protocol(asked, routed, body, course)
        except NoSnapshotError as error:
            return text_answer(f"{error}\n", 503, reason=str(error), headers={"Retry-After": "5"})
        except (BadPathError, LookupError):
            return text_answer("not found\n", 404)
        except StorageError as error:
            self._tell("bundle_unreadable", str(error))
            return text_answer("not found: the gateway cannot read it, and its log says why\n", 404)

    async def _by_protocol(self, asked: Asked, routed: Routed, body: bytes, course: Course) -> Answer:
        """Have the protocol answer. One snapshot answers all of it, whichever is the newest meanwhile."""
        snapshot, mount = self._newest.get(), routed.mount
        course.generation = snapshot.generation
        authorization = asked.headers.get("authorization", "")
        view = View(snapshot, mount.kind, mount.channels, self._access.closed(authorization) & mount.channels)
        address = f"{mount.kind} {routed.host} {asked.path}"
        is_range = "range" in asked.headers
        request = Request(
            method="GET" if asked.method == "HEAD" else asked.method,  # so that both are answered alike
            segments=segments_of(routed.rest),
            query=_query_of(asked.query),
            headers={name: value for name, value in asked.headers.items() if name not in _OURS},
            body=body,
            prefix=routed.prefix,
            base=routed.base,
            began=self._series.began(asked.peer, address) if is_range else "",
            host=routed.host,
        )
        if refused := challenge(request, view, is_tls=asked.is_tls):
            return refused
        try:
            answer = await self._answerers.answer(mount.answer, request, view)
        except TokenNeededError as error:
            return challenge(request, view, error, is_tls=asked.is_tls) or text_answer("not found\n", 404)
        except (BadPathError, LookupError, StorageError, NoSnapshotError):
            raise
        except Exception:
            log.exception("protocol_failed", protocol=mount.kind, path=asked.path)
            # not 5xx: apt takes that for a passing trouble, and ends with 0
            text = "the gateway failed at this request; its log says why"
            return text_answer(f"{text}\n", 400, reason=text)
        if answer.is_moving and isinstance(answer.body, BundleFile) and asked.method == "GET":
            self._series.note(asked.peer, address, answer.body.bundle.id)
        if answer.of is not None:
            course.client = self._access.client(answer.of.channel, authorization)
        return answer

    def _opened(self, asked: Asked, reply: Reply) -> tuple[Reply, int]:
        """The reply, and the file that it needs. Where that is not what was published, nothing of it is sent."""
        if reply.file is None:
            return reply, -1
        try:
            return reply, self._stored.open(reply.file)
        except NotYetError as error:
            self._tell("channel_unreadable", str(error))
            text = f"{error}; a new serving process is on its way, where that helps"
            answer = text_answer(f"{text}\n", 503, reason=text, headers={"Retry-After": "2"})
            return reply_to(asked.method, {}, answer), -1
        except StorageError as error:
            self._tell("file_unreadable", str(error))
            text = "not found: the file is not there as it was published; the gateway's log says more"
            return reply_to(asked.method, {}, text_answer(f"{text}\n", 404, reason=text)), -1

    def _tell(self, event: str, reason: str) -> None:
        if reason not in self._told and len(self._told) < 1000:
            self._told.add(reason)
            log.error(event, reason=reason, do="compare the inbox with its receipts; look at the disk")

    def _log(self, asked: Asked, course: Course, status: int, sent: int) -> None:
        if asked.path == HEALTH:
            return
        visit = Visit(
            at=now_utc(),
            peer=asked.peer,
            method=asked.method,
            protocol=course.protocol,
            path=asked.path if asked.path.startswith("/") else "?",
            status=status,
            size=sent,
            agent=asked.headers.get("user-agent", ""),
            generation=course.generation,
            bundle=course.answer.of,
            client=course.client,
        )
        if self._journal:
            self._journal.write(visit)
        if self._counts:
            self._counts.add(visit)


async def _body_of(http: HttpRequest) -> bytes | Answer:
    """A request's body, or why it is not taken. Raises ClientDisconnect."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in http.stream():
                body += piece
                if len(body) > MAX_BODY_BYTES:
                    return text_answer(f"a request's body has {MAX_BODY_BYTES} bytes at most\n", 413)
    except TimeoutError:
        return text_answer("the request's body did not come in time\n", 408)
    return bytes(body)


def _query_of(raw: str) -> dict[str, str]:
    try:
        return query_of(raw)
    except ValueError:  # too many fields
        raise BadPathError("the query has too many fields") from None
