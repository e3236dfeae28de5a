"""Takes the hub's addresses apart: type, repository, what is asked of it, revision, path."""

from typing import Final, NamedTuple
from urllib.parse import quote

_OF_API: Final = ("revision", "tree", "paths-info", "commits", "refs")
_OF_REVISION: Final = ("heads", "tags", "convert", "pr")  # what may follow `refs/`


class Route(NamedTuple):
    """``what``: ``resolve``, ``about``, ``tree``, ``paths-info``, ``commits`` or ``refs``."""

    type: str
    repository: str
    what: str
    revision: str
    path: str


def route_of(segments: tuple[str, ...]) -> Route | None:
    """What an address asks for. None: it is none of the hub's."""
    match segments:
        case ("api", "models" | "datasets" as kind, *rest):
            return _in_api(kind, tuple(rest))
        case ("datasets", *rest):
            return _resolve("datasets", tuple(rest))
    return _resolve("models", segments)


def address(route: Route, commit: str) -> str:
    """Where a file lies for good, below the prefix."""
    first = "/datasets/" if route.type == "datasets" else "/"
    return f"{first}{quote(route.repository)}/resolve/{commit}/{quote(route.path)}"


def _resolve(kind: str, segments: tuple[str, ...]) -> Route | None:
    repository, rest = _repository(segments, ("resolve",))
    if len(rest) < 3:
        return None
    revision, path = _revision(rest[1:])
    return Route(kind, repository, "resolve", revision, path) if path else None


def _in_api(kind: str, segments: tuple[str, ...]) -> Route | None:
    repository, rest = _repository(segments, _OF_API)
    match rest:
        case ():
            return Route(kind, repository, "about", "main", "")
        case ("refs",):
            return Route(kind, repository, "refs", "", "")
        case ("refs", *_) | (_,):
            return None
        case (word, *_) if word not in _OF_API:
            return None
    revision, path = _revision(rest[1:])
    what = "about" if rest[0] == "revision" else rest[0]
    if path and what != "tree":
        return None
    return Route(kind, repository, what, revision, path)


def _repository(segments: tuple[str, ...], words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The repository's name, and what follows. No repository is called like one of the words."""
    parts = 1 if len(segments) < 2 or segments[1] in words else 2
    return "/".join(segments[:parts]), segments[parts:]


def _revision(segments: tuple[str, ...]) -> tuple[str, str]:
    """The revision, whose slashes clients encode, but not all of them; and the path below it."""
    parts = 3 if segments[0] == "refs" and len(segments) > 2 and segments[1] in _OF_REVISION else 1
    return "/".join(segments[:parts]), "/".join(segments[parts:])
