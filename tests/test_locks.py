"""The locks of docs/locks: what `make` installs has a version and its digests, within the bounds of pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / "docs" / "locks"
EXTRAS = {
    "runtime": (),
    "gateway": ("gateway",),
    "ingest": ("ingest",),
    "dev": ("dev",),
    "fuzz": ("fuzz",),
    "release": ("release",),
}


def locked(name: str) -> list[tuple[Requirement, list[str]]]:
    """(requirement, digests) of each entry of a lock."""
    text = re.sub(r"^#.*\n", "", (LOCKS / f"{name}.txt").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    entries = [line.split(" --hash=sha256:") for line in re.sub(r"\s+--hash", " --hash", text).splitlines() if line]
    return [(Requirement(entry[0]), [digest.strip() for digest in entry[1:]]) for entry in entries]


def wanted(extras: tuple[str, ...]) -> list[Requirement]:
    """What pyproject.toml asks for, extras of our own resolved."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found, ours = [Requirement(text) for text in project["dependencies"]], list(extras)
    while ours:
        for text in project["optional-dependencies"][ours.pop()]:
            requirement = Requirement(text)
            if requirement.name == "diode":
                ours.extend(requirement.extras)
            else:
                found.append(requirement)
    return found


@pytest.mark.parametrize("name", ["build", *EXTRAS])
def test_entries_are_pinned_by_digest(name: str) -> None:
    """Each entry has one version and at least one SHA-256; none names a place to fetch it from."""
    loose = [
        str(requirement)
        for requirement, digests in locked(name)
        if not re.fullmatch(r"==[^,*]+", str(requirement.specifier))
        or not digests
        or not all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in digests)
        or requirement.url
    ]
    assert ([], False) == (loose, "://" in (LOCKS / f"{name}.txt").read_text())


@pytest.mark.parametrize(("name", "extras"), EXTRAS.items())
def test_locks_follow_pyproject(name: str, extras: tuple[str, ...]) -> None:
    """Whatever pyproject.toml asks for is in the lock, in a version that it takes: `make lock` mends it."""
    versions: dict[str, list[str]] = {}
    for requirement, _ in locked(name):
        versions.setdefault(canonicalize_name(requirement.name), []).append(str(requirement.specifier)[2:])
    astray = [
        str(asked)
        for asked in wanted(extras)
        if not (there := versions.get(canonicalize_name(asked.name))) or not all(v in asked.specifier for v in there)
    ]
    assert [] == astray


def test_locks_agree() -> None:
    """Tests, fuzzers and the release run with the versions that are installed at run time; so does the gateway."""
    runtime = {str(requirement) for requirement, _ in locked("runtime")}
    for name in ("gateway", "ingest", "dev", "fuzz", "release"):
        assert set() == runtime - {str(requirement) for requirement, _ in locked(name)}
    for name in ("gateway", "ingest"):
        assert set() == {str(one) for one, _ in locked(name)} - {str(one) for one, _ in locked("dev")}


def test_nothing_is_installed_unlocked() -> None:
    """Each installation of the Makefile goes by digests, or takes nothing but the project itself."""
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    installs = [line for line in makefile.splitlines() if re.search(r"\$\(PIP\) (install|download|wheel)", line)]
    assert [] == [line for line in installs if "--require-hashes" not in line and "--no-deps" not in line]
    dockerfile = (ROOT / "docs" / "docker" / "Dockerfile").read_text()
    assert "--require-hashes" in dockerfile


def test_the_wheel_carries_types() -> None:
    """Each package that is built has its ``py.typed``, and the classifier that says so stands in pyproject.toml."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert ["diode", "sender", "receiver"] == packages
    assert [] == [package for package in packages if not (ROOT / package / "py.typed").is_file()]
    assert "Typing :: Typed" in pyproject["project"]["classifiers"]


def test_each_dependency_has_its_line() -> None:
    """Whoever approves what is installed finds every package of the project in docs/dependencies.md."""
    page = (ROOT / "docs" / "dependencies.md").read_text()
    asked = [*wanted(()), *wanted(("dev",)), *wanted(("fuzz",)), *wanted(("release",))]
    assert [] == sorted({one.name for one in asked if not re.search(rf"\b{re.escape(one.name)}\b", page)})
