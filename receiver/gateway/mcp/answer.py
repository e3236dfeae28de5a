"""Answers clients of the MCP registry, API v0.1: which MCP servers there are, and how each is installed and started.

Only servers whose packages are in the inbox are listed. Programs in pages ask, too, so every answer may be read by any
origin.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from diode.formats.names import MAX_SEQUENCE
from receiver.gateway.answers import BYTES, Answer, file_answer, json_answer, why_recalled
from receiver.gateway.mcp.entries import Entry, Key, entries_of, names_from
from receiver.gateway.mcp.packages import FILES
from receiver.gateway.oci.digests import owner
from receiver.gateway.request import Request
from receiver.gateway.view import View

USUAL_LIMIT: Final = 30
MOST: Final = 100
MOST_SERVERS: Final = 500  # that one page looks at
CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-None-Match",
    "Access-Control-Expose-Headers": "ETag",
    "Access-Control-Max-Age": "86400",
}
_VERSIONS: Final = ("v0.1", "v0")
_FLAGS: Final[Mapping[str, bool]] = {"": False, "false": False, "0": False, "true": True, "1": True}
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class _BadQueryError(ValueError):
    """A query that is refused, with a sentence."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a list is asked for."""

    limit: int
    after: Key
    search: str
    version: str
    since: datetime | None
    with_deleted: bool


def answer(request: Request, view: View) -> Answer:
    """One request. Raises TokenNeededError."""
    if request.method == "OPTIONS":
        return Answer(204, headers={**CORS, "Allow": CORS["Access-Control-Allow-Methods"]})
    try:
        given = _answer(request, view)
    except _BadQueryError as error:
        given = _error(400, str(error))
    return replace(given, headers={**CORS, **given.headers})


def _answer(request: Request, view: View) -> Answer:
    if request.method not in ("GET", "HEAD"):
        return _writing(request)
    match request.segments:
        case (version, "servers") if version in _VERSIONS:
            return _list(request, view)
        case (version, "servers", name, "versions") if version in _VERSIONS:
            return _versions(request, view, name)
        case (version, "servers", name, "versions", wanted) if version in _VERSIONS:
            return _one(request, view, name, wanted)
        case (folder, *name, digest, _) if folder == FILES and _DIGEST.fullmatch(digest):
            return _file(view, "/".join(name), digest)
        case _:
            return _error(404, "Not found")


def _writing(request: Request) -> Answer:
    """What would change the registry: the document has 501 for it where it knows the address."""
    match request.method, request.segments:
        case ("POST", (_, "publish")) | ("PUT" | "DELETE", (_, "servers", _, "versions", _)):
            return _error(501, "Nothing can be published here: what the enclave has comes through the diode")
        case ("PATCH", (_, "servers", _, "versions", _, "status") | (_, "servers", _, "status")):
            return _error(501, "Nothing can be changed here: people promote and recall bundles")
        case _:
            return replace(_error(405, "This registry can be read alone"), headers={"Allow": "GET, HEAD, OPTIONS"})


def _list(request: Request, view: View) -> Answer:
    """A page of all servers. Each is looked at only as far as the page needs it."""
    entries, last = _page(view, _wanted(request))
    metadata: dict[str, Any] = {"count": len(entries)}
    if last is not None:
        metadata["nextCursor"] = _cursor(last)
    return json_answer({"servers": _shown(request, entries), "metadata": metadata})


def _page(view: View, wanted: _Wanted) -> tuple[list[Entry], Key | None]:
    """The entries of a page, and behind which key the next one begins; None: there is none.

    A page ends early when MOST_SERVERS have been looked at, so that a list of few among many is bounded work, too.
    """
    found: list[Entry] = []
    for n, normal in enumerate(names_from(view, wanted.after[0], wanted.search)):
        if n == MOST_SERVERS:
            return found, (normal, -MAX_SEQUENCE - 1, "")  # before all of its versions
        for entry in entries_of(view, normal):
            if entry.key > wanted.after and _is_wanted(entry, wanted):
                if len(found) == wanted.limit:
                    return found, found[-1].key
                found.append(entry)
    return found, None


