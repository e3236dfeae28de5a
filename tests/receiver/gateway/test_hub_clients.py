"""Real clients of Hugging Face against the gateway: what they get, that nothing is mixed, that a recall is loud."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from receiver.gateway.clients.hub import CLEARING
from tests.clients import python_with, run
from tests.hub_stage import BYTES, REASON, Stage

pytestmark = pytest.mark.clients

OLDEST: Final = "0.23.5"
ROOTED: Final = "0.28.0"  # which drops the endpoint's path
NEWEST: Final = "2.4.0"
VERSIONS: Final = (OLDEST, ROOTED, "0.36.2", "1.4.1", NEWEST)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Stage]:
    """A place that serves."""
    with ExitStack() as stack:
        yield Stage(tmp_path, stack)


@pytest.mark.parametrize("version", VERSIONS)
def test_clients_get_what_is_in_use(place: Stage, version: str) -> None:
    """Cold and warm, files and snapshots; after a promotion the new version, after a rollback the old one."""
    client = f"huggingface_hub=={version}"
    steps = [place.step("snapshot", "c"), place.step("file", "c"), place.step("file", "c", filename="empty.txt")]
    steps += [place.step("file", "c2", revision=one) for one in ("1", "2", place.commit("2"))]
    steps += [{"do": "api", "method": "list_repo_files", "repo_id": "acme/tiny"}]
    steps += [{"do": "api", "method": "list_repo_refs", "repo_id": "acme/tiny"}]
    steps += [{"do": "api", "method": "list_repo_commits", "repo_id": "acme/tiny"}]
    steps += [{"do": "api", "method": "list_models", "search": "tin"}]
    steps += [{"do": "read", "path": "acme/tiny/sub/a.txt"}]
    found = place.client(client, steps=steps)
    assert [one for one in found if "error" in one] == []
    assert (place.commit("1") in found[0]["got"], Path(found[2]["got"]).stat().st_size) == (True, 0)
    assert [Path(one["got"]).read_text()[0] for one in found[3:6]] == ["1", "2", "2"]
    assert found[-1]["got"] == "1"
    assert place.commit("1") in found[7]["got"]
    place.promote("2")
    (moved,) = place.client(client, steps=[place.step("snapshot", "c")])
    place.serving.roll_back("weights", "acme--tiny")
    back = place.client(client, steps=[place.step("snapshot", "c"), place.step("file", "c")])
    assert place.commit("2") in moved["got"]
    assert all(place.commit("1") in one["got"] for one in back)
    assert place.mixed(place.folder / "c") == place.mixed(place.folder / "c2") == []


@pytest.mark.parametrize("version", VERSIONS)
def test_the_pointer_may_move_between_any_two_requests(place: Stage, version: str) -> None:
    """After each one request of a client, and after every one; never is a byte filed under another's digest."""
    client = f"huggingface_hub=={version}"
    most = 9  # more than a snapshot of four files needs before its last file
    moves = [str(number) for number in range(1, most)] + ["always"]
    armed: list[str] = [""]

    def between_requests(_: int, path: str) -> None:
        if path.startswith("/hub/api/arm-"):
            armed[0] = path.removeprefix("/hub/api/arm-")
            place.promote("1")
            place.moving.forget()
        elif armed[0] in ("always", str(len(place.moving.asked))):
            now = place.serving.pointers["weights", "acme--tiny"].current
            place.promote("2" if now and now.version == "1" else "1")

    place.moving.between = between_requests
    steps = []
    for when in moves:
        for do in ("file", "snapshot"):
            arm = {"do": "get", "url": f"{place.address}/hub/api/arm-{when}"}
            steps += [arm, place.step(do, f"moved/{do}-{when}"), place.step(do, f"moved/{do}-{when}")]
    found = place.client(client, steps=steps)
    got = [one for one in found if "got" in one]
    assert len(got) == 2 * 2 * len(moves), found  # all but the steps that arm, which are answered 404
    caches = list((place.folder / "moved").iterdir())
    assert len(caches) == 2 * len(moves)
    assert [wrong for cache in caches for wrong in place.mixed(cache)] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_broken_download_goes_on_whole(place: Stage, version: str) -> None:
    """The line breaks after two thirds, and meanwhile the pointer moves: whatever is kept then is of one version."""
    place.moving.cut = BYTES * 2 // 3

    def when_cut(_: int, path: str) -> None:
        if place.moving.cut == 0 and path.endswith("/model.safetensors"):
            place.promote("2")

    place.moving.between = when_cut
    resume: dict[str, Any] = {"resume_download": True} if version == OLDEST else {}
    steps = [place.step("file", "c", **resume) for _ in range(3)]
    found = place.client(f"huggingface_hub=={version}", steps=steps)
    assert place.moving.cut == 0
    assert "got" in found[-1], found
    assert Path(found[-1]["got"]).read_text() in ("1" * BYTES, "2" * BYTES)
    assert place.mixed(place.folder / "c") == []


