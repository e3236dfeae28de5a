"""dnf against a gateway: installs while the version in use changes, rollbacks, recalls."""

from pathlib import Path

import pytest

from receiver.catalogue.tree_facts import DnfRepository, TreeFacts
from receiver.gateway.clients.lines import Place
from receiver.gateway.clients.trees import lines
from tests.dnf import Dnf, build_dnf
from tests.flipping import flipping, moved_after
from tests.serving import Serving

pytestmark = [pytest.mark.clients, pytest.mark.needs("dnf"), pytest.mark.needs("root")]

ROUNDS = 8
Repositories = dict[str, dict[str, bytes | str]]


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Repositories:
    """Two versions."""
    folder = tmp_path_factory.mktemp("repositories")
    return {version: build_dnf(folder, version) for version in ("1.0", "2.0")}


@pytest.fixture
def serving(tmp_path: Path, repositories: Repositories) -> Serving:
    """Both versions published."""
    made = Serving(tmp_path / "serving", {"tools": ("trees",)})
    for version, files in repositories.items():
        made.publish("tools", "demo", version, files)
    return made


def section(base: str) -> str:
    """The section of a ``.repo`` file that is printed."""
    facts = TreeFacts(dnf=[DnfRepository(root="")])
    place = Place(f"{base}/trees", names=(("tools", "demo"),), trees={("tools", "demo"): facts})
    return next(one.text for one in lines(place) if one.client == "dnf")


def test_installs_succeed_while_the_version_in_use_changes(tmp_path: Path, serving: Serving) -> None:
    """Each with nothing in the cache."""
    with serving.running() as base, flipping(serving, ("tools", "demo"), ("1.0", "2.0")) as flips:
        dnf = Dnf.make(tmp_path / "dnf", section(base))
        seen = set()
        for number in range(ROUNDS):
            dnf.forget()
            done = dnf("distro-sync" if number else "install", *(() if number else ("demo",)))
            assert done.returncode == 0, done.stdout + done.stderr
            seen.add(dnf.installed())
    assert seen <= {"demo 1.0\n", "demo 2.0\n"}
    assert flips[0] > ROUNDS


@pytest.mark.parametrize("requests", [1, 2, 3, 4])
def test_a_move_between_two_requests_is_not_noticed(tmp_path: Path, serving: Serving, requests: int) -> None:
    """Between repomd.xml, what it names, and the package."""
    with moved_after(serving, requests, lambda: serving.roll_back("tools", "demo")) as base:
        dnf = Dnf.make(tmp_path / "dnf", section(base))
        done = dnf("install", "demo")
        assert done.returncode == 0, done.stdout + done.stderr
        assert dnf.installed() == "demo 2.0\n"


def test_dnf_follows_a_rollback_at_its_next_refresh(tmp_path: Path, serving: Serving) -> None:
    """Upgrade puts nothing back; distro-sync does."""
    with serving.running() as base:
        dnf = Dnf.make(tmp_path / "dnf", section(base))
        assert dnf("install", "demo").returncode == 0
        assert dnf.installed() == "demo 2.0\n"
        serving.roll_back("tools", "demo")
        assert dnf("--refresh", "upgrade").returncode == 0
        assert dnf.installed() == "demo 2.0\n"
        assert dnf("--refresh", "distro-sync").returncode == 0
        assert dnf.installed() == "demo 1.0\n"


def test_a_recall_is_loud(tmp_path: Path, serving: Serving) -> None:
    """For a cold cache and for a warm one; no older version takes its place."""
    with serving.running() as base:
        warm, cold = (Dnf.make(tmp_path / name, section(base)) for name in ("warm", "cold"))
        assert warm("makecache").returncode == 0
        serving.recall(list(serving.listed)[-1], "a back door in demo")
        tries = [(warm, ("--refresh", "install", "demo")), (warm, ("install", "demo")), (cold, ("makecache",))]
        for dnf, arguments in tries:
            done = dnf(*arguments)
            assert done.returncode == 1
            assert "410" in done.stdout + done.stderr
        assert warm.installed() == ""
