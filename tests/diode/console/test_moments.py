"""Moments are typed as people say them, and compared as the ledger has them."""

import time

import pytest

from diode.console.moments import moment_of, whole_time
from diode.errors import UsageError

NOW = 1_795_950_000.0  # 2026-11-29T11:00:00Z


@pytest.fixture(autouse=True)
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour ahead of UTC on that day."""
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()


@pytest.mark.parametrize(
    ("typed", "moment"),
    [
        ("2026-11-29", "2026-11-28T23:00:00Z"),
        ("2026-11-29 12:30", "2026-11-29T11:30:00Z"),
        ("2026-11-29T12:30:15", "2026-11-29T11:30:15Z"),
        ("2026-11-29T12:30:15Z", "2026-11-29T12:30:15Z"),
        ("09:15", "2026-11-29T08:15:00Z"),
        ("30min", "2026-11-29T10:30:00Z"),
        ("12h", "2026-11-28T23:00:00Z"),
        ("3 d", "2026-11-26T11:00:00Z"),
    ],
)
def test_local_times_and_spans(typed: str, moment: str) -> None:
    """A span is so long ago. With Z it is UTC."""
    assert moment == moment_of(typed, NOW)


@pytest.mark.parametrize("typed", ["", "yesterday", "2026-13-01", "12:61", "-3d", "9999999d", "3y", "\x1b[2J"])
def test_anything_else_is_refused(typed: str) -> None:
    """With what can be typed."""
    with pytest.raises(UsageError, match="is no moment such as 2026-11-29"):
        moment_of(typed, NOW)


def test_a_whole_time_is_the_time_on_the_wall() -> None:
    """What is no moment stays as it is."""
    assert ("2026-11-29 12:00:07", "soon") == (whole_time("2026-11-29T11:00:07Z"), whole_time("soon"))
