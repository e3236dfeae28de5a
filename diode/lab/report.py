"""The report of ``diode bench``: its rows, its JSON file, and what an earlier report says of the same rows.

A row is one figure with a name of its own: ``row`` (the name), ``part``, ``value`` (None: not measured to the end) and
``unit`` (``GB/s``: more is better; ``s``: less is better). What else was measured with it lies beside these.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from diode.errors import UsageError

FORMAT: Final = "diode-bench-1"
UNITS: Final = ("GB/s", "s")
MAX_REPORT_BYTES: Final = 16 << 20
_SAME: Final = ("cpu", "cores", "link", "files")  # of another one no figure can be compared
_SHOWN: Final = ("kernel", "python", "fec", "core")  # of another one the difference may be what is measured

Row = dict[str, Any]
Machine = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ratio:
    """One row in both reports. ``better``: how many times better now than then."""

    row: str
    unit: str
    then: float
    now: float

    @property
    def better(self) -> float:
        """More than 1: more GB/s, or fewer seconds."""
        return self.now / self.then if self.unit == "GB/s" else self.then / self.now


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two reports side by side. ``only_then`` and ``only_now``: names of rows that the other one has no figure of."""

    ratios: Sequence[Ratio]
    only_then: Sequence[str]
    only_now: Sequence[str]


def new_report(machine: Machine) -> dict[str, Any]:
    """A report without rows."""
    return {"format": FORMAT, "machine": dict(machine), "complete": False, "rows": []}


def refuse_unwritable(path: Path) -> None:
    """Raise UsageError where a report cannot be written, without changing what is there."""
    try:
        path.open("ab").close()
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write it. Raises UsageError."""
    try:
        path.write_text(json.dumps(report, indent=1) + "\n")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def read_report(path: Path) -> dict[str, Any]:
    """A report that ``--json-file`` wrote. Raises UsageError, which says what is wrong with the file."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_REPORT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--compare: {path} cannot be read: {error.strerror}") from error
    if len(text) > MAX_REPORT_BYTES:
        raise UsageError(f"--compare: {path} is larger than any report of diode bench")
    try:
        report = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError(f"--compare: {path} is not JSON; diode bench --json-file writes what is compared") from None
    said = report.get("format") if isinstance(report, dict) else None
    if said != FORMAT:
        raise UsageError(f"--compare: {path} is no report in the format {FORMAT}; measure again with --json-file")
    if not isinstance(report.get("machine"), dict) or not _are_rows(report.get("rows")):
        raise UsageError(f"--compare: {path} is a damaged report: measure again with --json-file")
    return dict(report)


def _are_rows(rows: object) -> bool:
    return isinstance(rows, list) and all(isinstance(row, dict) and _is_row(row) for row in rows)


def _is_row(row: Row) -> bool:
    value = row.get("value")
    is_figure = value is None or (type(value) in (int, float) and 0 < value < float("inf"))
    return isinstance(row.get("row"), str) and row.get("unit") in UNITS and is_figure


def refuse_other_machine(then: Machine, now: Machine, path: Path) -> None:
    """Raise UsageError where the figures of ``path`` are of another machine, or were measured in another way."""
    for name in _SAME:
        if then.get(name) != now.get(name):
            raise UsageError(
                f"--compare: {path} was measured on another machine or in another way: {name} {then.get(name)}, "
                f"here {now.get(name)}"
            )


def differences(then: Machine, now: Machine) -> list[str]:
    """What is not as it was, and need not be: a line each."""
    return [f"{name} was {then.get(name)}, is {now.get(name)}" for name in _SHOWN if then.get(name) != now.get(name)]


def compared(then: Sequence[Row], now: Sequence[Row]) -> Comparison:
    """Rows of the same name and unit, in the order of ``now``."""
    earlier, later = ({(row["row"], row["unit"]): row["value"] for row in rows if row["value"]} for rows in (then, now))
    ratios = [Ratio(*key, earlier[key], value) for key, value in later.items() if key in earlier]
    return Comparison(
        ratios,
        [name for name, unit in earlier if (name, unit) not in later],
        [name for name, unit in later if (name, unit) not in earlier],
    )


def cpu_name() -> str:
    """As the kernel names it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()
