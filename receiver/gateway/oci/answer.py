"""Answers clients of OCI: container images. Straight from layouts, by the distribution specification, reading alone.

Blobs and manifests are stored bytes, found by digest in the cards. A tag is answered in place: a manifest is small and
comes in one piece, and all that it names is asked for by digest.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote

from diode.layouts.names import normal_form
from receiver.catalogue.snapshot import Listed
from receiver.gateway.answers import BYTES, Answer, file_answer, json_answer
from receiver.gateway.oci.digests import owner
from receiver.gateway.oci.errors import API_VERSION, recalled, refusal, unknown
from receiver.gateway.oci.tags import image_of, tags_of
from receiver.gateway.request import Request
from receiver.gateway.view import TokenNeededError, View

INDEX: Final = "application/vnd.oci.image.index.v1+json"
MOST_REFERRERS: Final = 1000
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_NUMBER: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of one repository. ``name``: as the client wrote it; ``bundles``: those that hold any of it."""

    request: Request
    view: View
    name: str
    normal: str
    bundles: Sequence[Listed]
    reference: str = ""


def answer(request: Request, view: View) -> Answer:
    """One request. Raises TokenNeededError."""
    if request.method not in ("GET", "HEAD"):
        return _read_only("the enclave's images can be read alone: nothing is pushed or deleted here")
    match request.segments:
        case ():
            return _root(view)
        case ("_catalog",):
            return _catalog(request, view)
        case (*name, "tags", "list") if name:
            return _about(request, view, "/".join(name), _tags)
        case (*name, ("manifests" | "blobs" | "referrers") as what, reference) if name:
            return _about(request, view, "/".join(name), _ROUTES[what], reference)
        case _:
            return _read_only("there is no such address in the OCI distribution specification")


def _read_only(message: str) -> Answer:
    return refusal(405, "UNSUPPORTED", message, {"Allow": "GET, HEAD"})


def _root(view: View) -> Answer:
    """Whether this is a registry. Clients send a token later only if they are asked for one here.

    So it asks for one where no channel is open. Where some are, it does not: docker would then refuse to read those
    without a token.
    """
    if view.channels and view.channels <= view.closed:
        raise TokenNeededError(min(view.channels))
    return json_answer({}, headers=API_VERSION)


def _about(request: Request, view: View, name: str, route: Callable[[_Asked], Answer], reference: str = "") -> Answer:
    normal = normal_form("oci", _with_registry(request, name))
    try:
        bundles = view.holding(normal)
    except TokenNeededError as error:
        if name.startswith("library/") and request.base.startswith("http://"):
            # docker would send its login for Docker Hub, in the clear, to a mirror that asks for one
            return refusal(403, "DENIED", f"{error}, which is not asked for on plain http under this name")
        raise
    asked = _Asked(request, view, name, normal, bundles, reference)
    if not bundles and not _is_held(asked):
        return unknown("NAME_UNKNOWN", f"no bundle in use has a repository {name}")
    return route(asked)


def _with_registry(request: Request, name: str) -> str:
    """A repository with the registry that the client means, where it asks us in another one's place."""
    registry = request.host or request.query.get("ns", "")
    authority = request.base.split("://", 1)[-1].split("/", 1)[0]
    return f"{registry}/{name}" if registry and registry != authority else name


def _manifest(asked: _Asked) -> Answer:
    """A manifest by tag or by digest."""
    what = f"{asked.name}:{asked.reference}"
    digest = asked.reference
    is_tag = not _DIGEST.fullmatch(digest)
    if is_tag:
        found = image_of(asked.view, asked.bundles, asked.normal, asked.reference)
        if found is None:
            return _no_such_tag(asked, what)
        if not found.bundle.is_servable:
            return recalled("MANIFEST_UNKNOWN", what, found.bundle)
        first, digest = found
        return replace(_stored(asked, [first], digest, "oci.manifest", "MANIFEST_UNKNOWN"), is_moving=True)
    return _stored(asked, asked.bundles, digest, "oci.manifest", "MANIFEST_UNKNOWN")


def _no_such_tag(asked: _Asked, what: str) -> Answer:
    if _is_held(asked):
        return refusal(403, "DENIED", f"{what} is held: people must release it before it can be had", reason="Held")
    return unknown("MANIFEST_UNKNOWN", f"no bundle in use has {what}")


