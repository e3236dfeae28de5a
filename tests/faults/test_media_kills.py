"""Physical media and a kill, or a loss of power, before every change of a disk. Whatever was killed is typed again.

It is the enclave's disk while a bundle is imported, and the medium while one is exported.
"""

import itertools
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from diode.bundle.medium import TOP
from diode.storage.locking import lock_folder
from receiver.media.medium import Medium
from sender.ledger import Row
from tests.courier import FILES, Courier, Gate, small_parts
from tests.enclave import EnclaveAgain
from tests.faults.disk import killed

MOST_POINTS: Final = 400
FEW: Final = 29  # the distance of points in the default run


class GateAgain(Gate):
    """The receiving end, whose folder is there already."""

    def __init__(self, folder: Path) -> None:
        self.enclave = EnclaveAgain(folder)
        self._lock = lock_folder(self.config.state)


@pytest.fixture
def courier(tmp_path: Path) -> Iterator[Courier]:
    """A medium; each part has one slab."""
    with small_parts(tmp_path / "courier") as made:
        yield made


def imported_everywhere(courier: Courier, row: Row, folder: Path, *, power: bool, stride: int) -> int:
    """Kill an import and its daemon at each point, start both again; the number of the last point."""
    made = folder / "made"
    Gate(made).close()
    for number in itertools.count(1, stride):
        world = folder / f"{number}"
        shutil.copytree(made, world, symlinks=True)
        gate = GateAgain(world)
        was_killed = killed(world, number, partial(gate.bring, courier.medium, row.id), power=power, close=gate.close)
        there = gate.content(row)
        assert there in ({}, FILES), number
        gate = GateAgain(world)
        assert gate.content(row) in ({}, FILES), number
        assert "published" == gate.bring(courier.medium, row.id).state, number
        assert (FILES, []) == (gate.content(row), gate.handed()), number
        receipts = list((gate.config.inbox.path / row.channel).rglob("receipt.json"))
        assert 1 == len(receipts), number
        gate.close()
        shutil.rmtree(world)
        if not was_killed:
            return number - 1
    raise AssertionError


def contents(folder: Path) -> dict[str, bytes]:
    """Files, by their names."""
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def exported_everywhere(courier: Courier, row: Row, *, power: bool, stride: int) -> int:
    """Kill an export at each point, and type it again; the number of the last point."""
    place = courier.medium / TOP / row.id
    courier.export(row)
    whole = contents(place)
    for number in itertools.count(1, stride):
        shutil.rmtree(courier.medium / TOP)
        was_killed = killed(courier.medium, number, lambda: courier.export(row), power=power, close=lambda: None)
        assert contents(place) in ({}, whole), number
        courier.export(row)
        assert whole == contents(place), number
        assert [row.id] == Medium(courier.medium).listed().bundles
        if not was_killed:
            return number - 1
    raise AssertionError


# with power losses every point of an import takes a quarter of an hour: asked for by name, with -m slow
@pytest.mark.parametrize(
    "power", [pytest.param(False, marks=pytest.mark.long), pytest.param(True, marks=pytest.mark.slow)]
)
def test_an_import_that_is_killed_anywhere(courier: Courier, tmp_path: Path, power: bool) -> None:
    """It is published whole or not at all, and once when it was taken up again."""
    row = courier.pack()
    courier.export(row)
    assert 40 < imported_everywhere(courier, row, tmp_path, power=power, stride=1) < MOST_POINTS


@pytest.mark.long
@pytest.mark.parametrize("power", [False, True])
def test_an_export_that_is_killed_anywhere(courier: Courier, power: bool) -> None:
    """A folder with its final name is whole, and the next export ends it."""
    assert 20 < exported_everywhere(courier, courier.pack(), power=power, stride=1) < MOST_POINTS


@pytest.mark.parametrize("power", [False, True])
def test_some_of_these_points(courier: Courier, tmp_path: Path, power: bool) -> None:
    """The others take longer."""
    row = courier.pack()
    assert 20 < exported_everywhere(courier, row, power=power, stride=FEW)
    assert 40 < imported_everywhere(courier, row, tmp_path, power=power, stride=FEW)
