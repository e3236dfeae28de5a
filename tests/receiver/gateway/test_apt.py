"""apt against a gateway: updates while the version in use changes, rollbacks, recalls."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.catalogue.card import Card
from receiver.catalogue.tree_facts import TreeFacts
from receiver.gateway.clients.lines import Place
from receiver.gateway.clients.trees import lines, moving_back
from tests.apt import Apt, Signer, build_apt
from tests.flipping import flipping, moved_after
from tests.serving import Serving

pytestmark = [pytest.mark.clients, pytest.mark.needs("apt")]

UPDATES = {True: 40, False: 12}  # with Acquire-By-Hash, and without
Repositories = dict[tuple[str, bool], dict[str, bytes | str]]


@pytest.fixture(scope="module")
def signer() -> Iterator[Signer]:
    """A key; GnuPG's sockets need a short path."""
    with tempfile.TemporaryDirectory(prefix="gpg") as folder:
        made = Signer.make(Path(folder) / "k")
        yield made
        made.close()


@pytest.fixture(scope="module")
def repositories(signer: Signer, tmp_path_factory: pytest.TempPathFactory) -> Repositories:
    """Two versions, each with and without Acquire-By-Hash."""
    folder = tmp_path_factory.mktemp("repositories")
    return {
        (v, by_hash): build_apt(folder, v, signer, by_hash=by_hash) for v in ("1.0", "2.0") for by_hash in (True, False)
    }


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """A channel that serves trees."""
    return Serving(tmp_path / "serving", {"tools": ("trees",)})


def source(serving: Serving, signer: Signer, base: str, version: str = "") -> str:
    """The line that is printed for this tree, with the test's key."""
    newest = list(serving.listed.values())[-1]
    facts = TreeFacts.of(Card(serving.folder / "index/cards" / f"{newest.id}.db"))
    place = Place(f"{base}/trees", names=(("tools", "demo"),), trees={("tools", "demo"): facts})
    found = moving_back(place, "tools", "demo", version) if version else lines(place)
    text = next(one.text for one in found if one.client == "apt" and one.text.startswith("deb "))
    return text.splitlines()[0].replace("/etc/apt/keyrings/tools-demo.gpg", str(signer.public))


@pytest.mark.parametrize("by_hash", [True, False], ids=["by-hash in Release", "by-hash=force in the line"])
def test_updates_succeed_while_the_version_in_use_changes(
    tmp_path: Path, serving: Serving, signer: Signer, repositories: Repositories, by_hash: bool
) -> None:
    """Every update and every download, each with what one version has."""
    for version in ("1.0", "2.0"):
        serving.publish("tools", "demo", version, repositories[version, by_hash])
    seen = []
    with serving.running() as base, flipping(serving, ("tools", "demo"), ("1.0", "2.0")) as flips:
        apt = Apt.make(tmp_path / "apt", source(serving, signer, base))
        for number in range(UPDATES[by_hash]):
            apt.forget()
            done = apt.update()
            assert done.returncode == 0, done.stdout + done.stderr
            version = apt.candidate()
            package, content = (("demo", "demo"), (f"only-{version}", "only in"))[number % 2]
            assert apt.download(package) == f"{content} {version}\n"
            seen.append(version)
    assert {"1.0", "2.0"} == set(seen) or not by_hash  # twelve may meet one alone
    assert flips[0] > UPDATES[by_hash]


@pytest.mark.parametrize(("before", "after"), [("1.0", "2.0"), ("2.0", "1.0")])
@pytest.mark.parametrize("requests", [1, 2, 3])
def test_a_move_between_two_requests_is_not_noticed(
    tmp_path: Path,
    serving: Serving,
    signer: Signer,
    repositories: Repositories,
    requests: int,
    before: str,
    after: str,
) -> None:
    """Between InRelease, Packages and the package: it gets what the first one named."""
    for version in ("1.0", "2.0"):
        serving.publish("tools", "demo", version, repositories[version, True])
    serving.promote("tools", "demo", before)
    with moved_after(serving, requests, lambda: serving.promote("tools", "demo", after)) as base:
        apt = Apt.make(tmp_path / "apt", source(serving, signer, base))
        assert apt.update().returncode == 0
        assert apt.download(f"only-{before}") == f"only in {before}\n"


