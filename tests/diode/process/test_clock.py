"""Nothing is deleted by a clock that jumped."""

from pathlib import Path

from structlog.testing import capture_logs

from diode.process.clock import (
    AWAY_S,
    LEAST_LOOKS,
    STEADY_S,
    BelievedClock,
    ClockJumped,
    ClockWatch,
    Reading,
    last_written,
    log_clock,
    read_clocks,
)

AT = 1_800_000_000.0
YEAR_S = 365 * 86_400.0


class Clocks:
    """Both clocks of a host, as a test sets them."""

    def __init__(self) -> None:
        self.wall, self.steady = AT, 100.0

    def read(self) -> Reading:
        return Reading(self.wall, self.steady)

    def go(self, clock: BelievedClock, seconds: float, every_s: float = 1.0) -> list[ClockJumped]:
        """Let time pass, with a look every so many seconds."""
        jumps = []
        for _ in range(round(seconds / every_s)):
            self.wall += every_s
            self.steady += every_s
            jumps.append(clock.look(self.read()))
        return [jump for jump in jumps if jump]


def test_it_is_believed_after_an_hour_beside_a_steady_clock() -> None:
    """Not before, also at a start: no steady clock reaches over a restart."""
    clocks = Clocks()
    clock = BelievedClock(clocks.read())
    assert [] == clocks.go(clock, STEADY_S - 1)
    assert (None, False) == (clock.now, clock.is_doubted)
    assert [] == clocks.go(clock, 1)
    assert clocks.wall == clock.now


def test_a_year_ahead_for_six_seconds_is_never_believed() -> None:
    """And when the clock is right again, it is believed at once."""
    clocks = Clocks()
    clock = BelievedClock(clocks.read())
    clocks.go(clock, STEADY_S)
    clocks.wall += YEAR_S
    assert [ClockJumped(YEAR_S, is_undone=False)] == clocks.go(clock, 6)
    assert (None, True, clocks.wall - YEAR_S) == (clock.now, clock.is_doubted, clock.likely)
    clocks.wall -= YEAR_S
    assert [ClockJumped(-YEAR_S, is_undone=True)] == clocks.go(clock, 1)
    assert (clocks.wall, False) == (clock.now, clock.is_doubted)


def test_a_year_back_is_a_jump_too() -> None:
    """It is believed when it has run there for an hour."""
    clocks = Clocks()
    clock = BelievedClock(clocks.read())
    clocks.go(clock, STEADY_S)
    clocks.wall -= YEAR_S
    assert [ClockJumped(-YEAR_S, is_undone=False)] == clocks.go(clock, STEADY_S)
    assert (None, clocks.wall + YEAR_S) == (clock.now, clock.likely)
    clocks.go(clock, 1)
    assert (clocks.wall, clocks.wall, False) == (clock.now, clock.likely, clock.is_doubted)


def test_jumps_after_a_jump_begin_the_hour_anew() -> None:
    """However often it jumps, it is compared with what it was before the first one."""
    clocks = Clocks()
    clock = BelievedClock(clocks.read())
    clocks.go(clock, STEADY_S)
    for _ in range(3):
        clocks.wall += YEAR_S
        assert 1 == len(clocks.go(clock, STEADY_S - 1))
        assert clock.now is None
    clocks.wall -= 3 * YEAR_S
    assert clocks.go(clock, 1)[0].is_undone
    assert clocks.wall == clock.now


def test_one_look_is_not_enough() -> None:
    """A daemon that was stopped for a long time looks several times before it believes."""
    clocks = Clocks()
    clock = BelievedClock(clocks.read())
    clocks.go(clock, 2 * STEADY_S, every_s=2 * STEADY_S)
    assert clock.now is None
    clocks.go(clock, LEAST_LOOKS)
    assert clocks.wall == clock.now


def test_a_clock_that_is_set_right_slowly_does_not_jump() -> None:
    """A time server corrects by less than 500 microseconds a second."""
    clocks = Clocks()
    clock = BelievedClock(clocks.read())
    for _ in range(2 * int(STEADY_S)):
        clocks.wall += 0.0005
        assert [] == clocks.go(clock, 1)
    assert clocks.wall == clock.now


def test_a_start_far_from_what_was_recorded_is_a_jump() -> None:
    """Behind it, or ahead by more than a host is usually off; and it is undone when the clock comes near."""
    said: list[ClockJumped] = []
    clocks = Clocks()
    for known in (AT - AWAY_S + 1, AT, None):
        assert not ClockWatch(said.append, known, clocks.read).is_doubted()
    assert [] == said
    watch = ClockWatch(said.append, AT + YEAR_S, clocks.read)
    assert ([ClockJumped(-YEAR_S, is_undone=False)], True) == (said, watch.is_doubted())
    clocks.wall += YEAR_S + 5
    assert (False, ClockJumped(YEAR_S + 5, is_undone=True)) == (watch.is_doubted(), said[-1])
    assert watch.now() is None
    assert "2028-01-15T08:00:05Z" == watch.likely_utc()


def test_lines_say_what_to_type() -> None:
    """A jump has a name of its own."""
    with capture_logs() as lines:
        log_clock(ClockJumped(YEAR_S, is_undone=False))
        log_clock(ClockJumped(-YEAR_S, is_undone=True))
    assert ["clock_jumped", "clock_right_again"] == [line["event"] for line in lines]
    assert "timedatectl" in lines[0]["do"]


def test_what_was_written_last(tmp_path: Path) -> None:
    """By the files themselves; nothing is known of an empty folder, or of none."""
    assert (None, None) == (last_written(tmp_path), last_written(tmp_path / "none"))
    (tmp_path / "audit.1.jsonl").touch()
    assert (tmp_path / "audit.1.jsonl").stat().st_mtime == last_written(tmp_path)
    assert read_clocks().wall >= AT - 2 * YEAR_S
