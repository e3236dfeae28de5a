"""Work of a lower priority stops at its next step, and nobody waits for somebody who waits."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from diode.process.turns import Turns
from sender.intake.candidate import Progress, StoppedError
from tests.patience import PATIENCE_S


def test_a_less_urgent_one_stops_at_its_next_step() -> None:
    """It goes on where it stopped, when the more urgent one is done; nobody of its own priority stops it."""
    turns, steps = Turns(), list[str]()
    with ThreadPoolExecutor(1) as thread, turns.take(1) as low:
        progress = Progress("hash", turn=low)

        def step() -> None:
            steps.append("asked")
            progress.tick(1)
            steps.append("went on")

        with turns.take(1):
            progress.tick(1)
        with turns.take(9):
            stopped = thread.submit(step)
            while not progress.is_held:
                pass
            assert ["asked"] == steps
        stopped.result(PATIENCE_S)
    assert (["asked", "went on"], 2) == (steps, progress.done)
    assert progress.held_s > 0


def test_the_clock_of_limits_stands_still_meanwhile() -> None:
    """Whoever may take so many seconds may take as many of its own."""
    progress = Progress(held_s=1e6)
    assert progress.clock() < Progress().clock() - 999_999


def test_who_waits_can_be_ended() -> None:
    """A daemon that ends does not wait until a more urgent item is packed."""
    turns = Turns()
    with ThreadPoolExecutor(1) as thread, turns.take(0) as low, turns.take(5):
        progress = Progress(turn=low)
        waits = thread.submit(progress.tick)
        progress.is_stopped = True
        with pytest.raises(StoppedError):
            waits.result(PATIENCE_S)


def test_who_talks_to_another_program_does_not_stop() -> None:
    """The program has a clock of its own, and would call a silence the end."""
    turns = Turns()
    with turns.take(0) as low, turns.take(5):
        progress = Progress(turn=low)
        with progress.going_on():
            progress.tick(7)
    assert 7 == progress.done


def test_the_more_urgent_one_stands_aside_until_another_has_ended() -> None:
    """It needs what the other one has: the room on a disk. The other one goes on then."""
    turns, may_end = Turns(), threading.Event()

    def lower(begun: threading.Event) -> None:
        with turns.take(1) as low:
            begun.set()
            may_end.wait(PATIENCE_S)
            Progress(turn=low).tick()

    begun = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        less_urgent = thread.submit(lower, begun)
        assert begun.wait(PATIENCE_S)
        with turns.take(9) as high:
            may_end.set()
            assert Progress(turn=high).stand_aside()
            less_urgent.result(PATIENCE_S)


def test_nobody_stands_aside_for_nobody() -> None:
    """What is missing then is missing; and of two that stand aside, one is told so."""
    turns = Turns()
    with turns.take(9) as high:
        assert not Progress(turn=high).stand_aside()
    assert not Progress().stand_aside()
    with ThreadPoolExecutor(1) as thread, turns.take(9) as high:
        with turns.take(1) as low:
            waits = thread.submit(high.stand_aside, lambda: False)
            while turns.most_urgent == 9:
                pass
            assert not low.stand_aside(lambda: False)
        assert waits.result(PATIENCE_S)
