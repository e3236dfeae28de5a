"""A slice of the loss matrix, and how its rows are judged."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from diode.net.impairments import Impairments
from diode.protocol.geometry import PROFILES
from tests.faults.matrix import (
    INTERRUPTED,
    SMALL,
    Expected,
    Setup,
    cells,
    expected,
    interval,
    judge,
    print_table,
    small_cells,
)
from tests.link import ProfileName
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
SLICE = {("0 %", 1), ("1 %", 64), ("5 %", 8), ("10 %", 512), ("30 %", 1), ("rough", 1)}


@pytest.mark.long
def test_a_slice_of_the_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    """Whole transfers of one slab and a half deliver what ``diode plan`` says, or as it says."""
    rows = [cell for cell in cells() if (cell.name, cell.loss.burst) in SLICE]
    verdicts = print_table(Setup("standard", 1, 27_000_000), rows, runs=4, seed=3)
    assert len(SLICE) == len(verdicts)
    assert "CONTRADICTION" not in verdicts
    assert 2 + len(SLICE) == len(capsys.readouterr().out.splitlines())


@pytest.mark.long
@pytest.mark.parametrize("size", SMALL)
def test_small_bundles_deliver_what_the_model_says(size: int) -> None:
    """Row by row, over the lines on which some of them are lost: twelve cells in all."""
    rows = [cell for each, cell in small_cells() if each == size]
    assert 4 == len(rows)
    assert "CONTRADICTION" not in print_table(Setup("standard", 1, size), rows, runs=25, seed=5)


def test_same_seed_same_losses() -> None:
    """The seeds of a row come from the table's and from the row alone: it is the same in any company."""
    seen = []

    def count(setup: Setup, line: Impairments, seeds: list[int]) -> int:
        seen.append(seeds)
        return len(seeds)

    one, other = cells()[5:7]
    for rows, seed in (([one, other], 1), ([other], 1), ([other], 2)):
        print_table(Setup("standard", 1, 1000), rows, 3, seed, count)
    assert seen[1] == seen[2]
    assert 3 == len({*map(tuple, seen)})


LIKELY = Expected(failure=0.3, least=0.1)
RARE = Expected(failure=1e-7, least=1e-9)
FAIR = Expected(failure=0.3, least=0.3)


@pytest.mark.parametrize(
    ("model", "delivered", "verdict"),
    [
        (FAIR, 70, "inside"),
        (FAIR, 62, "inside"),
        (FAIR, 59, "by chance"),  # 95 % of rows lie nearer
        (FAIR, 45, "CONTRADICTION"),
        (FAIR, 95, "CONTRADICTION"),  # better than the line allows: then the line is not what it should be
        (LIKELY, 45, "CONTRADICTION"),
        (LIKELY, 85, "above"),
        (LIKELY, 97, "by chance"),
        (LIKELY, 100, "CONTRADICTION"),
        (RARE, 100, "inside"),
        (RARE, 99, "CONTRADICTION"),
    ],
)
def test_verdicts(model: Expected, delivered: int, verdict: str) -> None:
    """Of 100 runs, in a table of 25 rows."""
    assert verdict == judge(model, delivered, 100, 25)


@pytest.mark.parametrize(
    ("delivered", "low", "high"), [(0, 0.0, 0.0362), (50, 0.3983, 0.6017), (99, 0.9455, 0.9997), (100, 0.9638, 1.0)]
)
def test_intervals(delivered: int, low: float, high: float) -> None:
    """As in the tables of Clopper and Pearson."""
    assert (low, high) == pytest.approx(interval(delivered, 100, 0.95), abs=1e-4)


@pytest.mark.long
@pytest.mark.parametrize("size", [1000, 45_000_000])
@pytest.mark.parametrize("profile", PROFILES)
def test_the_line_never_allows_less_than_the_model_says(profile: ProfileName, size: int) -> None:
    """The two figures of a row are in order, and nearly one where losses come alone."""
    for cell in cells():
        model = expected(Setup(profile, 1, size), cell.loss)
        assert model.least <= model.failure + 1e-12
        if cell.loss.burst == 1:
            assert model.failure == pytest.approx(model.least, abs=0.01)


def test_an_interrupt_ends_it() -> None:
    """Ctrl-C in a terminal reaches all its processes: no traceback, and the exit code of an interrupt."""
    command = [sys.executable, "-m", "tests.faults.matrix", "--size", "1000"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as matrix:
        assert matrix.stdout
        assert matrix.stdout.readline().startswith("| loss")
        os.killpg(matrix.pid, signal.SIGINT)
        _, errors = matrix.communicate(timeout=PATIENCE_S)
    assert (INTERRUPTED, "") == (matrix.returncode, errors)