def _is_wanted(entry: Entry, wanted: _Wanted) -> bool:
    if not entry.is_listed or (entry.is_deleted and not wanted.with_deleted):
        return False
    if wanted.since and datetime.fromisoformat(entry.updated) < wanted.since:
        return False
    return _is_version(entry, wanted.version) if wanted.version else True


def _is_version(entry: Entry, version: str) -> bool:
    return entry.is_latest if version == "latest" else entry.server["version"] == version


def _versions(request: Request, view: View, name: str) -> Answer:
    with_deleted = _flag(request, "include_deleted")
    entries = [entry for entry in entries_of(view, name) if entry.is_listed]
    found = [entry for entry in entries if with_deleted or not entry.is_deleted]
    if not found:
        return _not_there(entries or entries_of(view, name))
    return json_answer({"servers": _shown(request, found), "metadata": {"count": len(found)}})


def _one(request: Request, view: View, name: str, version: str) -> Answer:
    """One version. The exact version of what is in no list is answered, too."""
    entries = [entry for entry in entries_of(view, name) if _is_version(entry, version)]
    with_deleted = _flag(request, "include_deleted")
    found = [entry for entry in entries if not entry.message or (entry.is_deleted and with_deleted)]
    if not found:
        return _not_there(entries)
    return json_answer(found[0].shown(request), of=found[0].bundle)


def _not_there(entries: Iterable[Entry]) -> Answer:
    """Why a server cannot be had: the document knows 404 alone."""
    for entry in entries:
        if entry.message:
            why = why_recalled(entry.recalled) if entry.recalled else ""
            return replace(_error(404, f"Server not found: {entry.message}"), reason=why, of=entry.recalled)
    return _error(404, "Server not found")


def _file(view: View, name: str, digest: str) -> Answer:
    """An mcpb package of a server, by digest."""
    one = owner(view, view.holding(name), "mcp.file", f"sha256:{digest}")
    if one is None:
        return _error(404, "Not found")
    if not one.is_servable:
        why = why_recalled(one)
        return replace(_error(410, why), reason=why, of=one)
    file = view.card(one).by_sha256(digest)
    return _error(404, "Not found") if file is None else file_answer(one, file, BYTES)


def _shown(request: Request, entries: Iterable[Entry]) -> list[dict[str, Any]]:
    return [entry.shown(request) for entry in entries]


def _error(status: int, message: str) -> Answer:
    return json_answer({"error": message}, status)


def _wanted(request: Request) -> _Wanted:
    """What a list is asked for. Raises _BadQueryError."""
    query = request.query
    limit = query.get("limit") or str(USUAL_LIMIT)
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 9 and 1 <= int(limit) <= MOST):
        raise _BadQueryError(f"limit must be from 1 to {MOST}")
    since = _moment(query["updated_since"]) if query.get("updated_since") else None
    with_deleted = _flag(request, "include_deleted")
    if since and query.get("include_deleted") and not with_deleted:
        raise _BadQueryError("updated_since tells of deleted servers, too: include_deleted cannot be false with it")
    after = _after(query["cursor"]) if query.get("cursor") else ("", 0, "")
    search, version = query.get("search", "").lower(), query.get("version", "")
    return _Wanted(int(limit), after, search, version, since, with_deleted or since is not None)


def _flag(request: Request, name: str) -> bool:
    value = request.query.get(name, "").lower()
    if value not in _FLAGS:
        raise _BadQueryError(f"{name} must be true or false")
    return _FLAGS[value]


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _BadQueryError("updated_since must be a date and time as in RFC 3339") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _cursor(key: Key) -> str:
    name, number, version = key
    return base64.urlsafe_b64encode(f"{name}\n{number}\n{version}".encode()).decode().rstrip("=")


def _after(cursor: str) -> Key:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        name, number, version = raw.decode().split("\n")
        return name, int(number), version
    except (ValueError, binascii.Error):
        raise _BadQueryError("cursor is none that this registry gave") from None
