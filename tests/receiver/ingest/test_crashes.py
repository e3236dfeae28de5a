"""Stores that are file systems: a kill before every change of the disk, then the same command again, or its undoing."""

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from diode.config.ingest import FolderTarget, HubCacheTarget
from receiver.ingest.work import Work
from tests.enclave import Enclave
from tests.faults.disk import killed
from tests.receiver.ingest.scenes import (
    CHANNEL,
    NAME,
    item_of,
    lawful,
    shape,
    two_versions,
    work_at,
)

MOST_POINTS: Final = 400
STARTS: Final = ("empty", "older", "other")


@pytest.fixture(scope="module")
def enclave(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enclave]:
    """Two versions; the second is in use."""
    with two_versions(tmp_path_factory.mktemp("made") / "receiver") as made:
        yield made


def settings_of(kind: str, path: Path) -> FolderTarget | HubCacheTarget:
    """One of both kinds."""
    if kind == "dir":
        return FolderTarget(kind="dir", path=path, channels=(CHANNEL,))
    return HubCacheTarget(kind="hf-cache", path=path, channels=(CHANNEL,))


def open_work(enclave: Enclave, kind: str, world: Path) -> Work:
    """As a process that has just begun."""
    return work_at(enclave, settings_of(kind, world / "store"), world / "state")


def push(enclave: Enclave, work: Work, version: str) -> tuple[str, ...]:
    """The command."""
    item = item_of(enclave, version)
    with item.data:
        return work.do(item, lawful, may_replace=True).steps


def pushing(enclave: Enclave, kind: str, world: Path) -> Callable[[], object]:
    """The command, to be run."""
    return lambda: push(enclave, open_work(enclave, kind, world), "v2")


def undoing(enclave: Enclave, kind: str, world: Path, bundle: str) -> Callable[[], object]:
    """Its undoing, to be run."""
    return lambda: open_work(enclave, kind, world).undo(bundle)


def begin(enclave: Enclave, kind: str, start: str, world: Path) -> None:
    """A store in which nothing lies, or the version before, or other content under the same version."""
    (world / "store").mkdir(parents=True)
    (world / "store" / "theirs").write_text("somebody else's")
    work = open_work(enclave, kind, world)
    if start == "older":
        push(enclave, work, "v1")
    elif start == "other":
        item = item_of(enclave, "v2")
        place = work.target.place(item)
        above = {"dir": f"{CHANNEL}/{NAME}", "hf-cache": "models--acme--tiny/snapshots"}[kind]
        folder = world / "store" / above / place
        (folder / "nested").mkdir(parents=True)
        (folder / "nested" / "old").write_text("other")
        if kind == "hf-cache":
            (world / "store" / "models--acme--tiny" / "blobs").mkdir()
        else:
            (folder.parent / "current").symlink_to("v2")


def whole(enclave: Enclave, work: Work) -> bool:
    """Whether the target holds what was signed, file by file, read from there, and leads to it."""
    item = item_of(enclave, "v2")
    with item.data:
        record = work.journal.get(item.bundle)
        assert record is not None
        assert "done" == record.phase
        return (work.target.look(item).state, work.target.current(record)) == ("same", record.place)


def everywhere(enclave: Enclave, kind: str, start: str, tmp_path: Path, *, power: bool, stride: int) -> int:
    """Kill the push at each point, end it by a second one and undo it; and undo it from there at once."""
    first = tmp_path / "first"
    begin(enclave, kind, start, first)
    before = shape(first / "store")
    for number in itertools.count(1, stride):
        world, second = tmp_path / f"{number}", tmp_path / f"{number}-undone"
        shutil.copytree(first, world, symlinks=True)
        if not killed(world, number, pushing(enclave, kind, world), power=power):
            return number - 1
        shutil.copytree(world, second, symlinks=True)
        push(enclave, open_work(enclave, kind, world), "v2")
        assert whole(enclave, open_work(enclave, kind, world))
        assert () == push(enclave, open_work(enclave, kind, world), "v2")
        for one in (world, second):
            item = item_of(enclave, "v2")
            item.data.close()
            open_work(enclave, kind, one).undo(item.bundle)
            assert before == shape(one / "store"), (number, one.name)
            shutil.rmtree(one)
    raise AssertionError


def undone_everywhere(enclave: Enclave, kind: str, start: str, tmp_path: Path, *, power: bool, stride: int) -> int:
    """Kill the undoing at each point, and type it again."""
    first = tmp_path / "first"
    begin(enclave, kind, start, first)
    before = shape(first / "store")
    push(enclave, open_work(enclave, kind, first), "v2")
    item = item_of(enclave, "v2")
    item.data.close()
    for number in itertools.count(1, stride):
        world = tmp_path / f"{number}"
        shutil.copytree(first, world, symlinks=True)
        if not killed(world, number, undoing(enclave, kind, world, item.bundle), power=power):
            return number - 1
        open_work(enclave, kind, world).undo(item.bundle)
        assert before == shape(world / "store"), number
        assert [] == list(open_work(enclave, kind, world).journal.all()) or start == "older"
        shutil.rmtree(world)
    raise AssertionError


@pytest.mark.long
@pytest.mark.parametrize("power", [False, True])
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("kind", ["dir", "hf-cache"])
def test_a_push_that_is_killed_anywhere(enclave: Enclave, kind: str, start: str, tmp_path: Path, power: bool) -> None:
    """The next run ends it, the one after that does nothing, and undone the store is as before."""
    assert 20 < everywhere(enclave, kind, start, tmp_path, power=power, stride=1) < MOST_POINTS


@pytest.mark.long
@pytest.mark.parametrize("power", [False, True])
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("kind", ["dir", "hf-cache"])
def test_an_undoing_that_is_killed_anywhere(
    enclave: Enclave, kind: str, start: str, tmp_path: Path, power: bool
) -> None:
    """The next one ends it."""
    assert 8 < undone_everywhere(enclave, kind, start, tmp_path, power=power, stride=1) < MOST_POINTS


@pytest.mark.parametrize("kind", ["dir", "hf-cache"])
def test_some_of_these_points(enclave: Enclave, kind: str, tmp_path: Path) -> None:
    """Of a replacement: the others take longer."""
    assert 20 < everywhere(enclave, kind, "other", tmp_path / "push", power=False, stride=9)
    assert 8 < undone_everywhere(enclave, kind, "other", tmp_path / "undo", power=False, stride=5)
