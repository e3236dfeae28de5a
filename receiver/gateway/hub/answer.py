"""Answers clients of Hugging Face: models and data sets, under the addresses of its hub.

A file has a body under a commit alone: 40 hexadecimal digits. ``main``, tags and versions move, so they redirect to the
commit that they mean now. A client that asks twice, or resumes, cannot mix two versions then.
"""

from typing import Final

from diode.errors import StorageError
from receiver.gateway.answers import Answer, file_answer, json_answer, redirect
from receiver.gateway.hub.documents import about, commits, refs
from receiver.gateway.hub.listing import found_paths, page_of_tree
from receiver.gateway.hub.names import repositories
from receiver.gateway.hub.refusals import NotServedError, no_address, no_entry, no_revision, no_way, refusal
from receiver.gateway.hub.repository import Asked, Repository
from receiver.gateway.hub.routes import Route, address, route_of
from receiver.gateway.request import Request
from receiver.gateway.view import View

_READS: Final = ("GET", "HEAD")


def answer(request: Request, view: View) -> Answer:
    """One request."""
    try:
        if request.method not in _READS and not _is_question(request):
            raise no_way(request.method)
        return _fixed(request, view) or _of_repository(request, view)
    except NotServedError as error:
        return refusal(error)
    except StorageError:  # its words name files of this machine
        return refusal(no_revision(request.path, "it cannot be read here; who runs this gateway must look at it"))


def _is_question(request: Request) -> bool:
    """Whether it posts a list of paths, to be told of: that changes nothing."""
    return request.method == "POST" and "paths-info" in request.segments[3:5]


def _fixed(request: Request, view: View) -> Answer | None:
    match request.segments:
        case ("api", "models" | "datasets" as kind):
            return repositories(request, view, kind)
        case ("api", "whoami-v2"):
            return _who(request)
    return None


def _who(request: Request) -> Answer:
    """``hf auth whoami``: tokens are a channel's here, so nobody has a name."""
    if "authorization" not in request.headers:
        return json_answer({"error": "no token was sent"}, 401, headers={"X-Error-Message": "no token was sent"})
    auth = {"type": "access_token", "accessToken": {"displayName": "client", "role": "read"}}
    named = dict.fromkeys(("id", "name", "fullname"), "client")
    return json_answer({"type": "user", **named, "orgs": [], "auth": auth})


def _of_repository(request: Request, view: View) -> Answer:
    route = route_of(request.segments)
    if route is None:
        raise no_address(request.segments)
    repository = Repository.find(view, route.type, route.repository)
    if route.what == "refs":
        return refs(repository)
    asked = repository.asked(route.revision, request)
    match route.what:
        case "resolve":
            return _file(request, route, repository, asked)
        case "tree":
            return page_of_tree(request, route, repository, asked)
        case "paths-info":
            return found_paths(request, repository, asked)
        case "commits":
            return commits(repository, asked)
    return about(request, repository, asked)


def _file(request: Request, route: Route, repository: Repository, asked: Asked) -> Answer:
    """A file; under a name that moves, where it lies."""
    file = repository.view.card(asked.bundle).file(route.path)
    if file is None:
        raise no_entry(route.path, asked)
    headers = {"X-Repo-Commit": asked.commit}
    if asked.is_moving:
        place = request.prefix + address(route, asked.commit)
        return redirect(place, headers=headers, is_moving=True, of=asked.bundle)
    return file_answer(asked.bundle, file, headers=headers)
