"""What this host's own kernel refuses is said, and ends a run that is to end by itself."""

import errno

import pytest

from diode.errors import NetworkError
from sender.events.happened import Event, KernelAccepts, KernelRefuses
from sender.supervisor.refusals import GIVE_UP_S, SAID_EVERY_S, LocalRefusals


class Bench:
    """Refusals, what was said, and what the daemon ends with."""

    def __init__(self) -> None:
        self.said: list[Event] = []
        self.failures: list[NetworkError] = []
        self.refusals = LocalRefusals(self.said.append, self.failures.append)


@pytest.fixture
def bench() -> Bench:
    """Nothing is refused yet."""
    return Bench()


def test_a_refusal_is_said_once_a_minute_and_its_end_too(bench: Bench) -> None:
    """Under the name of the errno."""
    bench.refusals.note("slabs", errno.EACCES)
    for now in (100.0, 101.0, 102.0, 101.0 + SAID_EVERY_S):
        bench.refusals.tick(now)
    bench.refusals.note("slabs", 0)
    bench.refusals.tick(170.0)
    bench.refusals.tick(171.0)
    again = KernelRefuses("EACCES", 1.0 + SAID_EVERY_S)
    assert [KernelRefuses("EACCES", 1.0), again, KernelAccepts(70.0)] == bench.said
    assert [] == bench.failures


def test_what_passes_at_once_is_not_said(bench: Bench) -> None:
    """A full queue is no alarm."""
    bench.refusals.note("heartbeats", errno.ENOBUFS)
    bench.refusals.tick(1.0)
    bench.refusals.note("heartbeats", 0)
    bench.refusals.tick(2.0)
    assert [] == bench.said


def test_heartbeats_alone_show_it_on_an_idle_line(bench: Bench) -> None:
    """And slabs that pass say nothing of heartbeats."""
    bench.refusals.note("heartbeats", errno.ENETUNREACH)
    bench.refusals.note("slabs", 0)
    assert "ENETUNREACH" == bench.refusals.error


@pytest.mark.parametrize("is_bounded", [True, False])
def test_only_a_run_that_is_to_end_gives_up(bench: Bench, is_bounded: bool) -> None:
    """With an exit code of its own, and everything kept."""
    bench.refusals.is_bounded = is_bounded
    bench.refusals.note("slabs", errno.EINVAL)
    bench.refusals.tick(0.0)
    bench.refusals.tick(GIVE_UP_S)
    assert [19] * is_bounded == [failure.exit_code for failure in bench.failures]
