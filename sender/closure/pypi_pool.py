"""The Python packages of a shelf: every wheel and source archive, what it needs, and what building it needs.

Nothing of a package is run. A source archive that says what it needs only when its code is run is marked as such.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from diode.content.archives.picked import pick_from_tar_gz, pick_from_zip
from diode.layouts.files import File, Files
from diode.layouts.python_package import ENDINGS, MAX_METADATA_BYTES, metadata_of, named_by
from sender.closure.pypi_targets import Target
from sender.closure.shelf import Shelf

MOST_PACKAGES: Final = 200_000
MOST_NEEDS: Final = 2_000  # of one package
_STATIC_FROM: Final = (2, 2)  # from this version of core metadata on, what PKG-INFO says holds for what is built
_USUAL_BUILD: Final = ["setuptools>=40.8.0"]  # where pyproject.toml names nothing (PEP 517, as pip and uv have it)


@dataclass(frozen=True, slots=True)
class Package:
    """One wheel or source archive. ``tags``: of a wheel; None: a source archive. ``unsaid``: why its needs are unknown.

    ``of_item``: it lies in the item itself.
    """

    path: str
    name: str
    version: Version
    python: SpecifierSet
    needs: tuple[Requirement, ...]
    tags: frozenset[Tag] | None
    builds: tuple[Requirement, ...]
    unsaid: str
    of_item: bool

    def fits(self, target: Target) -> bool:
        """Whether this Python takes it, or can build it."""
        return self.python.contains(target.version, prereleases=True) and (
            self.tags is None or not self.tags.isdisjoint(target.tags)
        )


Pool = dict[str, dict[Version, list[Package]]]


def read_pool(shelf: Shelf) -> Pool:
    """All packages by name and version. One that cannot be read is reported as missing, since nobody can install it."""
    pool: Pool = {}
    for files in shelf.all:
        for file in files.table():
            if not file.path.endswith(ENDINGS):
                continue
            shelf.tick()
            for package in _maybe_read(shelf, files, file):
                pool.setdefault(package.name, {}).setdefault(package.version, []).append(package)
                shelf.report.counts["packages"] += package.of_item
            if len(pool) > MOST_PACKAGES:
                raise ValueError(f"more than {MOST_PACKAGES} projects")
    return pool


def best(packages: list[Package], target: Target) -> Package | None:
    """The file of one version that pip and uv take: a wheel that fits, else the source."""
    fitting = [package for package in packages if package.fits(target)]
    return min(fitting, key=lambda package: package.tags is None, default=None)


def _maybe_read(shelf: Shelf, files: Files, file: File) -> Iterator[Package]:
    name = file.path.rpartition("/")[2]
    try:
        if (named := named_by(name)) is not None:
            yield _read(shelf, files, file, named)
    except (ValueError, OSError, InvalidRequirement, InvalidSpecifier) as error:
        if files is shelf.item:
            shelf.report.add("every target", name, f"it cannot be installed: {error}")


def _read(shelf: Shelf, files: Files, file: File, named: tuple[str, str]) -> Package:
    name, version = canonicalize_name(named[0]), Version(named[1])
    is_wheel = file.path.endswith(".whl")
    said, _ = parse_email(metadata_of(files, file, shelf.allowance))
    if canonicalize_name(said.get("name", "")) != name or Version(said.get("version", "")) != version:
        raise ValueError("its metadata name another package than its file name does")
    needs = said.get("requires_dist", [])
    if len(needs) > MOST_NEEDS:
        raise ValueError(f"it needs more than {MOST_NEEDS} packages")
    return Package(
        file.path,
        name,
        version,
        SpecifierSet(said.get("requires_python", "")),
        tuple(map(Requirement, needs)),
        parse_wheel_filename(file.path.rpartition("/")[2])[3] if is_wheel else None,
        () if is_wheel else tuple(map(Requirement, _build_needs(shelf, files, file))),
        "" if is_wheel else _unsaid(dict(said)),
        files is shelf.item,
    )


def _unsaid(said: dict[str, Any]) -> str:
    """Why the metadata of a source archive do not say what it needs. Empty: they do."""
    version = str(said.get("metadata_version", "0"))
    numbers = tuple(int(part) if part.isdigit() else 0 for part in version.split("."))
    if numbers < _STATIC_FROM:
        return f"its metadata are of version {version}, which does not promise what a build will need"
    if {"requires-dist", "requires_dist"} & {str(word).lower() for word in said.get("dynamic", [])}:
        return "it says what it needs only when its code is run"
    return ""


def _build_needs(shelf: Shelf, files: Files, file: File) -> list[str]:
    """``build-system.requires`` of a source archive. Raises ValueError, OSError."""

    def is_wanted(name: str) -> bool:
        parts = name.split("/")
        return len(parts) == 2 and parts[1] == "pyproject.toml"

    pick = pick_from_zip if file.path.endswith(".zip") else pick_from_tar_gz
    with files.open(file.path) as content:
        found = pick(content, file.size, is_wanted, MAX_METADATA_BYTES, shelf.allowance)
    texts = {one.data for one in found}
    if len(texts) > 1:
        raise ValueError("it has two pyproject.toml")
    if not texts:
        return _USUAL_BUILD
    try:
        system = tomllib.loads(texts.pop().decode()).get("build-system", {})
    except RecursionError:
        raise ValueError("its pyproject.toml is nested too deeply") from None
    requires = system.get("requires", _USUAL_BUILD) if isinstance(system, dict) else None
    if not isinstance(requires, list) or len(requires) > MOST_NEEDS or not all(isinstance(x, str) for x in requires):
        raise ValueError("its pyproject.toml names no list of what a build needs")
    return requires
