"""A background task never ends without a word."""

import asyncio

import pytest
import structlog

from diode.errors import StorageError
from diode.process import tending
from tests.patience import PATIENCE_S


class RustPanic(BaseException):
    """As a library in Rust raises it."""


async def test_what_fails_is_named_and_begun_again() -> None:
    """An error, several at once, and one that is no Exception."""
    errors = [ValueError("one"), ExceptionGroup("several", [UnicodeError("a name")]), RustPanic("a panic")]

    async def work() -> None:
        if errors:
            raise errors.pop(0)

    with structlog.testing.capture_logs() as lines:
        await asyncio.wait_for(tending.keep("hint", work, first_s=0.0, most_s=0.0), PATIENCE_S)
    assert [("task_failed", "hint")] * 3 == [(line["event"], line["task"]) for line in lines]


async def test_the_pauses_grow_and_are_bounded() -> None:
    """Work that fails at once does not take the processor."""
    times = iter(range(5))

    async def work() -> None:
        if next(times, None) is not None:
            raise OSError

    with structlog.testing.capture_logs() as lines:
        await asyncio.wait_for(tending.keep("hint", work, first_s=0.001, most_s=0.004), PATIENCE_S)
    assert [0.001, 0.002, 0.004, 0.004, 0.004] == [line["again_in_s"] for line in lines]


async def test_what_ends_the_daemon_is_let_through() -> None:
    """A disk that fails, and a cancellation."""

    async def fail() -> None:
        raise StorageError("no disk")

    with pytest.raises(StorageError):
        await tending.start("rounds", fail, lets_through=tending.ENDS_THE_DAEMON)
    task = tending.start("clock", asyncio.Event().wait)  # type: ignore[arg-type]
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
