"""Media that are pulled, swapped or damaged at any moment: nothing is published that is not whole, and it goes on."""

import errno
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from diode.bundle.medium import TOP
from diode.errors import DiodeError
from receiver.media.handing import Handing
from receiver.media.medium import OnMedium
from receiver.messages.pipeline import Published
from sender.ledger import Row
from tests.courier import FILES, Courier, Gate, copy_of, flip, small_parts
from tests.faults.disk import KilledError
from tests.faults.replaced import Replacement, replaced

READS = ((OnMedium, "read_manifest"), (OnMedium, "read_table"), (OnMedium, "read"))
STEPS = (*READS, (Handing, "give"), (Handing, "wait"))
Harm = Callable[[], None]


@pytest.fixture
def courier(tmp_path: Path) -> Iterator[Courier]:
    """A medium with one bundle on it, a slab in each part."""
    with small_parts(tmp_path / "courier") as made:
        yield made


@contextmanager
def harmed(steps: tuple[tuple[type, str], ...], at: int, harm: Harm) -> Iterator[list[int]]:
    """Do harm just before the ``at``-th of these calls. Counts them."""
    calls: list[int] = []

    def before(real: Any) -> Any:
        def call(*arguments: Any) -> Any:
            calls.append(len(calls))
            if len(calls) - 1 == at:
                harm()
            return real(*arguments)

        return call

    with replaced(*(Replacement(owner, name, before(getattr(owner, name))) for owner, name in steps)):
        yield calls


def at_every_step(steps: tuple[tuple[type, str], ...], courier: Courier, row: Row, folder: Path, harm: Harm) -> None:
    """Import into a fresh receiver with harm at each step in turn, and then without."""
    at = 0
    while True:
        gate = Gate(folder / str(at))
        with harmed(steps, at, harm) as calls, suppress(DiodeError, KilledError):
            gate.bring(courier.medium, row.id)
        if at >= len(calls):
            gate.close()
            break
        check(gate, row)
        assert "published" == gate.bring(courier.medium, row.id).state
        assert (FILES, 1) == (gate.content(row), len(gate.enclave.said(Published)))
        gate.close()
        shutil.rmtree(folder / str(at))
        at += 1
    assert at > len(READS)


def check(gate: Gate, row: Row) -> None:
    """What is published is whole; otherwise the inbox has nothing of it."""
    assert gate.content(row) == (FILES if gate.state_of(row.id) == "published" else {})


def gone() -> None:
    """The stick was pulled."""
    raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), "part")


def killed() -> None:
    """The command was killed, or the power went."""
    raise KilledError


@pytest.mark.long
@pytest.mark.parametrize(("steps", "harm"), [(READS, gone), (STEPS, killed)], ids=["pulled", "killed"])
def test_it_goes_on_wherever_it_ended(
    courier: Courier, tmp_path: Path, steps: tuple[tuple[type, str], ...], harm: Harm
) -> None:
    """At every read of the medium, and at every slab that is handed over."""
    row = courier.pack()
    courier.export(row)
    at_every_step(steps, courier, row, tmp_path / "gates", harm)


@pytest.mark.long
def test_another_medium_at_any_moment(courier: Courier, tmp_path: Path) -> None:
    """Its content is another bundle's under the same names: nothing of it counts."""
    row, other = courier.pack(), courier.pack(2, {name: content[::-1] for name, content in FILES.items()})
    for one in (row, other):
        courier.export(one)
    home, kept = courier.on_medium(row), copy_of(courier.medium, tmp_path / "kept") / TOP / row.id

    def swap() -> None:
        shutil.copytree(courier.on_medium(other), home, dirs_exist_ok=True)

    for at in range(6):
        gate = Gate(tmp_path / "gates" / str(at))
        with harmed(READS, at, swap), suppress(DiodeError):
            gate.bring(courier.medium, row.id)
        check(gate, row)
        shutil.copytree(kept, home, dirs_exist_ok=True)
        assert "published" == gate.bring(courier.medium, row.id).state
        assert FILES == gate.content(row)
        gate.close()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(12))
def test_one_byte_anywhere(courier: Courier, tmp_path: Path, seed: int) -> None:
    """It is refused or named, whichever file has it; the medium as it was brings the rest."""
    rng = random.Random(seed)
    row = courier.pack()
    courier.export(row)
    files = sorted(path for path in courier.on_medium(row).iterdir() if path.stat().st_size)
    path = files[seed % len(files)]
    at = rng.randrange(path.stat().st_size)
    flip(path, at)
    gate = Gate(tmp_path / "gate")
    with suppress(DiodeError):
        gate.bring(courier.medium, row.id)
    check(gate, row)
    flip(path, at)
    gate.bring(courier.medium, row.id)
    assert FILES == gate.content(row)
    gate.close()
