"""MCP servers: the packages that a ``server.json`` starts from are there, and none of its settings names a registry."""

import re
from collections.abc import Iterator
from typing import Any, Final

from packaging.version import InvalidVersion, Version

from diode.formats.strict_json import read_json
from diode.layouts.mcp_document import MAX_SERVER_BYTES, read_server
from diode.layouts.names import normal_form
from diode.layouts.package_json import package_of
from diode.layouts.python_package import named_by
from sender.closure.shelf import Shelf

# options and variables of npm, npx, pip, pipx and uv, their words joined by hyphens
_OPTION: Final = re.compile(r"-i|-f|--?(?:@[^-]+-)?(?:registry|(?:extra-|default-)?index(?:-url)?|find-links)")
_VARIABLE: Final = re.compile(r"(?:npm|pnpm|yarn|bun)-.*registry.*|(?:pip|uv|pipx)-.*(?:index|find-links).*")
_REFERENCE: Final = "org.opencontainers.image.ref.name"


def check_mcp(shelf: Shelf) -> None:
    """Report what is missing, and what would ask a registry outside."""
    there: set[tuple[str, str, str]] | None = None
    for file in shelf.item.table():
        if file.path.rpartition("/")[2] != "server.json":
            continue
        shelf.tick()
        try:
            said = read_server(shelf.item.read(file.path, MAX_SERVER_BYTES))
        except (OSError, ValueError) as error:
            shelf.report.add("every target", file.path, f"it cannot be served: {error}")
            continue
        there = _there(shelf) if there is None else there
        for package in said.get("packages", []):
            shelf.report.counts["packages"] += 1
            _check_one(package, f"{said['name']} {said['version']}", there, shelf)


def _check_one(package: dict[str, Any], server: str, there: set[tuple[str, str, str]], shelf: Shelf) -> None:
    kind, identifier, version = package["registryType"], package["identifier"], package.get("version", "")
    if kind == "mcpb":
        is_there = ("mcpb", package["fileSha256"], "") in there
    elif kind == "oci":
        name, tag = _image(identifier)
        is_there = _is_there(there, kind, name, version or tag)
    else:
        is_there = _is_there(there, kind, normal_form(kind, identifier), _spelt(kind, version))
    if not is_there:
        shelf.report.add("every target", identifier, f"the {kind} package {version} of {server} is not there".strip())
    for where, word in _settings(package):
        shelf.report.add("every target", identifier, f"{where} of {server} sets a registry: {word[:100]}")


def _is_there(there: set[tuple[str, str, str]], kind: str, name: str, version: str) -> bool:
    names = (name, name.removeprefix("@").replace("/", "--"))
    wanted = {(kind, each, version) for each in names} | {("sent", each, version) for each in names}
    if version:
        return not there.isdisjoint(wanted)
    return any(one[0] in {kind, "sent"} and one[1] in names for one in there)


def _there(shelf: Shelf) -> set[tuple[str, str, str]]:
    """(kind, name, version) of every package in the item and beside, and of every bundle that was sent."""
    found = {("sent", name.lower(), version) for name, version in shelf.sent}
    for files in shelf.all:
        for file in files.table():
            shelf.tick()
            name = file.path.rpartition("/")[2]
            try:
                if name.endswith((".whl", ".tar.gz")) and (named := named_by(name)) is not None:
                    found.add(("pypi", *named))
                elif name.endswith(".tgz"):
                    said = package_of(files, file, shelf.allowance)
                    found.add(("npm", said["name"].lower(), said["version"]))
                elif name.endswith(".mcpb"):
                    found.add(("mcpb", file.sha256, ""))
                elif name == "index.json":
                    found |= {("oci", *_image(text)) for text in _references(files.read(file.path, MAX_SERVER_BYTES))}
            except (OSError, ValueError):
                continue  # the checks of their own kinds report these
    return found


def _references(index: bytes) -> Iterator[str]:
    said = read_json(index)
    for entry in said.get("manifests", []) if isinstance(said, dict) else []:
        name = entry.get("annotations", {}).get(_REFERENCE) if isinstance(entry, dict) else None
        if isinstance(name, str):
            yield name


def _image(reference: str) -> tuple[str, str]:
    """(repository, tag or digest) of an image's reference."""
    name, _, digest = reference.partition("@")
    head, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        return normal_form("oci", head), digest or tag
    return normal_form("oci", name), digest


def _spelt(kind: str, version: str) -> str:
    try:
        return str(Version(version)) if kind == "pypi" and version else version
    except InvalidVersion:
        return version


def _settings(package: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(where, what) of each argument or variable that sets a registry."""
    for one in package.get("runtimeArguments", []):
        options = [word.partition("=")[0] for key in ("name", "value", "default") if (word := one.get(key, ""))]
        if any(_OPTION.fullmatch(_hyphened(name)) for name in options):
            yield "runtimeArguments", f"{one.get('name', '')} {one.get('value', '')}".strip()
    for one in package.get("environmentVariables", []):
        if _VARIABLE.fullmatch(_hyphened(one["name"])):
            yield "environmentVariables", one["name"]


def _hyphened(name: str) -> str:
    return name.lower().replace("_", "-").replace(":", "-")
