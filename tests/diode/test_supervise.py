"""Who is at work, and who only exists."""

from diode.memory import Counters
from diode.supervise import Pulse


def test_pulse_tells_how_long_nothing_changed() -> None:
    """Seconds since the last change of the worker's number; an excuse counts like a change."""
    pulse = Pulse(100.0)
    ages = [
        pulse.feel(0, 103.0),
        pulse.feel(7, 104.0),
        pulse.feel(7, 109.0),
        pulse.feel(7, 110.0, is_excused=True),
        pulse.feel(7, 112.0),
    ]
    assert [3.0, 0.0, 5.0, 0.0, 2.0] == ages


def test_writing_the_same_figure_shows_life() -> None:
    """The supervisor sees that its worker writes, through the other mapping, even when no figure changes."""
    memfd = Counters.create(("a", "b"))
    worker, supervisor = Counters(memfd, ("a", "b")), Counters(memfd, ("a", "b"))
    worker["a"] = 5
    worker["a"] = 5
    worker.add("b", 0)
    assert (3, {"a": 5, "b": 0}) == (supervisor.writes, supervisor.snapshot())
