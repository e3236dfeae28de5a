"""How a series finds rates, takes turns, and makes rows of what it measured; transfers are computed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from diode.lab.progress import Progress
from diode.lab.report import Row
from diode.lab.series import Load, Series, Way
from diode.lab.transfer import Case

CASE = Case(1500, "gmac", "standard")
LOAD = Load(Path("source"), 1000, Path("folder"))
OFF, ON, LOSSY = Way("off"), Way("require"), Way("require", 10)
RAW = 4e9


class Line:
    """A computed link: what carries which rate, and what was asked of it."""

    def __init__(self, carries: Callable[[Way, int, int], bool]) -> None:
        self._carries = carries
        self.asked: list[tuple[str, int]] = []

    def __call__(self, case: Case, way: Way, load: Load, rate: int) -> dict[str, Any] | None:
        """One transfer, as fast as its rate. ``carries`` is given the way, its rate, and how many were before."""
        is_carried = self._carries(way, rate, len(self.asked))
        self.asked.append((way.core, rate))
        return {"gb_per_s": rate / 1e9, "rate": rate} if is_carried else None


def rows_of(line: Line, *ways: Way, runs: int = 5) -> list[Row]:
    """A series of one case."""
    series = Series(line, {1500: RAW}, Progress(Console(quiet=True)))
    return list(series.rows("1500 standard gmac", CASE, ways, LOAD, runs, part="transfers"))


def test_ways_take_turns_there_and_back() -> None:
    """So that what else the machine does meets both alike."""
    line = Line(lambda *_: True)
    rows_of(line, OFF, ON, runs=4)
    assert [OFF.core, ON.core, ON.core, OFF.core] * 2 == [core for core, _ in line.asked]


def test_each_way_gets_the_highest_rate_that_loses_nothing() -> None:
    """Ratios are between neighbours, at rates of their own."""
    off, on = rows_of(Line(lambda way, rate, _: rate <= (1e8 if way == OFF else 5e8)), OFF, ON)
    assert 0.085 < off["value"] <= 0.1
    assert 0.425 < on["value"] <= 0.5
    assert off["value"] * 1e9 / RAW == pytest.approx(off["of_raw"])
    assert on["ratios"] == {off["row"]: pytest.approx(on["value"] / off["value"])}
    assert {} == off["ratios"]


def test_rounds_begin_anew_after_a_loss() -> None:
    """A median is of transfers at one rate."""
    (row,) = rows_of(Line(lambda _, __, before: before != 3), ON)
    assert 1 == len(set(row["runs_gb_per_s"]))
    assert 5 == len(row["runs_gb_per_s"])
    assert row["value"] == pytest.approx(RAW * 0.3 * 0.85 / 1e9)


def test_a_series_is_given_up_when_nothing_arrives() -> None:
    """Its rows are there, without figures, and it ends."""
    line = Line(lambda way, *_: way == OFF)
    off, on = rows_of(line, OFF, ON)
    assert (None, None) == (off["value"], on["value"])
    assert {} == on["ratios"]
    assert len(line.asked) < 25


def test_a_series_is_given_up_when_losses_go_on() -> None:
    """Also where the first transfer at each rate arrives."""
    seen: set[int] = set()

    def once(_: Way, rate: int, __: int) -> bool:
        is_new = rate not in seen
        seen.add(rate)
        return is_new

    line = Line(once)
    (row,) = rows_of(line, ON)
    assert row["value"] is None
    assert len(line.asked) < 60


def test_a_similar_case_begins_near_what_was_reached() -> None:
    """Trying from the top each time would take most of the time."""
    line = Line(lambda _, rate, __: rate <= 1e8)
    series = Series(line, {1500: RAW}, Progress(Console(quiet=True)))
    list(series.rows("first", CASE, [ON], LOAD, 1, part="transfers"))
    before = len(line.asked)
    list(series.rows("second", Case(1500, "gmac", "clean"), [ON], LOAD, 1, part="transfers"))
    assert before > 10
    assert len(line.asked) - before <= 4


def test_rows_are_named_by_what_differs() -> None:
    """A figure of the documentation is found by this name."""
    names = [row["row"] for row in rows_of(Line(lambda *_: True), Way("off", 0), Way("require", 0), LOSSY, runs=1)]
    assert names == [
        "1500 standard gmac, core off, 0 % lost",
        "1500 standard gmac, core on, 0 % lost",
        "1500 standard gmac, core on, 1 % lost",
    ]