def has_asked(name: str) -> bool:
    """What the printed list says of a client that has the files already."""
    return next(one for one in CLEARING if one.client.startswith("huggingface_hub") and name in one.client).asks


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recall_is_loud_or_printed(place: Stage, version: str) -> None:
    """By main, version and commit, warm and cold. Who is silent stands in the printed list as never asking."""
    client = f"huggingface_hub=={version}"
    names = {"main": "main", "version": "1", "commit": place.commit("1")}
    warm = [place.step(do, f"warm-{do}", revision=one) for do in ("file", "snapshot") for one in names.values()]
    assert all("got" in one for one in place.client(client, steps=warm))
    place.serving.recall(place.ids["1"], REASON)
    cold = [place.step(do, f"cold-{do}", revision=one) for do in ("file", "snapshot") for one in names.values()]
    found = place.client(client, steps=[*warm, *cold])
    labels = [f"{state} {do} {name}" for state in ("warm", "cold") for do in ("file", "snapshot") for name in names]
    seen = dict(zip(labels, found, strict=True))
    silent = {label for label, one in seen.items() if "got" in one}
    assert silent == {"warm file commit", *(["warm snapshot commit"] if version == NEWEST else [])}
    assert not has_asked("given a commit")
    assert has_asked("given main, a tag or a version")
    assert [label for label, one in seen.items() if label not in silent and REASON not in one["text"]] == []
    assert place.mixed(place.folder / "warm-file") == []
    others = place.client(client, steps=[place.step("file", "other", revision="2")])
    assert Path(others[0]["got"]).read_text() == "2" * BYTES


def test_hf_downloads_verifies_and_fails_after_a_recall(place: Stage) -> None:
    """The command of the newest version; its check passes; warm, it fails once the version is recalled."""
    hf = python_with(f"huggingface_hub=={NEWEST}") / "hf"
    environment = place.environment()
    done = run(hf, "download", "acme/tiny", env=environment)
    assert done.returncode == 0, done.stderr
    verified = run(
        hf, "cache", "verify", "acme/tiny", "--fail-on-extra-files", "--fail-on-missing-files", env=environment
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    place.serving.recall(place.ids["1"], REASON)
    again = run(hf, "download", "acme/tiny", env=environment)
    assert again.returncode == 1
    assert "Revision not found" in again.stdout + again.stderr
    clearing = next(one for one in CLEARING if one.agent == "huggingface-cli/")
    home = place.environment(HOME=str(place.folder))
    (place.folder / ".cache" / "huggingface").mkdir(parents=True)
    (place.folder / "hf" / "hub").rename(place.folder / ".cache" / "huggingface" / "hub")
    command = clearing.command.format(folder="models--acme--tiny", name="acme/tiny", version="1")
    cleared = run("sh", "-c", command, env=home)
    assert cleared.returncode == 0, cleared.stderr
    assert list((place.folder / ".cache" / "huggingface" / "hub").glob("models--*")) == []
