"""A kill, or a loss of power, before every write of an order: the old state or the new one, never neither.

A receiver is made once and copied for each point. Whatever was killed is started again, and goes on by itself.
"""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from diode.audit.verify import read_service_keys, verify
from receiver.promotion.files import pointer_at
from tests.enclave import EnclaveAgain
from tests.faults.disk import Disk, KilledError, watched
from tests.receiver.promotion.promoting import (
    CHANNEL,
    NAME,
    current,
    enclave_with,
    logged,
    outcome,
    pointer,
    publish,
    shown,
    waiting,
    write,
)

MOST_POINTS: Final = 300
# order, version, the version in use before and after
MOVES: Final = {
    "promote": ("v1", "v3", "v1"),
    "rollback": ("", "v3", "v2"),
    "pin": ("v1", "v3", "v3"),
    "drill": ("", "v3", "v2"),
}
WORDS: Final = {"promote": "promoted", "rollback": "rolled_back", "pin": "pinned", "drill": "drill_begun"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A receiver with three versions, that was stopped."""
    folder = tmp_path_factory.mktemp("made") / "receiver"
    enclave_with(folder).stop()
    return folder


def killed(made: Path, folder: Path, number: int, what: str, *, power: bool) -> Iterator[EnclaveAgain]:
    """The receiver as a kill at one operation of an order left it, and then once more when it was started again.

    Nothing comes when the order has fewer operations.
    """
    shutil.copytree(made, folder, symlinks=True)
    enclave = EnclaveAgain(folder)
    version = MOVES[what][0] if what in MOVES else ""
    bundles = [one.id for one in shown(enclave) if one.version == "v1"] if what == "remove" else []
    enclave.given = write(enclave, what, version, bundles=bundles)  # type: ignore[attr-defined]
    disk = Disk(folder, random.Random(number))
    disk.sync()
    disk.commit()
    with watched([disk]):
        disk.kill_at = disk.operations + number
        try:
            enclave.tick()
        except KilledError:
            disk.is_ours = True
            enclave.stop()
            if power:
                disk.lose_power()
        else:
            enclave.stop()
            return
    yield enclave
    again = EnclaveAgain(folder)
    again.given = enclave.given  # type: ignore[attr-defined]
    try:
        yield again
    finally:
        again.stop()


@pytest.mark.long
@pytest.mark.parametrize("power", [False, True])
@pytest.mark.parametrize("what", MOVES)
def test_a_pointer_is_the_old_one_or_the_new_one(made: Path, tmp_path: Path, what: str, power: bool) -> None:
    """By its file, its link and the snapshot, at once; and all agree when it is started again."""
    _, old, new = MOVES[what]
    points = 0
    for number in range(1, MOST_POINTS):
        folder = tmp_path / f"{number}"
        steps = killed(made, folder, number, what, power=power)
        if next(steps, None) is None:
            break
        points += 1
        assert version_in_file(folder) in (old, new)
        assert os.readlink(folder / "inbox" / CHANNEL / NAME / "current") in (old, new)
        enclave = next(steps)
        settled = old if what == "drill" else current(enclave)  # one that crashed has returned by now
        assert settled in (old, new)
        enclave.tick()
        assert ("applied", []) == (outcome(enclave, enclave.given).outcome, waiting(enclave))  # type: ignore[attr-defined]
        assert current(enclave) in ((old, new) if what == "drill" else (new,))
        assert (pointer(enclave).pinned == ("v1",)) == (what == "pin")
        said = logged(enclave, WORDS[what])
        assert said
        assert all(entry.again for entry in said[1:])
        steps.close()  # type: ignore[attr-defined]
        shutil.rmtree(folder)
    assert 20 < points < MOST_POINTS - 1


@pytest.mark.long
@pytest.mark.parametrize("power", [False, True])
def test_a_removal_happens_or_does_not(made: Path, tmp_path: Path, power: bool) -> None:
    """Nothing is offered without its data; what is removed leaves its receipt, and is deleted after a crash."""
    folder_of = {number: tmp_path / f"{number}" for number in range(1, MOST_POINTS)}
    for number, folder in folder_of.items():
        steps = killed(made, folder, number, "remove", power=power)
        if next(steps, None) is None:
            assert number > 20
            break
        enclave = next(steps)
        place = folder / "inbox" / CHANNEL / NAME / "v1"
        (seen,) = (one for one in shown(enclave) if one.version == "v1")
        assert (place / "data").exists() == (seen.state == "published")
        enclave.tick()
        assert ("applied", []) == (outcome(enclave, enclave.given).outcome, waiting(enclave))  # type: ignore[attr-defined]
        assert (False, True) == ((place / "data").exists(), (place / "receipt.json").exists())
        assert [] == list((folder / "inbox" / ".diode" / "removed").iterdir())
        verify(folder / "state" / "audit", read_service_keys([folder / "keys" / "service.pub"]))
        steps.close()  # type: ignore[attr-defined]
        shutil.rmtree(folder)


@pytest.mark.parametrize("number", [3, 9, 14, 19, 24])
def test_a_few_of_these_points(made: Path, tmp_path: Path, number: int) -> None:
    """Of a promotion: the others take longer."""
    steps = killed(made, tmp_path / "r", number, "promote", power=False)
    assert next(steps, None) is not None
    enclave = next(steps)
    assert current(enclave) in ("v3", "v1")
    enclave.tick()
    assert "v1" == current(enclave)


@pytest.mark.parametrize("number", [2, 12, 17, 22, 30])
def test_a_publication_that_is_killed_moves_the_pointer_in_the_end(made: Path, tmp_path: Path, number: int) -> None:
    """The pointer follows at the next start, or when the bundle comes again."""
    folder = tmp_path / "r"
    shutil.copytree(made, folder, symlinks=True)
    enclave = EnclaveAgain(folder)
    disk = Disk(folder, random.Random(number))
    with watched([disk]):
        disk.kill_at = disk.operations + 30 + number
        with pytest.raises(KilledError):
            publish(enclave, 4)
        disk.is_ours = True
        enclave.stop()
    enclave = EnclaveAgain(folder)
    publish(enclave, 4)
    assert "v4" == current(enclave)


def version_in_file(folder: Path) -> str:
    """The version in use by the pointer's file, which nobody has to repair first."""
    path = folder / "inbox" / ".diode" / "pointers" / CHANNEL / NAME / "pointer.json"
    used = pointer_at(path.read_bytes(), CHANNEL, NAME).current
    assert used is not None
    return used.version
