"""Work beside the event loop: in order, bounded, and no reason to wait for ever."""

import asyncio
import threading

from diode.process.background import Background
from tests.patience import PATIENCE_S


async def test_work_is_done_in_order_and_in_one_thread() -> None:
    """What was given before the start comes first; all is done when it is closed."""
    done: list[tuple[int, int]] = []
    background = Background(100, lambda _: None)
    for number in range(100):
        assert background.give(lambda number=number: done.append((number, threading.get_ident())))  # type: ignore[misc]
    background.start()
    assert await background.close(PATIENCE_S)
    assert list(range(100)) == [number for number, _ in done]
    assert 1 == len({thread for _, thread in done} - {threading.get_ident()})


async def test_what_finds_no_room_is_counted() -> None:
    """To give work never waits."""
    background = Background(2, lambda _: None)
    assert [True, True, False, False] == [background.give(lambda: None) for _ in range(4)]
    assert 2 == background.left_out
    background.start()
    assert await background.close(PATIENCE_S)


async def test_work_that_raises_does_not_end_the_thread() -> None:
    """Its error is told; what comes next is done."""
    errors: list[Exception] = []
    done = threading.Event()
    background = Background(3, errors.append)
    background.start()
    error = ValueError("no")

    def fail() -> None:
        raise error

    background.give(fail)
    background.give(done.set)
    assert await background.close(PATIENCE_S)
    assert ([error], True) == (errors, done.is_set())


async def test_work_that_never_ends_is_not_waited_for() -> None:
    """Also where nothing more fits: the end is told in bounded time, and the loop goes on meanwhile."""
    release = threading.Event()
    begun = threading.Event()
    background = Background(1, lambda _: None)
    background.start()

    def hang() -> None:
        begun.set()
        release.wait(PATIENCE_S)

    background.give(hang)
    assert await asyncio.to_thread(begun.wait, PATIENCE_S)
    background.give(lambda: None)
    assert not await background.close(0.01)
    release.set()
    assert await background.close(PATIENCE_S)


async def test_telling_an_error_may_fail_too() -> None:
    """The thread goes on: what comes next is done."""
    done = threading.Event()

    def fail(_: object = None) -> None:
        raise ValueError

    background = Background(3, fail)
    background.start()
    assert background.give(fail)
    assert background.give(done.set)
    assert await background.close(PATIENCE_S)
    assert done.is_set()
