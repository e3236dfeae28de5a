"""A kill, or a loss of power, before every write of a recall: it counts or it does not, and the log says which."""

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from receiver.catalogue.snapshot import Snapshot
from tests.enclave import Enclave, EnclaveAgain
from tests.faults.disk import Disk, KilledError, watched
from tests.receiver.promotion.promoting import current, enclave_with, logged, order, outcome, shown, write
from tests.receiver.promotion.test_recalling import carrier, recalls, statement

MOST_POINTS: Final = 600
FEW: Final = (2, 5, 8, 11, 14, 17)

Work = Callable[[Enclave], None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A receiver with two versions, that was stopped."""
    folder = tmp_path_factory.mktemp("made") / "receiver"
    enclave_with(folder, versions=2).stop()
    return folder


@pytest.fixture(scope="module")
def recalled(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with the newer version recalled."""
    folder = tmp_path_factory.mktemp("recalled") / "receiver"
    shutil.copytree(made, folder, symlinks=True)
    enclave = EnclaveAgain(folder)
    order(enclave, "recall", "v2", bundles=[id_of(enclave)])
    enclave.stop()
    return folder


def id_of(enclave: Enclave) -> str:
    """The id of the newer version."""
    return next(one.id for one in shown(enclave) if one.version == "v2")


def killed(made: Path, folder: Path, number: int, work: Work, *, power: bool) -> bool:
    """Whether a receiver was killed at this operation of the work; fewer operations are no kill."""
    shutil.copytree(made, folder, symlinks=True)
    enclave = EnclaveAgain(folder)
    if work is not by_staging:  # the order lies there before
        write(enclave, "recall" if work is by_people else "undo-recall", "v2", bundles=[id_of(enclave)])
    disk = Disk(folder, random.Random(number))
    disk.sync()
    disk.commit()
    with watched([disk]):
        disk.kill_at = disk.operations + number
        try:
            work(enclave)
        except KilledError:
            disk.is_ours = True
            enclave.stop()
            if power:
                disk.lose_power()
            return True
    enclave.stop()
    return False


def state_in_file(folder: Path) -> str:
    """What the gateway is shown of the newer version, before anybody repairs anything."""
    with Snapshot(folder / "index") as snapshot:
        return next(one.state for one in snapshot.bundles() if one.version == "v2")


def by_people(enclave: Enclave) -> None:
    """A person's order is read."""
    enclave.tick()


def by_staging(enclave: Enclave) -> None:
    """A statement of staging, in a bundle of its own."""
    enclave.take(carrier(statement(id_of(enclave), "v2")))


def taken_back(enclave: Enclave) -> None:
    """A person's order to undo it is read."""
    enclave.tick()


def check(folder: Path, work: Work, word: str, before: str, after: str) -> None:
    """What the gateway is shown is the old state or the new one, and the new one only if the log says so."""
    seen = state_in_file(folder)
    assert seen in (before, after)
    enclave = EnclaveAgain(folder)
    if seen == after:
        assert logged(enclave, word)
    if work is by_staging:
        by_staging(enclave)  # what had not arrived whole comes again, with another pass
    enclave.tick()
    assert (after, "v2") == (state_in_file(folder), current(enclave))
    assert logged(enclave, word)
    assert (after == "recalled") == (not recalls(enclave)[0].undone)
    enclave.stop()
    shutil.rmtree(folder)


WORKS: Final = {
    "people": (by_people, "recalled", "published", "recalled"),
    "staging": (by_staging, "recalled", "published", "recalled"),
    "undo": (taken_back, "recall_undone", "recalled", "published"),
}


def points(made: Path, tmp_path: Path, work: Work, numbers: Iterator[int], *, power: bool) -> Iterator[Path]:
    """The folder of a receiver that was killed, for each operation of the work."""
    for number in numbers:
        folder = tmp_path / f"{number}"
        if not killed(made, folder, number, work, power=power):
            return
        yield folder


@pytest.mark.long
@pytest.mark.parametrize("power", [False, True])
@pytest.mark.parametrize("name", ["people", "undo", "staging"])
def test_it_counts_or_it_does_not(made: Path, recalled: Path, tmp_path: Path, name: str, power: bool) -> None:
    """At every operation."""
    work, *rest = WORKS[name]
    start, count = recalled if name == "undo" else made, 0
    for folder in points(start, tmp_path, work, iter(range(1, MOST_POINTS)), power=power):
        check(folder, work, *rest)
        count += 1
    assert 10 < count < MOST_POINTS - 1


@pytest.mark.parametrize("number", FEW)
@pytest.mark.parametrize("name", ["people", "undo"])
def test_a_few_of_these_points(made: Path, recalled: Path, tmp_path: Path, name: str, number: int) -> None:
    """The others take longer."""
    work, *rest = WORKS[name]
    for folder in points(recalled if name == "undo" else made, tmp_path, work, iter([number]), power=False):
        check(folder, work, *rest)


def test_an_order_is_concluded_once(made: Path, tmp_path: Path) -> None:
    """Killed after the ledger has it: the next run removes the file, and recalls nothing again."""
    shutil.copytree(made, tmp_path / "r", symlinks=True)
    enclave = EnclaveAgain(tmp_path / "r")
    given = order(enclave, "recall", "v2", bundles=[id_of(enclave)])
    assert "applied" == outcome(enclave, given).outcome
    enclave.restart()
    enclave.tick()
    assert 1 == len(logged(enclave, "recalled"))
    enclave.stop()
