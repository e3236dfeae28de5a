"""npm packages: what each package of the item depends on is there, in the version that npm would take.

npm installs several versions of a package beside one another, so each dependency is judged alone. What a package
bundles is in it.
"""

from collections.abc import Iterator
from typing import Any, Final

from diode.config.closure import NodeTarget
from diode.layouts.files import File, Files
from diode.layouts.package_json import package_of
from sender.closure.npm_lock import check_locks
from sender.closure.npm_platforms import fits, speaks_of
from sender.closure.npm_versions import Wanted, newest, wanted
from sender.closure.shelf import Shelf

MOST_PACKAGES: Final = 500_000

Packages = dict[str, dict[str, dict[str, Any]]]  # name: version: what its package.json says


def check_npm(targets: tuple[NodeTarget, ...], shelf: Shelf) -> None:
    """Report what is missing."""
    everything: Packages = {}
    own = [said for files in shelf.all for said in _read_all(shelf, files, everything)]
    for target in targets:
        for said in own:
            shelf.tick()
            if fits(said, target):
                _check_one(said, target, everything, shelf)
        _check_offered(own, target, everything, shelf)
    check_locks(targets, shelf)


def _read_all(shelf: Shelf, files: Files, everything: Packages) -> Iterator[dict[str, Any]]:
    """Take in all packages; gives those of the item."""
    for file in files.table():
        if not file.path.endswith(".tgz"):
            continue
        shelf.tick()
        said = _maybe_read(shelf, files, file)
        if said is None:
            continue
        everything.setdefault(said["name"], {})[said["version"]] = said
        if len(everything) > MOST_PACKAGES:
            raise ValueError(f"more than {MOST_PACKAGES} packages")
        if files is shelf.item:
            shelf.report.counts["packages"] += 1
            yield said


def _maybe_read(shelf: Shelf, files: Files, file: File) -> dict[str, Any] | None:
    try:
        return package_of(files, file, shelf.allowance)
    except (ValueError, OSError) as error:
        if files is shelf.item:
            name = file.path.rpartition("/")[2]
            shelf.report.add("every target", name, f"it cannot be installed: {error}")
        return None


def _check_offered(own: list[dict[str, Any]], target: NodeTarget, everything: Packages, shelf: Shelf) -> None:
    """A package that nothing here needs was sent for itself: some version of it must fit."""
    needed = {want.name for said in own for want, _ in _needs(said)}
    for name in sorted({said["name"] for said in own} - needed):
        if not any(fits(said, target) for said in everything[name].values()):
            shelf.report.add(str(target), name, "what is there of it is for other platforms")


def _check_one(said: dict[str, Any], target: NodeTarget, everything: Packages, shelf: Shelf) -> None:
    for want, is_optional in _needs(said):
        versions = everything.get(want.name, {})
        taken = None if want.elsewhere else newest(versions, want.range)
        if taken is not None and (is_optional or fits(versions[taken], target)):
            continue
        if is_optional and not speaks_of(want.name, target):
            continue
        shelf.report.add(str(target), want.name, _why(want, said, sorted(versions), taken))


def _why(want: Wanted, said: dict[str, Any], there: list[str], taken: str | None) -> str:
    asked = f"{want.range[:100] or '*'} is needed by {said['name']} {said['version']}"
    if want.elsewhere:
        return f"{asked}, from an address that cannot be reached behind the wall"
    if taken is not None:
        return f"{asked}; {taken} is for other platforms"
    return f"{asked}; there are {', '.join(there[-3:])}" if there else f"{asked}, and no version of it is there"


def _needs(said: dict[str, Any]) -> Iterator[tuple[Wanted, bool]]:
    """(what, whether npm does without) of each dependency that is not in the package itself."""
    bundled = set(said.get("bundleDependencies", []))
    optional: dict[str, str] = said.get("optionalDependencies", {})
    for key, spec in said.get("dependencies", {}).items():
        if key not in bundled and key not in optional:
            yield wanted(key, spec), False
    for key, spec in optional.items():
        if key not in bundled:
            yield wanted(key, spec), True
    meta = said.get("peerDependenciesMeta", {})
    for key, spec in said.get("peerDependencies", {}).items():
        if key not in bundled and key not in meta and key not in said.get("dependencies", {}):
            yield wanted(key, spec), False
