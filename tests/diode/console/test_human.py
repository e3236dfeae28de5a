"""Names and moments as people say them."""

import time

import pytest

from diode.console.human import cells_of, shortened, since_of
from diode.errors import UsageError
from diode.formats.timestamps import moment

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "ago_s"),
    [("90s", 90), ("5min", 300), ("2h", 7200), ("3 days", 259_200), ("1d", 86_400), ("2w", 1_209_600)],
)
def test_a_moment_may_be_a_span_before_now(text: str, ago_s: int) -> None:
    """As ``status --since`` takes it."""
    assert moment(NOW - ago_s) == since_of(text, NOW)


def test_a_moment_is_by_the_clock_on_the_wall_unless_it_says_z() -> None:
    """People read a local clock."""
    wall = time.localtime(NOW)
    assert moment(NOW - NOW % 60) == since_of(time.strftime("%Y-%m-%d %H:%M", wall), NOW)
    assert moment(NOW - NOW % 60) == since_of(time.strftime("%H:%M", wall), NOW)
    assert "2026-11-28T14:05:00Z" == since_of("2026-11-28T14:05:00Z", NOW)


@pytest.mark.parametrize(
    "text", ["", "soon", "2", "25:00", "2026-13-01", "9999999 days", "-2h", "2026-11-28T14:05:99Z"]
)
def test_what_is_no_moment_is_told(text: str) -> None:
    """And what is one."""
    with pytest.raises(UsageError, match="is no time: say 2h"):
        since_of(text, NOW)


@pytest.mark.parametrize(
    "text", ["a", "x" * 100, "channel/" + "n" * 255 + "/v1", "\u8a9e" * 50, "e\u0301" * 40, "\x1b[2J" * 9]
)
@pytest.mark.parametrize("most", [8, 17, 40])
def test_a_name_fits_with_both_its_ends(text: str, most: int) -> None:
    """Whatever its letters take on a terminal."""
    shown = shortened(text, most)
    assert cells_of(shown) <= most
    assert "\x1b" not in shown
    if cells_of(text) > most and text.isascii() and text.isprintable():
        assert (most, text[:3], text[-3:]) == (len(shown), shown[:3], shown[-3:])
