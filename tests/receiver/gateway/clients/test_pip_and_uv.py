"""pip, oldest and newest, and uv against the gateway: what they install, and what they say when something is recalled.

Each version of the test's package has the same length, so that bytes of one under the name of another would fit.
"""

import http.client
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.package_clients import Done, Installer, Pip, Uv, Watched
from tests.packages import ask, sha256, source, text_of, wheel
from tests.serving import Serving

pytestmark = pytest.mark.clients

WHY = "leaks secrets, use 1.0"
MAKERS: dict[str, Callable[[Path, str], Installer]] = {
    "pip-23.0.1": lambda home, base: Pip(home, base, "23.0.1"),
    "pip-26.3": lambda home, base: Pip(home, base, "26.3"),
    "uv": Uv,
}


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    """A channel of Python packages, watched."""
    return Watched(Serving(tmp_path / "served", {"python": ("pypi",)}), "pypi")


@pytest.fixture
def base(watched: Watched) -> Iterator[str]:
    """The gateway's address."""
    with watched.serving.running(watched.mounts) as address:
        yield address


@pytest.fixture(params=MAKERS)
def client(request: pytest.FixtureRequest, tmp_path: Path, base: str) -> Installer:
    """Each client."""
    return MAKERS[request.param](tmp_path, base)


def publish(watched: Watched, version: str, **rest: str) -> tuple[str, str]:
    """Publish a version of the package; returns the bundle's id, and the path of the wheel below the prefix."""
    files = wheel("acme-tool", f"{version}.0")
    ((name, content),) = files.items()
    return watched.serving.publish("python", "acme", version, files, **rest), f"/files/{sha256(content)}/{name}"


def pinned(folder: Path, path: str) -> tuple[str, ...]:
    """Words that install a version by its hash: a file of requirements."""
    _, _, digest, name = path.split("/")
    file = folder / f"{name}.txt"
    file.write_text(f"acme-tool=={name.split('-')[1]} --hash=sha256:{digest}\n")
    return ("--require-hashes", "-r", str(file))


def works(done: Done) -> bool:
    """Whether it installed; what it said otherwise is shown."""
    assert done.returncode == 0, done.stdout + done.stderr
    return True


def fails_loudly(done: Done, base: str, path: str) -> bool:
    """Whether it failed, and gave the reason: by the reason phrase where the gateway sends one, or in an address."""
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert "410" in said, said
    return WHY in said or "RECALLED-leaks-secrets-use-1.0" in said or not _sends_phrases(base, path)


def _sends_phrases(base: str, path: str) -> bool:
    connection = http.client.HTTPConnection(urlsplit(base).netloc)
    connection.request("HEAD", f"/pypi{path}")
    return WHY in connection.getresponse().reason


def test_it_installs_by_name_by_version_by_hash_and_by_address(
    client: Installer, watched: Watched, base: str, tmp_path: Path
) -> None:
    """With what it depends on, from one line of configuration."""
    files = {**wheel("acme-tool", "1.0", needs=("acme-base>=1",)), **wheel("acme-base", "1.5")}
    watched.serving.publish("python", "acme", "1", files)
    _, path = publish(watched, "2")
    assert works(client.install("acme-tool"))
    assert client.version() == "2.0"
    assert works(client.install("Acme_Tool<2"))
    assert (client.version(), client.version("acme_base")) == ("1.0", "1.5")
    assert works(client.install(*pinned(tmp_path, path)))
    assert client.version() == "2.0"
    assert works(client.install(f"acme-tool @ {base}/pypi{path}"))
    assert client.version() == "2.0"


def test_promotion_and_rollback_are_seen_at_once(client: Installer, watched: Watched) -> None:
    """With a warm cache, which is asked about each time, and used."""
    publish(watched, "1")
    assert works(client.install("acme-tool"))
    assert works(client.install("acme-tool"))
    assert "/simple/acme-tool 304" in watched.asked()
    publish(watched, "2")
    assert works(client.install("acme-tool"))
    assert client.version() == "2.0"
    watched.serving.roll_back("python", "acme")
    assert works(client.install("acme-tool"))
    assert client.version() == "1.0"


def test_a_recall_is_loud_warm_and_cold(client: Installer, watched: Watched, base: str, tmp_path: Path) -> None:
    """By moving name it goes to the version before; by version, hash and address it fails and says why."""
    publish(watched, "1")
    bundle, path = publish(watched, "2")
    by_hash, by_address = pinned(tmp_path, path), f"acme-tool @ {base}/pypi{path}"
    assert works(client.install("acme-tool"))
    assert works(client.install(by_address))
    watched.serving.recall(bundle, WHY)
    assert works(client.install("acme-tool"))
    assert client.version() == "1.0"
    for words in (("acme-tool==2.0",), by_hash, (by_address,)):
        assert fails_loudly(client.install(*words), base, path)
    for words in (("acme-tool==2.0",), (by_address,)):
        assert fails_loudly(client.install(*words, cache="cold"), base, path)


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_the_pointer_may_move_between_any_two_requests(client: Installer, watched: Watched, moment: int) -> None:
    """Whatever is installed is one version, whole, under its own name."""
    publish(watched, "1")
    publish(watched, "2")
    count = 0

    def before() -> None:
        nonlocal count
        count += 1
        if count == moment:
            watched.serving.roll_back("python", "acme")

    watched.before = before
    assert works(client.install("acme-tool"))
    assert count >= moment or moment == 3  # an old client asks twice only
    assert client.version() in ("1.0", "2.0")


@pytest.mark.parametrize(("name", "words"), [("pip-26.3", "--uploaded-prior-to"), ("uv", "--exclude-newer")])
def test_a_cool_down_counts_upstreams_dates(tmp_path: Path, watched: Watched, base: str, name: str, words: str) -> None:
    """Every file has one; one that nobody knows is when the bundle was built."""
    client = MAKERS[name](tmp_path, base)
    old, new = wheel("acme-tool", "1.0"), wheel("acme-tool", "2.0")
    said = {next(iter(old)): {"uploaded": "2024-05-05T00:00:00Z", "sha256": sha256(*old.values())}}
    watched.serving.publish("python", "acme", "1", {**old, **source("pypi", "acme-tool", files=said)})
    watched.serving.publish("python", "acme", "2", new)
    assert works(client.install("acme-tool", words, "2025-01-01T00:00:00Z"))
    assert client.version() == "1.0"
    assert works(client.install("acme-tool", words, "2027-01-01T00:00:00Z"))
    assert client.version() == "2.0"


def test_what_a_real_tool_builds_is_served(tmp_path: Path, watched: Watched, base: str) -> None:
    """A wheel and a source archive by hatchling."""
    project, inbox = tmp_path / "project", watched.serving.folder / "inbox/python/built/1/data"
    (project / "real_thing").mkdir(parents=True)
    (project / "real_thing/__init__.py").write_text("V = '3.1'\n")
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "Real.Thing"\nversion = "3.1"\nrequires-python = ">=3.9"\n'
    )
    inbox.mkdir(parents=True)
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(inbox)]
    subprocess.run(build, cwd=project, check=True, capture_output=True)
    watched.serving.take("python", "built", "1")
    assert watched.serving.problems == []
    page = text_of(ask(watched.serving, "pypi", "/simple/real-thing/"))
    assert ("real_thing-3.1.tar.gz" in page, "real_thing-3.1-py3-none-any.whl" in page) == (True, True)
    client = Uv(tmp_path, base)
    assert works(client.install("real.thing"))
    assert client.version("real_thing") == "3.1"
