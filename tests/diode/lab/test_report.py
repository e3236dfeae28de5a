"""An earlier report of ``diode bench`` is compared row by row, or refused in one line that says why."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from diode.errors import UsageError
from diode.lab import report
from diode.lab.bench import Wanted, run_bench
from diode.lab.report import Ratio

MACHINE = {"cpu": "fast", "cores": 2, "link": "veth", "files": "tmpfs", "kernel": "1", "core": "used"}


def row(name: str, value: float | None, unit: str = "GB/s") -> report.Row:
    """A row with nothing but its figure."""
    return {"row": name, "part": "raw", "value": value, "unit": unit}


def written(path: Path, **changed: Any) -> Path:
    """A file with a report of one row, but for what is ``changed``."""
    report.write_report(path, report.new_report(MACHINE) | {"rows": [row("raw 1500", 2.0)]} | changed)
    return path


def test_more_gigabytes_and_fewer_seconds_are_better() -> None:
    """So a ratio above 1 is an improvement in each row."""
    then = [row("raw 1500", 2.0), row("4 KiB", 0.5, "s")]
    now = [row("raw 1500", 3.0), row("4 KiB", 0.25, "s")]
    found = report.compared(then, now)
    assert [Ratio("raw 1500", "GB/s", 2.0, 3.0), Ratio("4 KiB", "s", 0.5, 0.25)] == found.ratios
    assert [1.5, 2.0] == [each.better for each in found.ratios]


def test_rows_that_one_report_lacks_are_named() -> None:
    """Also those that were not measured to the end, and those with another unit."""
    then = [row("gone", 1.0), row("failed now", 1.0), row("failed then", None), row("changed", 1.0, "s")]
    now = [row("failed now", None), row("failed then", 1.0), row("changed", 1.0), row("new", 1.0)]
    found = report.compared(then, now)
    assert [] == found.ratios
    assert ["gone", "failed now", "changed"] == found.only_then
    assert ["failed then", "changed", "new"] == found.only_now


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """As it was."""
    assert [row("raw 1500", 2.0)] == report.read_report(written(tmp_path / "report.json"))["rows"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("\udcff", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no report in the format diode-bench-1"),
        ('{"raw": {"1500": 2.0}}', "no report in the format diode-bench-1"),
        ('{"format": "diode-bench-2"}', "no report in the format diode-bench-1"),
        ('{"format": "diode-bench-1"}', "damaged"),
        ('{"format": "diode-bench-1", "machine": {}, "rows": [1]}', "damaged"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """Each in one line."""
    path = tmp_path / "other.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match=f"--compare: .*{says}") as refused:
        report.read_report(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [0, -1.0, "1", True, math.nan, math.inf])
def test_a_figure_that_is_none_is_refused(tmp_path: Path, value: object) -> None:
    """Python's JSON has NaN and Infinity, and nothing may be divided by 0."""
    path = written(tmp_path / "report.json", rows=[row("raw 1500", 1.0) | {"value": value}])
    with pytest.raises(UsageError, match="damaged"):
        report.read_report(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """And a folder."""
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            report.read_report(path)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """It is not read whole."""
    path = tmp_path / "large.json"
    path.touch()
    with path.open("r+b") as file:
        file.truncate(report.MAX_REPORT_BYTES + 1)
    with pytest.raises(UsageError, match="larger"):
        report.read_report(path)


@pytest.mark.parametrize("changed", [{"cpu": "slow"}, {"cores": 4}, {"link": "loopback"}, {"files": "/tmp"}])
def test_a_report_of_another_machine_is_refused(changed: dict[str, object]) -> None:
    """And one that was measured in another way."""
    with pytest.raises(UsageError, match=f"another machine or in another way: {next(iter(changed))} "):
        report.refuse_other_machine(MACHINE, MACHINE | changed, Path("then.json"))


def test_another_kernel_is_said_and_compared() -> None:
    """It may be what is measured."""
    now = MACHINE | {"kernel": "2"}
    report.refuse_other_machine(MACHINE, now, Path("then.json"))
    assert ["kernel was 1, is 2"] == report.differences(MACHINE, now)


def test_a_bad_file_stops_the_bench_before_it_measures(tmp_path: Path) -> None:
    """Also where the report could not be written in the end; what lies there stays."""
    path = tmp_path / "then.json"
    path.write_text("{")
    with pytest.raises(UsageError, match="not JSON"):
        run_bench(Wanted(compare=path), Console(quiet=True))
    with pytest.raises(UsageError, match="cannot be written"):
        run_bench(Wanted(json_file=tmp_path / "missing" / "report.json"), Console(quiet=True))
    other = written(tmp_path / "other.json")
    before = other.read_bytes()
    with pytest.raises(UsageError, match="another machine"):
        run_bench(Wanted(compare=other, json_file=other), Console(quiet=True))
    assert before == other.read_bytes()


def test_a_report_is_json_without_special_numbers(tmp_path: Path) -> None:
    """Other programs read it, too."""
    assert json.loads(written(tmp_path / "report.json").read_text())["format"] == report.FORMAT
