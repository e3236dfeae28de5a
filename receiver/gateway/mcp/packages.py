"""The packages that an MCP server names: whether they are in the inbox, and where clients get them from.

What a publisher wrote leads to registries on the internet. So each address is replaced when the server is shown, never
in the bundle.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from diode.errors import StorageError
from diode.layouts.kinds import Kind
from diode.layouts.names import normal_form
from receiver.catalogue.snapshot import Listed
from receiver.gateway.oci.digests import holds
from receiver.gateway.oci.tags import image_of
from receiver.gateway.request import Request
from receiver.gateway.view import View

_Look = Callable[[View, Listed, Mapping[str, Any]], Listed | None]

FILES: Final = "files"  # below the protocol's prefix: mcpb packages, by server and digest
_UNUSUAL: Final = re.compile(r"[^A-Za-z0-9._-]+")
_BESIDE: Final[Mapping[str, str]] = {"pypi": "/pypi", "npm": "/_npm", "oci": "/v2"}  # where this lies at /mcp


class Missing(NamedTuple):
    """What of a server's packages cannot be had, in a sentence. ``recalled``: the bundle that held it, if one did."""

    sentence: str
    recalled: Listed | None


def missing(view: View, one: Listed, server: Mapping[str, Any]) -> Missing | None:
    """The first of a server's packages that cannot be had; None: all can. ``one``: the server's own bundle."""
    for package in server.get("packages", ()):
        kind, named = package["registryType"], package["identifier"]
        holder = _LOOKS[kind](view, one, package)
        if holder is None or not holder.is_servable:
            version = f" {package['version']}" if "version" in package else ""
            return Missing(f"its {kind} package {named[:200]}{version} is not in the inbox", holder)
    return None


def shown(request: Request, server: Mapping[str, Any]) -> dict[str, Any]:
    """A server with the gateway's own addresses."""
    packages = [_rewritten(request, server["name"], package) for package in server.get("packages", ())]
    return {**server, "packages": packages} if packages else dict(server)


def _rewritten(request: Request, server: str, package: Mapping[str, Any]) -> dict[str, Any]:
    kind, named = package["registryType"], package["identifier"]
    if kind == "mcpb":
        name = _UNUSUAL.sub("-", unquote(named).rpartition("/")[2]).strip(".-") or "package.mcpb"
        return {**package, "identifier": f"{request.base}/{FILES}/{server}/{package['fileSha256']}/{name}"}
    base = _base(request, kind)
    if kind != "oci":
        return {**package, "registryBaseUrl": base}
    base = base.removesuffix("/v2")
    repository, ending = _reference(named)
    image = f"{base.partition('://')[2]}/{normal_form('oci', repository)}{ending}"
    own = {"identifier": image, **({"registryBaseUrl": base} if "registryBaseUrl" in package else {})}
    # VS Code puts a version behind the identifier, which would then have two tags
    return {key: value for key, value in {**package, **own}.items() if key != "version" or not ending}


def _base(request: Request, kind: str) -> str:
    """The address of another protocol: as configured, or beside this one."""
    given = request.bases.get(kind, "")
    return given or request.base.removesuffix("/mcp") + _BESIDE[kind]


def _reference(image: str) -> tuple[str, str]:
    """A repository, and the tag or digest behind it with its sign."""
    name, at, digest = image.partition("@")
    last = name.rpartition("/")[2]
    colon = last.find(":")
    repository = name if colon < 0 else name[: colon - len(last)]
    tag = "" if colon < 0 else last[colon:]
    return repository, f"@{digest}" if at else tag


def _holder_of_project(kind: Kind) -> _Look:
    """Looks for a package of a kind, in the version that is named."""

    def look(view: View, _: Listed, package: Mapping[str, Any]) -> Listed | None:
        normal = normal_form(kind, package["identifier"])
        holding = [
            one
            for one in view.snapshot.holding(kind, normal)
            if _has_version(view, one, kind, normal, package.get("version"))
        ]
        return next((one for one in holding if one.is_servable), next(iter(holding), None))

    return look


def _has_version(view: View, one: Listed, kind: Kind, normal: str, wanted: str | None) -> bool:
    if one.state == "removed":
        return False
    try:
        found = view.card(one).json(kind, normal)
    except StorageError:
        return False
    return wanted is None or found is None or any(entry.get("version") == wanted for entry in found)


def _holder_of_image(view: View, _: Listed, package: Mapping[str, Any]) -> Listed | None:
    repository, ending = _reference(package["identifier"])
    normal = normal_form("oci", repository)
    bundles = view.snapshot.holding("oci", normal)
    if ending.startswith("@"):
        holding = [one for one in bundles if holds(view, one, "oci.manifest", ending[1:])]
        return next((one for one in holding if one.is_servable), next(iter(holding), None))
    found = image_of(view, bundles, normal, ending[1:] or package.get("version") or "latest")
    return found.bundle if found else None


def _holder_of_file(_: View, one: Listed, __: Mapping[str, Any]) -> Listed:
    return one  # the maker has taken no server whose files are not in its bundle


_LOOKS: Final[Mapping[str, _Look]] = {
    "pypi": _holder_of_project("pypi"),
    "npm": _holder_of_project("npm"),
    "oci": _holder_of_image,
    "mcpb": _holder_of_file,
}
