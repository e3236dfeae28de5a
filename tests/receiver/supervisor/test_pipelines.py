"""Workers that die are started anew, a few times; and who is at work is told from who only exists."""

from pathlib import Path
from typing import Any

import pytest

from diode.config.init import init_receiver
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.errors import UsageError, WorkerError
from diode.process.messages import Fatal
from diode.process.restarts import MOST_RESTARTS, WorkersLate
from diode.process.shutdown import Shutdown
from diode.trust.keys import new_link_key
from receiver.events.happened import Event, Health, WorkerDied
from receiver.supervisor import pipelines
from receiver.supervisor.figures import Figures
from receiver.supervisor.pipelines import (
    ASSEMBLE_PATIENCE_S,
    LISTEN_PATIENCE_S,
    WAITING_S,
    Pipelines,
    Pulses,
)


class FewCounters:
    """Of a worker that has counted one thing."""

    writes = 1

    def snapshot(self) -> dict[str, int]:
        """As the counters of a worker."""
        return {"bytes": 1}


class NoPipeline:
    """Starts nobody. ``begun``: what each was started with."""

    begun: list[tuple[Any, ...]]
    listen_counters = assemble_counters = FewCounters()
    datagram_bytes = 1472

    def __init__(self, config: ReceiverConfig, *given: Any) -> None:
        self.begun.append(given[:4])


class NoCrew:
    """Nobody lives in it."""

    is_alive = True

    def __init__(self, on_message: Any, on_death: Any, *_: Any) -> None:
        self.die = on_death

    def close(self, grace_s: float) -> dict[str, int]:
        """The exit codes of all."""
        return {"receiver.store": -9}


class Named:
    """A worker, as far as its death is concerned."""

    name = "receiver.store"


class Known:
    """What a new pipeline need not wait for."""

    admitted = ((1, 2, 3),)
    orders = {"key": (1, 7, True, True)}  # noqa: RUF012


class Running:
    """Pipelines of nobody, and what was said."""

    def __init__(self, folder: Path) -> None:
        init_receiver(folder, listen="127.0.0.1:9", auth="none", link_key=new_link_key(), public=None)
        self.said: list[Event] = []
        self.shutdown = Shutdown(self.said.append)
        self.figures = Figures()
        known: Any = Known()
        config = load(ReceiverConfig, folder / "receiver.toml")
        self.pipelines = Pipelines(config, 5, known, self.figures, self.shutdown, self.said.append)
        self.pipelines.start(lambda *_: None)

    def die(self) -> None:
        """A worker ends by itself."""
        worker_group: Any = self.pipelines.worker_group
        worker_group.die(Named())


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    """One pipeline was started."""
    monkeypatch.setattr(NoPipeline, "begun", [], raising=False)
    monkeypatch.setattr(pipelines, "Pipeline", NoPipeline)
    monkeypatch.setattr(pipelines, "WorkerGroup", NoCrew)
    return Running(tmp_path)


def test_a_death_begins_the_pipeline_anew(running: Running) -> None:
    """With what was known by then: who may speak, how far heartbeats have come, the size of datagrams."""
    running.die()
    assert [("receiver.store", -9)] == [(e.worker, e.code) for e in running.said if isinstance(e, WorkerDied)]
    first, second = NoPipeline.begun
    assert (5, Known.orders, Known.admitted, 0) == first
    assert (5, Known.orders, Known.admitted, 1472) == second
    assert {"bytes": 4} == running.figures.all()  # of two workers, twice
    assert not running.shutdown.has_begun


def test_too_many_deaths_within_a_minute_end_the_daemon(running: Running) -> None:
    """Something is wrong that a restart does not mend."""
    for _ in range(MOST_RESTARTS):
        running.die()
    assert not running.shutdown.has_begun
    running.die()
    assert isinstance(running.shutdown.failure, WorkerError)
    assert "receiver.store died 6 times within a minute" in str(running.shutdown.failure)
    assert 1 + MOST_RESTARTS == len(NoPipeline.begun)


def test_a_worker_that_cannot_work_ends_the_daemon_with_its_code(running: Running) -> None:
    """A new one could not either."""
    running.pipelines.fatal = Fatal("the disk is full", 17)
    running.die()
    assert running.shutdown.failure is not None
    assert ("the disk is full", 17) == (str(running.shutdown.failure), running.shutdown.failure.exit_code)
    assert ([], 1) == (running.said, len(NoPipeline.begun))


async def test_what_cannot_begin_anew_is_said(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its own words, and tried again: a file of pins, say, is not there just now."""

    def refuse(*_: Any) -> None:
        raise UsageError("ca.pem: no certificates can be read from it")

    monkeypatch.setattr(pipelines, "Pipeline", refuse)
    running.die()
    running.shutdown.begin()
    (late,) = [one for one in running.said if isinstance(one, WorkersLate)]
    assert (late.detail[:6], running.shutdown.failure) == ("ca.pem", None)


def test_nothing_begins_anew_at_the_end(running: Running) -> None:
    """Workers end by themselves then."""
    running.shutdown.begin()
    running.die()
    assert ([], 1) == (running.said, len(NoPipeline.begun))


def test_health_is_alive_and_moving(running: Running) -> None:
    """Whoever writes figures has begun."""
    health = running.pipelines.health(1.0)
    assert Health(1.0, has_begun=True, is_well=True) == health


def test_who_moves_not_for_too_long_is_not_well() -> None:
    """``listen`` is excused while ``assemble`` waits, which may wait for a disk."""
    pulses = Pulses(0.0)
    assert pulses.are_moving(1, 1, 1.0)
    assert [True, False] == [pulses.are_moving(1, n, 1.0 + n) for n in (int(LISTEN_PATIENCE_S) - 1, 11)]
    pulses = Pulses(0.0)
    assert pulses.are_moving(1, 1, 1.0)
    seconds = range(2, int(ASSEMBLE_PATIENCE_S) + 2)
    moving = [pulses.are_moving(1, 1, float(second)) for second in seconds]
    assert WAITING_S < LISTEN_PATIENCE_S
    assert (ASSEMBLE_PATIENCE_S - 1, False) == (sum(moving), moving[-1])
