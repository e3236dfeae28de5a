"""``diode bench``: its options, its stages and limits, what it shows, and that nothing of it stays behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from diode.commands import lab
from diode.errors import UsageError
from diode.lab import bench, latency, limits, stages, tables
from diode.lab.kernel_limit import Limit
from diode.lab.progress import Progress
from diode.lab.report import Row
from diode.lab.transfer import Case, open_ends
from diode.process.compiled import READABLE
from tests.patience import PATIENCE_S, wait_until


def test_a_stage_is_bounded_by_the_limit_that_it_nears() -> None:
    """By the lowest of its limits that was measured, if it reaches half of that; else by itself."""
    rows: list[Row] = [
        {"row": "limit a", "limit": "a", "value": 10.0},
        {"row": "limit b", "limit": "b", "value": 4.0},
        {"row": "near", "limits": ["a", "b", "c"], "value": 3.0},
        {"row": "far", "limits": ["a"], "value": 3.0},
        {"row": "free", "limits": ["c"], "value": 3.0},
    ]
    near, far, free = list(limits.bound(rows))[2:]
    assert ("b", 0.75, "b") == (near["nearest_limit"], near["of_limit"], near["bounded_by"])
    assert ("a", 0.3, "its own computation") == (far["nearest_limit"], far["of_limit"], far["bounded_by"])
    assert "bounded_by" not in free


def test_limits_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory, hash, and both ends of the kernel at each MTU."""
    monkeypatch.setattr(limits, "_MEMORY_BYTES", 1 << 20)
    found = {row["limit"]: row["value"] for row in limits.measure({1500: Limit(3e9, 2e9, 4e9)})}
    assert 2.0 == found.pop("kernel, sending 1500")
    assert 4.0 == found.pop("kernel, receiving 1500")
    assert {"memory, read", "memory, copy", "hash in the cache"} == found.keys()
    assert all(value > 0 for value in found.values())


def test_workers_at_the_sockets_are_held_against_the_kernel() -> None:
    """In payload: a byte of user data is 1.15 bytes of it at MTU 1500."""
    row: Row = {"row": "r", "value": 0.5, "profile": "standard", "auth": "gmac", "mtu": 1500, "core": "off"}
    row["cpu_s_per_gb"] = {"sender.transport.transmit": 0.5}
    lost = row | {"value": None}
    (found,) = limits.workers([row, lost, row | {"auth": "none"}])
    assert found["value"] == pytest.approx(2 * 1472 / 1408 * 1.1)
    assert ["kernel, sending 1500"] == found["limits"]


def test_each_stage_is_a_row(tmp_path: Path) -> None:
    """With a name of its own; without a core there is one way to do it."""
    rows = list(stages.measure(576, 448, tmp_path, READABLE))
    assert len(rows) == len({row["row"] for row in rows})
    assert {"read", "FEC encode 200+20", "number and tag", "verify", "place", "hash", "write"} < {
        row["stage"] for row in rows
    }
    assert {"", "off"} == {row["core"] for row in rows}
    assert all(row["value"] > 0 and row["limits"] for row in rows)


@pytest.mark.long
def test_dropped_bundles_are_timed_and_compared(tmp_path: Path) -> None:
    """By two daemons that run all the time; what arrived is deleted."""
    with open_ends() as ends:
        progress = Progress(Console(quiet=True))
        case = Case(1500, "gmac", "standard")
        (row,) = latency.drops(ends, case, {"4 KiB": 4096}, tmp_path, 2, progress)
    assert "4 KiB 1500, drop to publication" == row["row"]
    assert 2 == len(row["runs_s"])
    assert all(0 < each < PATIENCE_S for each in row["runs_s"])
    assert not (tmp_path / "pair").exists()


@pytest.mark.parametrize("parts", ["speed", "stages,,latency", "stages,speed"])
def test_a_part_that_there_is_not_is_refused(parts: str) -> None:
    """It says which ones there are."""
    with pytest.raises(UsageError, match="stages, transfers, sizes, singly, latency"):
        lab.bench(parts, quick=True, json_file=None, compare=None)


@pytest.mark.parametrize("core", ["on", "", "/lib/core.so"])
def test_the_core_is_switched_by_three_words(core: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never a path."""
    monkeypatch.setenv("DIODE_CORE", core)
    with pytest.raises(UsageError, match="auto, off or require"):
        bench.run_bench(bench.Wanted(), Console(quiet=True))


def test_a_core_that_is_required_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a row without it would pass for one with it."""

    def missing() -> None:
        raise FileNotFoundError("no library here")

    monkeypatch.setattr("diode.process.compiled.load", missing)
    monkeypatch.setenv("DIODE_CORE", "require")
    with pytest.raises(UsageError, match="no library here"):
        bench.run_bench(bench.Wanted(), Console(quiet=True))


def test_rows_without_figures_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """A series that was given up, and a size of which nothing arrived."""
    lost: Row = {"row": "1500 standard gmac, core on", "part": "transfers", "value": None, "ratios": {}}
    late: Row = {"row": "4 KiB 1500, send to exit", "part": "latency", "value": None, "runs_s": [], "rate": None}
    tables.show_transfers(Console(), [lost], "transfers")
    tables.show_latency(Console(), [late])
    assert 2 == capsys.readouterr().out.count("none")


def test_progress_is_a_line_a_row_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    """A log is not filled with each transfer."""
    progress = Progress(Console())
    with progress.part("transfers"):
        for number in range(3):
            progress.say(f"1500 standard gmac: {number} of 3")
    assert 1 == len(capsys.readouterr().out.splitlines())


@pytest.fixture
def started(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A bench that is in the middle of latencies: both daemons run."""
    words = ("bench", "--quick", "--parts", "latency", "--json-file", str(tmp_path / "report.json"))
    command = [sys.executable, "-m", "diode.cli.main", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: any(map(children_of, daemons_of(process.pid))), "a daemon has started its workers")
        yield process
        process.kill()


def daemons_of(parent: int) -> list[int]:
    """Our daemons among the children of ``parent``."""
    return [pid for pid in children_of(parent) if "cli.main" in words_of(pid)]


def words_of(pid: int) -> str:
    """What a process was called with; nothing if it has ended meanwhile."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def children_of(parent: int) -> list[int]:
    """Those that are alive."""
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def left_over(pid: int) -> list[str]:
    """Folders and namespaces that a bench has made."""
    places = [path for path in (Path("/run/netns"), Path("/dev/shm")) if path.is_dir()]
    return [path.name for place in places for path in place.iterdir() if path.name.startswith(f"diode-bench-{pid}")]


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_behind(
    started: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    """No processes, namespaces or folders; a second signal changes nothing; what was measured is in the file."""
    daemons = daemons_of(started.pid)
    os.kill(started.pid, number)
    os.kill(started.pid, number)
    _, said = started.communicate(timeout=PATIENCE_S)
    assert (130, "error: interrupted\n") == (started.returncode, said)
    assert not any(Path(f"/proc/{pid}").exists() for pid in daemons)
    assert [] == left_over(started.pid)
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["complete"] is False
    assert {"raw 1500", "raw 9000"} == {row["row"] for row in found["rows"]}
