"""Lists the files and folders of one commit: a tree, page by page, or what a client asks about by its paths."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from diode.formats.strict_json import read_json
from receiver.gateway.answers import Answer, json_answer
from receiver.gateway.hub.documents import dated, file_entry, folder_entry, shown_files
from receiver.gateway.hub.refusals import bad_question, no_entry
from receiver.gateway.hub.repository import Asked, Repository
from receiver.gateway.hub.routes import Route
from receiver.gateway.request import Request

PAGE: Final = 5000  # entries on a page of a tree
MOST_PATHS: Final = 10_000  # that one request may ask about
_FORM: Final = "application/x-www-form-urlencoded"

Entry = dict[str, Any]


def page_of_tree(request: Request, route: Route, repository: Repository, asked: Asked) -> Answer:
    """One page of a tree. The next one's address has the commit in it, so that no two versions mix."""
    below = f"{route.path}/" if route.path else ""
    is_deep = request.query.get("recursive", "").lower() in ("true", "1")
    cursor = request.query.get("cursor", "")
    found = list(islice(_entries(repository, asked, below, cursor, is_deep=is_deep), PAGE + 1))
    entries = found[:PAGE]
    if not entries and not cursor and below:
        raise no_entry(route.path, asked)
    headers = {"X-Repo-Commit": asked.commit}
    if len(found) > PAGE:
        last = entries[-1]["path"] + ("/" if entries[-1]["type"] == "directory" else "")
        headers["Link"] = f'<{_next(request, route, asked, last)}>; rel="next"'
    _date(request.query.get("expand", ""), entries, asked)
    return json_answer(entries, headers=headers, of=asked.bundle)


def found_paths(request: Request, repository: Repository, asked: Asked) -> Answer:
    """What lies at each of the paths that were posted; nothing of those at which nothing lies."""
    paths, expand = _posted(request)
    found = [entry for path in paths if (entry := _at(repository, asked, path.strip("/"))) is not None]
    _date(expand, found, asked)
    return json_answer(found, headers={"X-Repo-Commit": asked.commit}, of=asked.bundle)


def _entries(repository: Repository, asked: Asked, below: str, cursor: str, *, is_deep: bool) -> Iterator[Entry]:
    """Files and folders in the order of their paths, behind ``cursor``. Each folder stands before what it holds."""
    seen, start = _seen(below, cursor)
    while True:
        for file in shown_files(repository, asked.bundle, below, start):
            if file.path == cursor:
                continue
            folders = list(_folders(file.path, len(below)))
            yield from (folder_entry(one) for one in folders[: len(folders) if is_deep else 1] if one not in seen)
            seen = set(folders)
            if folders and not is_deep:
                start = _behind(folders[0])  # whatever it holds is not listed
                break
            yield file_entry(file)
        else:
            return


def _seen(below: str, cursor: str) -> tuple[set[str], str]:
    """The folders that the page before has listed, and where this one begins."""
    if cursor.endswith("/"):
        return {cursor.rstrip("/"), *_folders(cursor, len(below))}, cursor
    return set(_folders(cursor, len(below))), cursor


def _folders(path: str, skip: int) -> Iterator[str]:
    """The folders that a path leads through, outermost first; those of the first ``skip`` characters left out."""
    at = path.find("/", skip)
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)


def _behind(folder: str) -> str:
    """The first path that no file of a folder has: ``0`` follows the slash."""
    return f"{folder}0"


def _next(request: Request, route: Route, asked: Asked, cursor: str) -> str:
    kept = {name: request.query[name] for name in ("recursive", "expand") if name in request.query}
    place = f"/api/{route.type}/{quote(route.repository)}/tree/{asked.commit}/{quote(route.path)}".rstrip("/")
    return f"{request.base}{place}?{urlencode({**kept, 'cursor': cursor})}"


def _at(repository: Repository, asked: Asked, path: str) -> Entry | None:
    file = repository.view.card(asked.bundle).file(path)
    if file is not None:
        return file_entry(file)
    is_folder = path and next(shown_files(repository, asked.bundle, f"{path}/"), None)
    return folder_entry(path) if is_folder else None


def _posted(request: Request) -> tuple[list[str], str]:
    """The paths, and whether dates are wanted. Raises NotServedError."""
    try:
        if request.headers.get("content-type", "").startswith(_FORM):
            fields = parse_qsl(request.body.decode(), keep_blank_values=True, max_num_fields=MOST_PATHS + 10)
            said: Any = {"paths": [value for name, value in fields if name == "paths"], **_rest(fields)}
        else:
            said = read_json(request.body)
        paths, expand = said["paths"], said.get("expand", "")
        paths = [paths] if isinstance(paths, str) else paths
        if not (isinstance(paths, list) and all(isinstance(path, str) for path in paths)) or len(paths) > MOST_PATHS:
            raise ValueError("no list of paths")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise bad_question(f"a list of at most {MOST_PATHS} paths is expected") from None
    return paths, json.dumps(expand) if isinstance(expand, bool) else str(expand)


def _rest(fields: list[tuple[str, str]]) -> dict[str, str]:
    return {name: value for name, value in fields if name == "expand"}


def _date(expand: str, entries: list[Entry], asked: Asked) -> None:
    """Say of each entry which commit it is from, where that was asked for."""
    if expand.lower() in ("true", "1"):
        commit = {"id": asked.commit, "title": asked.bundle.version, "date": dated(asked.bundle)}
        for entry in entries:
            entry["lastCommit"] = commit
