"""Packages that ``npm pack`` wrote, and what was saved beside them.

- ``package-lock.json``, ``npm-shrinkwrap.json``: address and integrity of each package
- what ``npm pack --json`` prints: integrity and SHA-1
- what ``npm view NAME --json`` prints, or the registry's document of a package: dates and dist-tags

The last two are not packed. A lock file is: people behind the wall install by it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from diode.content.allowance import Allowance
from diode.layouts.package_json import package_of
from diode.layouts.source import SourceFile
from sender.staging.documents import MAX_DOCUMENT_BYTES, date_of, hex_at, part, sha512_of, text, value_of
from sender.staging.found import Found
from sender.staging.recognised import Recognised

MOST_DOCUMENTS: Final = 200
LOCKS: Final = ("package-lock.json", "npm-shrinkwrap.json")
_ENDING: Final = ".tgz"
_AT: Final = re.compile(r"(?:.*/)?node_modules/((?:@[^/]+/)?[^/]+)")

Package = tuple[str, str]  # its name and version


class _Said(NamedTuple):
    """What one document says: of packages, and (of the registry's) the names of versions."""

    files: dict[Package, SourceFile]
    tags: Mapping[str, Any]
    is_packed: bool


def is_here(found: Found) -> bool:
    """Whether a package lies at the top."""
    return any(True for _ in _paths(found))


def recognise(found: Found) -> Recognised:
    """A folder of packages. One package gives its name, one version of it the version. Raises ValueError, OSError."""
    packages = dict(_packages(found))
    documents = dict(_documents(found))
    names = {name for name, _ in packages.values()}
    name = names.pop() if len(names) == 1 else ""
    versions = {version for _, version in packages.values()}
    version = versions.pop() if name and len(versions) == 1 else ""
    tags = [
        str(tag)[:255]
        for said in documents.values()
        for tag, tagged in said.tags.items()
        if version and tagged == version and said.files.get((name, version))
    ]
    files = {path: one for path, package in packages.items() if (one := _merged(documents.values(), package))}
    left_out = tuple(path for path, said in documents.items() if not said.is_packed)
    return Recognised("npm", name, version, version, tags=tuple(tags), files=files, left_out=left_out)


def _paths(found: Found) -> Iterator[str]:
    return (path for path in found.paths if path.endswith(_ENDING) and "/" not in path)


def _packages(found: Found) -> Iterator[tuple[str, Package]]:
    """(path, (name, version)) of each package, by its own ``package.json``."""
    paths = list(_paths(found))
    allowance = Allowance.for_item(sum(file.size for file in found.table() if file.path in paths))
    for path in paths:
        file = found.get(path)
        assert file is not None
        try:
            said = package_of(found, file, allowance)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        yield path, (said["name"], said["version"])


def _documents(found: Found) -> Iterator[tuple[str, _Said]]:
    paths = [path for path in found.paths if path.endswith(".json") and "/" not in path]
    for path in paths[:MOST_DOCUMENTS]:
        value = value_of(found.read(path, MAX_DOCUMENT_BYTES))
        if path in LOCKS:
            yield path, _Said(dict(_of_lock(value)), {}, is_packed=True)
        elif isinstance(value, list) and value and text(value[0], "filename") and text(value[0], "integrity", 1024):
            yield path, _Said(dict(_of_pack(value)), {}, is_packed=False)
        elif part(value, "dist-tags"):
            yield path, _Said(dict(_of_registry(value)), part(value, "dist-tags"), is_packed=False)


def _of_lock(value: Any) -> Iterator[tuple[Package, SourceFile]]:
    for at, one in part(value, "packages").items():
        if match := _AT.fullmatch(at):
            yield (
                (text(one, "name") or match[1], text(one, "version")),
                SourceFile(sha512=sha512_of(text(one, "integrity", 1024)), url=text(one, "resolved", 2048) or None),
            )


def _of_pack(value: list[Any]) -> Iterator[tuple[Package, SourceFile]]:
    for one in value:
        yield (
            (text(one, "name"), text(one, "version")),
            SourceFile(sha512=sha512_of(text(one, "integrity", 1024)), sha1=hex_at(one, "shasum", 40)),
        )


def _of_registry(value: Any) -> Iterator[tuple[Package, SourceFile]]:
    name, newest, times = text(value, "name"), text(value, "version"), part(value, "time")
    versions = {newest: value} if newest else {str(key): one for key, one in part(value, "versions").items()}
    for version in {*versions, *times}:
        dist = part(versions.get(version), "dist")
        yield (
            (name, version),
            SourceFile(
                uploaded=date_of(text(times, version)),
                sha512=sha512_of(text(dist, "integrity", 1024)),
                sha1=hex_at(dist, "shasum", 40),
                url=text(dist, "tarball", 2048) or None,
            ),
        )


def _merged(documents: Any, package: Package) -> SourceFile | None:
    """What all documents say of a package. Raises ValueError where two of them differ in a digest or a date."""
    merged: dict[str, str] = {}
    for said in documents:
        one = said.files.get(package)
        for key, value in (one.model_dump(exclude_none=True) if one else {}).items():
            if key != "url" and merged.setdefault(key, value) != value:
                raise ValueError(f"{'@'.join(package)}: {key} is {merged[key]} by one document, {value} by another")
            merged.setdefault(key, value)
    return SourceFile.model_validate(merged) if merged else None
