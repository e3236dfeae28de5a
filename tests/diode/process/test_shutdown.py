"""Whether the daemon ends, and why."""

import asyncio
import os
import signal

from diode.errors import StorageError
from diode.process.shutdown import Shutdown, Stopping
from tests.patience import PATIENCE_S


def test_enough_is_no_early_end() -> None:
    """A signal and an error are."""
    shutdowns = [Shutdown(lambda _: None) for _ in range(4)]
    shutdowns[1].begin()
    shutdowns[2].fail(StorageError("full"))
    shutdowns[3].interrupt(signal.SIGTERM)
    assert [False, True, True, True] == [shutdown.has_begun for shutdown in shutdowns]
    assert [False, False, True, True] == [shutdown.is_early for shutdown in shutdowns]


async def test_a_terminal_that_goes_away_ends_it_in_order() -> None:
    """As SIGTERM does; under ``nohup``, which ignores the signal, it goes on."""
    shutdown = Shutdown(lambda _: None)
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # who runs the tests may ignore it
    try:
        with shutdown.on_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            async with asyncio.timeout(PATIENCE_S):
                await shutdown.wait(PATIENCE_S)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with Shutdown(lambda _: None).on_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.SIGHUP == shutdown.interrupted


async def test_a_signal_is_said_and_ends_the_wait() -> None:
    """While the block runs; afterwards the signal is the system's again."""
    said: list[Stopping] = []
    shutdown = Shutdown(said.append)
    before = signal.getsignal(signal.SIGTERM)
    with shutdown.on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            await shutdown.wait(PATIENCE_S)
    assert ([Stopping("SIGTERM")], signal.SIGTERM) == (said, shutdown.interrupted)
    assert before == signal.getsignal(signal.SIGTERM)


async def test_a_wait_is_bounded() -> None:
    """The loop ticks."""
    shutdown = Shutdown(lambda _: None)
    await shutdown.wait(0.001)
    assert not shutdown.has_begun
