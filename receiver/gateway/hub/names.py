"""Lists the repositories that one client may see."""

from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode

from receiver.catalogue.snapshot import Listed
from receiver.gateway.answers import Answer, json_answer
from receiver.gateway.hub.documents import dated
from receiver.gateway.request import Request
from receiver.gateway.view import View

PAGE: Final = 1000


def repositories(request: Request, view: View, kind: str) -> Answer:
    """``/api/models?search=&author=&limit=``: those whose version in use may be served, by name; page by page."""
    page = _page_of(request)
    cursor = request.query.get("cursor", "")
    names = (one for one in view.names() if one[0].startswith(f"{kind}/") and one[0] > cursor)
    wanted = ((normal, name) for normal, name in names if _is_meant(request, name))
    usable = ((normal, _entry(kind, name, one)) for normal, name in wanted if (one := _current(view, normal)))
    found = list(islice(usable, page + 1))
    listed = found[:page]
    headers = {}
    if len(found) > page and "limit" not in request.query:
        headers["Link"] = f'<{_next(request, kind, listed[-1][0])}>; rel="next"'
    return json_answer([entry for _, entry in listed], headers=headers)


def _page_of(request: Request) -> int:
    given = request.query.get("limit", "")
    return min(PAGE, int(given)) if given.isascii() and given.isdigit() and len(given) < 10 else PAGE


def _is_meant(request: Request, name: str) -> bool:
    author = request.query.get("author", "").lower()
    is_author = not author or name.lower().startswith(f"{author}/")
    return is_author and request.query.get("search", "").lower() in name.lower()


def _current(view: View, normal: str) -> Listed | None:
    return next((one for one in view.holding(normal) if one.is_current and one.is_servable), None)


def _entry(kind: str, name: str, bundle: Listed) -> dict[str, Any]:
    entry = {"id": name, "lastModified": dated(bundle), "createdAt": dated(bundle), "private": False, "gated": False}
    entry |= {"disabled": False, "downloads": 0, "likes": 0, "tags": []}
    return entry | ({"modelId": name} if kind == "models" else {})


def _next(request: Request, kind: str, cursor: str) -> str:
    kept = {name: request.query[name] for name in ("search", "author") if name in request.query}
    return f"{request.base}/api/{kind}?{urlencode({**kept, 'cursor': cursor})}"
