"""Whose fault an error is, and what scripts are told of it."""

import re
from collections.abc import Iterator
from pathlib import Path

from diode import errors
from diode.errors import DiodeError, exit_codes

FAMILIES = {
    errors.OperatorError,
    errors.BytesError,
    errors.RefusedError,
    errors.ItemError,
    errors.HostError,
    errors.StorageError,
}
ABOVE = {DiodeError, errors.ContentError}  # what is caught where it does not matter which family it is
PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
WITHOUT_AN_ERROR = {0, 18, 130}  # done, reserved, interrupted


def kinds_below(kind: type[DiodeError]) -> Iterator[type[DiodeError]]:
    """A class and all that derive from it in this project."""
    yield kind
    for one in kind.__subclasses__():
        if one.__module__ == errors.__name__:
            yield from kinds_below(one)


def test_each_error_stands_in_one_family() -> None:
    """Whoever reads or catches one knows whose fault it is."""
    for kind in set(kinds_below(DiodeError)) - ABOVE:
        assert 1 == len(FAMILIES & set(kind.__mro__)), kind


def test_a_reason_has_one_exit_code() -> None:
    """A label of a metric means the same wherever it is counted."""
    found: dict[str, set[int]] = {}
    for kind in kinds_below(DiodeError):
        if kind is not errors.FullError:  # a disk that is full fails as any other, and scripts may make room
            found.setdefault(kind.reason, set()).add(kind.exit_code)
    assert {} == {reason: codes for reason, codes in found.items() if len(codes) > 1}


def test_the_page_tells_every_exit_code() -> None:
    """docs/operations.md, section "Exit codes"."""
    section = PAGE.read_text().split("\n## Exit codes\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    told = {int(code) for row in rows for code in re.findall(r"\| (\d+) (?=\|)", row)}
    assert told == {kind.exit_code for kind in kinds_below(DiodeError)} | WITHOUT_AN_ERROR


def test_families_change_nothing_that_is_told() -> None:
    """Reasons are words of metrics, of ``reason.json`` and between workers: the families add none."""
    assert {kind.reason for kind in FAMILIES} == {"failed", "content", "storage"}
    assert ("content", 13) in exit_codes(errors.ContentError).items()