def test_a_machine_that_saw_the_newer_version_stays_on_it_until_it_is_moved(
    tmp_path: Path, serving: Serving, signer: Signer, repositories: Repositories
) -> None:
    """Its packages can still be had; the printed source line moves it, and so does forgetting the lists."""
    for version in ("1.0", "2.0"):
        serving.publish("tools", "demo", version, repositories[version, True])
    with serving.running() as base:
        apt = Apt.make(tmp_path / "apt", source(serving, signer, base))
        assert apt.update().returncode == 0
        serving.roll_back("tools", "demo")
        assert apt.update().returncode == 0
        assert (apt.candidate(), apt.download()) == ("2.0", "demo 2.0\n")
        apt.point(source(serving, signer, base, "1.0"))
        assert apt.update().returncode == 0
        assert (apt.candidate(), apt.download()) == ("1.0", "demo 1.0\n")
        apt.has_installed("demo", "2.0")
        install = ("--simulate", "--yes", "install", "demo=1.0")
        assert apt.get(*install).returncode == 100
        assert apt.get("--allow-downgrades", *install).returncode == 0
        apt.has_installed("other", "1")
        apt.point(source(serving, signer, base))
        apt.forget()
        assert apt.update().returncode == 0
        assert apt.candidate() == "1.0"


def test_a_resent_older_version_and_a_newer_promotion_are_both_taken(
    tmp_path: Path, serving: Serving, signer: Signer, repositories: Repositories
) -> None:
    """No date is compared: what arrived first and is promoted later is fetched."""
    for version in ("2.0", "1.0"):
        serving.publish("tools", "demo", version, repositories[version, True])
    with serving.running() as base:
        apt = Apt.make(tmp_path / "apt", source(serving, signer, base))
        assert apt.update().returncode == 0
        assert apt.candidate() == "1.0"
        serving.promote("tools", "demo", "2.0")
        assert apt.update().returncode == 0
        assert apt.candidate() == "2.0"


def recalled(tmp_path: Path, serving: Serving, signer: Signer, base: str) -> Apt:
    """A machine that had the version in use, which is recalled then."""
    apt = Apt.make(tmp_path / "apt", source(serving, signer, base))
    assert apt.update().returncode == 0
    serving.recall(list(serving.listed)[-1], "a back door in demo")
    return apt


def test_a_recall_is_loud_for_machines_that_have_it_and_for_new_ones(
    tmp_path: Path, serving: Serving, signer: Signer, repositories: Repositories
) -> None:
    """Updates fail, also without --error-on, and so do downloads by the old lists; no older version takes its place."""
    for version in ("1.0", "2.0"):
        serving.publish("tools", "demo", version, repositories[version, True])
    with serving.running() as base:
        warm = recalled(tmp_path / "warm", serving, signer, base)
        cold = Apt.make(tmp_path / "cold", source(serving, signer, base))
        pinned = Apt.make(tmp_path / "pinned", source(serving, signer, base, "2.0"))
        for apt in (warm, cold, pinned):
            done = apt.get("update")
            assert done.returncode == 100
            assert "410" in done.stderr
            assert apt.download() == ""
        older = Apt.make(tmp_path / "older", source(serving, signer, base, "1.0"))
        assert older.update().returncode == 0
        assert older.download() == "demo 1.0\n"


def test_the_reason_of_a_recall_is_shown(
    tmp_path: Path, serving: Serving, signer: Signer, repositories: Repositories
) -> None:
    """By updates and by downloads."""
    serving.publish("tools", "demo", "2.0", repositories["2.0", True])
    with serving.running() as base:
        apt = recalled(tmp_path, serving, signer, base)
        for command in (("update",), ("download", "demo")):
            assert "Recalled 2026-11-28: a back door in demo" in apt.get(*command).stderr


def test_a_changed_label_is_refused_by_apt(
    tmp_path: Path, serving: Serving, signer: Signer, repositories: Repositories
) -> None:
    """That is why promote tells it."""
    serving.publish("tools", "demo", "1.0", repositories["1.0", True])
    with serving.running() as base:
        apt = Apt.make(tmp_path / "apt", source(serving, signer, base))
        assert apt.update().returncode == 0
        serving.publish("tools", "demo", "2.0", build_apt(tmp_path, "2.0", signer, label="other"))
        done = apt.update()
        assert done.returncode == 100
        assert "changed its 'Label' value" in done.stderr
        assert apt.get("update", "--allow-releaseinfo-change").returncode == 0
