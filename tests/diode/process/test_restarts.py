"""A worker that dies is replaced, unless workers die again and again."""

from diode.process.messages import Fatal
from diode.process.restarts import Restarts, failure_of


def test_too_many_deaths_within_a_minute() -> None:
    """The error says who died last, and how often workers did."""
    restarts = Restarts(2)
    found = [restarts.died("a.worker", now) for now in (0.0, 30.0, 59.9)]
    assert [None, None] == found[:2]
    assert "a.worker died 3 times within a minute; all is kept" == str(found[2])


def test_deaths_that_lie_apart() -> None:
    """They may go on for ever."""
    restarts = Restarts(2)
    assert [None] * 20 == [restarts.died("a.worker", 30.0 * n) for n in range(20)]


def test_a_worker_that_cannot_work() -> None:
    """Its words and its exit code are the daemon's."""
    error = failure_of(Fatal("no socket", 5))
    assert ("no socket", 5) == (str(error), error.exit_code)