def _is_held(asked: _Asked) -> bool:
    """Whether a bundle of this name and version waits for people, as far as its name tells."""
    names = {asked.normal, asked.normal.rpartition("/")[2], *(one.name for one in asked.bundles)}
    is_waiting = asked.view.snapshot.is_waiting
    channels = asked.view.channels - asked.view.closed
    return any(is_waiting(channel, name, asked.reference) for channel in channels for name in names)


def _blob(asked: _Asked) -> Answer:
    if not _DIGEST.fullmatch(asked.reference):
        return refusal(400, "DIGEST_INVALID", "only digests like sha256:HEX are served")
    return _stored(asked, asked.bundles, asked.reference, "oci.blob", "BLOB_UNKNOWN")


def _stored(asked: _Asked, own: Sequence[Listed], digest: str, fact: str, code: str) -> Answer:
    """Stored bytes by digest, from a bundle that may be served."""
    one = owner(asked.view, own, fact, digest)
    if one is None:
        return unknown(code, f"no bundle in use has {asked.name}@{digest}")
    if not one.is_servable:
        return recalled(code, f"{asked.name}@{digest}", one)
    card = asked.view.card(one)
    file = card.by_sha256(digest.removeprefix("sha256:"))
    if file is None:
        return unknown(code, f"no bundle in use has {asked.name}@{digest}")
    media_type = (card.fact(fact, digest) or b"").decode() or BYTES
    return file_answer(one, file, media_type, headers={**API_VERSION, "Docker-Content-Digest": digest})


def _tags(asked: _Asked) -> Answer:
    """The tags of a repository, in pages."""
    tags = tags_of(asked.view, asked.bundles, asked.normal)
    gone = next((one for one in asked.bundles if one.state == "recalled"), None)
    if not tags and gone and not any(one.is_servable for one in asked.bundles):
        return recalled("NAME_UNKNOWN", asked.name, gone)
    return _page(asked.request, tags, lambda page: {"name": asked.name, "tags": page})


def _catalog(request: Request, view: View) -> Answer:
    """The repositories, by their normal names, in pages."""
    return _page(request, [normal for normal, _ in view.names()], lambda page: {"repositories": page})


def _page(request: Request, every: Sequence[str], shown: Callable[[list[str]], Mapping[str, Any]]) -> Answer:
    """``n`` entries after ``last``; a Link header leads to the next page. ``every``: sorted."""
    wanted = request.query.get("n", "")
    if wanted and not _NUMBER.fullmatch(wanted):
        return refusal(400, "PAGINATION_NUMBER_INVALID", "n must be a number")
    left = [entry for entry in every if entry > request.query.get("last", "")]
    page = left[: int(wanted)] if wanted else left
    headers = dict(API_VERSION)
    if page and len(page) < len(left):
        path = quote(f"{request.prefix or '/v2'}{request.path}")
        headers["Link"] = f'<{path}?n={wanted}&last={quote(page[-1], safe="")}>; rel="next"'
    return json_answer(shown(page), headers=headers)


def _referrers(asked: _Asked) -> Answer:
    """What is about a manifest: signatures, SBOMs. Those of recalled bundles are left out."""
    if not _DIGEST.fullmatch(asked.reference):
        return refusal(400, "DIGEST_INVALID", "only digests like sha256:HEX are served")
    found: dict[str, Any] = {}
    for one in asked.bundles:
        if one.is_servable:
            for entry in asked.view.card(one).json("oci.referrers", asked.reference) or []:
                found.setdefault(entry["digest"], entry)
    headers, wanted = dict(API_VERSION), asked.request.query.get("artifactType")
    if wanted:
        headers["OCI-Filters-Applied"] = "artifactType"
        found = {key: entry for key, entry in found.items() if entry.get("artifactType") == wanted}
    manifests = list(found.values())[:MOST_REFERRERS]
    return json_answer({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}, 200, INDEX, headers=headers)


_ROUTES: Final[Mapping[str, Callable[[_Asked], Answer]]] = {
    "manifests": _manifest,
    "blobs": _blob,
    "referrers": _referrers,
}
