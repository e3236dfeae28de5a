"""Answers clients of npm: packages for npm and npx.

- ``/NAME``: the document of a package; ``/NAME/VERSION``, ``/NAME/TAG``: one version of it
- ``/NAME/-/FILE.tgz``: a package
- ``/-/...``: what npm asks besides: known weaknesses, of which this registry knows none, and whether it is there

A name with a scope may come as ``/@scope/name`` or ``/@scope%2fname``.
"""

from typing import Final

from receiver.gateway.answers import Answer, file_answer, json_answer, why_recalled
from receiver.gateway.npm.packument import Versions, versions_of
from receiver.gateway.packages import card_file
from receiver.gateway.request import Request
from receiver.gateway.view import View

ABBREVIATED: Final = "application/vnd.npm.install-v1+json"
_VARY: Final = {"Vary": "Accept"}
_AUDITED: Final = {
    "actions": [],
    "advisories": {},
    "muted": [],
    "metadata": {
        "vulnerabilities": {"info": 0, "low": 0, "moderate": 0, "high": 0, "critical": 0},
        "dependencies": 0,
        "devDependencies": 0,
        "optionalDependencies": 0,
        "totalDependencies": 0,
    },
}
# npm asks these by POST, and fails an audit where they are not answered
_AUDITS: Final = {"security/advisories/bulk": {}, "security/audits/quick": _AUDITED, "security/audits": _AUDITED}


def answer(request: Request, view: View) -> Answer:
    """One request. Raises TokenNeededError."""
    parts = [part for part in request.path.split("/") if part]
    if parts[:1] == ["-"]:
        return _service(request, view, parts[1:])
    if request.method not in ("GET", "HEAD"):
        return json_answer({"error": "this registry is read-only"}, 405, headers={"Allow": "GET, HEAD"})
    name, rest = _split(parts)
    match rest:
        case _ if not name:
            return _not_found()
        case []:
            return _document(request, versions_of(view, request.base, name))
        case ["-", *_, filename]:
            return _tarball(versions_of(view, request.base, name), filename)
        case [wanted]:
            return _version(versions_of(view, request.base, name), wanted)
    return _not_found()


def _split(parts: list[str]) -> tuple[str, list[str]]:
    """(the package's name, what follows it); no name: there is none."""
    if parts and parts[0].startswith("@"):
        return "/".join(parts[:2]) if len(parts) > 1 else "", parts[2:]
    return (parts[0], parts[1:]) if parts else ("", [])


def _service(request: Request, view: View, parts: list[str]) -> Answer:
    """What npm asks of the registry itself."""
    if request.method == "POST" and parts[:2] == ["npm", "v1"]:
        audited = _AUDITS.get("/".join(parts[2:]))
        return _not_found() if audited is None else json_answer(audited)
    if request.method in ("GET", "HEAD") and parts == ["ping"]:
        return json_answer({})
    if request.method in ("GET", "HEAD") and parts[:1] == ["package"] and parts[-1:] == ["dist-tags"]:
        tags = versions_of(view, request.base, "/".join(parts[1:-1])).tags()
        return json_answer(tags) if tags else _not_found()
    return _not_found()


def _not_found() -> Answer:
    return json_answer({"error": "not_found"}, 404)


def _recalled(versions: Versions, version: str) -> Answer | None:
    """The loud answer for a recalled version: npm shows ``error``."""
    bundle = versions.packages[version].recalled
    if bundle is None:
        return None
    why = why_recalled(bundle)
    return json_answer({"error": why}, 410, reason=why, of=bundle)


def _document(request: Request, versions: Versions) -> Answer:
    """The document of a package. When all its versions are recalled, it is gone, too."""
    if not versions.offered:
        recalled = versions.recalled
        gone = max(recalled, key=lambda version: recalled[version].recalled) if recalled else None
        return (_recalled(versions, gone) if gone else None) or _not_found()
    is_short = ABBREVIATED in request.headers.get("accept", "")
    return json_answer(versions.document(), media_type=ABBREVIATED if is_short else "application/json", headers=_VARY)


def _version(versions: Versions, wanted: str) -> Answer:
    """One version, by its number or by a tag."""
    version = wanted if wanted in versions.packages else versions.tags().get(wanted)
    if version is None:
        return _not_found()
    if gone := _recalled(versions, version):
        return gone
    if versions.packages[version].served is None:
        return _not_found()
    return json_answer(versions.manifest(version))


def _tarball(versions: Versions, filename: str) -> Answer:
    """A package, by the file name that its name and version make."""
    begin = f"{versions.name.rpartition('/')[2]}-"
    version = filename.removeprefix(begin).removesuffix(".tgz")
    if filename != f"{begin}{version}.tgz" or version not in versions.packages:
        return _not_found()
    if gone := _recalled(versions, version):
        return gone
    holder = versions.packages[version].served
    file = card_file(versions.view, holder) if holder else None
    return file_answer(holder.bundle, file) if holder and file else _not_found()
