"""A timetable says which rate holds at which minute of the week."""

import time

import pytest

from sender.transport.timetable import Timetable


def at(text: str) -> time.struct_time:
    """A local time, such as ``Mon 08:30`` (2024-01-01 was a Monday)."""
    day, clock = text.split()
    number = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun").index(day)
    return time.strptime(f"2024-01-{number + 1:02} {clock}", "%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("moment", "rate"),
    [
        ("Mon 07:59", 100_000_000),
        ("Mon 08:00", 512_000_000),
        ("Mon 19:59", 512_000_000),
        ("Mon 20:00", None),
        ("Tue 03:00", None),
        ("Sat 09:00", 512_000_000),
        ("Sat 12:00", 100_000_000),
        ("Sun 00:00", None),
    ],
)
def test_the_last_entry_before_a_moment_holds(moment: str, rate: int | None) -> None:
    """Every day, one day, off, and over midnight."""
    table = Timetable.parse("08:00,512M 20:00,off Sat-12:00,100M Mon-00:00,100M")
    assert rate == table.rate_at(at(moment), 7)


def test_an_empty_timetable_changes_nothing() -> None:
    """The configured rate holds."""
    assert 7 == Timetable.parse("").rate_at(at("Wed 12:00"), 7)


def test_the_week_begins_with_its_last_entry() -> None:
    """What held on Sunday night holds on Monday morning."""
    assert 5 == Timetable.parse("Sun-10:00,5 Wed-10:00,9").rate_at(at("Mon 00:00"), 7)


@pytest.mark.parametrize("text", ["8:00,1M", "08:00", "24:00,1M", "08:60,1M", "08:00,fast", "Foo-08:00,1M", "08:00,0"])
def test_anything_else_is_refused(text: str) -> None:
    """With the entry in the message."""
    with pytest.raises(ValueError, match=r"\w"):
        Timetable.parse(text)
