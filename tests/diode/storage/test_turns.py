"""Work on an event loop comes again while another program holds the ledger, and the loop goes on meanwhile."""

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from diode.errors import HeldError, StorageError
from diode.storage import turns
from diode.storage.turns import FIRST_SAID_S, SAID_EVERY_S, InOrder, Turns
from tests.patience import PATIENCE_S


class File:
    """A ledger that others hold when a test says so."""

    now = 0.0
    free = True

    def is_free(self) -> bool:
        """As the test says."""
        return self.free

    def clock(self) -> float:
        """Likewise."""
        return self.now


@pytest.fixture
def file() -> File:
    """Nobody holds it."""
    return File()


def test_it_is_said_and_counted_once_a_hold(file: File) -> None:
    """A command of ours holds it for a moment: that is not said. A browser is named each minute."""
    mine = Turns(file, "ledger.db", file.clock)
    file.free = False
    with capture_logs() as logs:
        for file.now in (0.0, FIRST_SAID_S / 2):
            assert not mine.try_now(lambda: None)
        assert ([], 0, False) == (logs, mine.times, mine.is_held)
        for file.now in (FIRST_SAID_S, FIRST_SAID_S + 1, FIRST_SAID_S + SAID_EVERY_S):
            assert not mine.is_free()
        assert mine.is_held
        file.free = True
        assert mine.is_free()
    assert ["ledger_busy", "ledger_busy", "ledger_free_again"] == [line["event"] for line in logs]
    assert (1, False) == (mine.times, mine.is_held)


def test_who_takes_it_in_the_middle_is_met_again(file: File) -> None:
    """The work is done once more then. A failing disk is another error."""
    mine, answers = Turns(file, "ledger.db", file.clock), iter([HeldError("held"), None])

    def work() -> None:
        if error := next(answers):
            raise error

    assert [False, True] == [mine.try_now(work), mine.try_now(work)]
    with pytest.raises(StorageError, match="broken"):
        mine.try_now(raising(StorageError("broken")))


def raising(error: Exception) -> Callable[[], None]:
    """Work that fails."""

    def work() -> None:
        raise error

    return work


async def test_the_loop_goes_on_meanwhile(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what the work returns comes when the file is free."""
    monkeypatch.setattr(turns, "AGAIN_S", 0.0)
    file.free = False
    doing = asyncio.create_task(Turns(file, "ledger.db", file.clock).do(lambda: 7))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not doing.done()
    file.free = True
    assert 7 == await doing


def test_what_waits_is_done_in_its_order(file: File) -> None:
    """Each piece once."""
    mine, done = InOrder[int](Turns(file, "ledger.db", file.clock)), list[int]()
    file.free = False
    for number in (1, 2):
        mine.do(number, lambda number=number: done.append(number))  # type: ignore[misc]
    assert ([1, 2], [], False) == (mine.keys, done, mine.settle())
    file.free = True
    assert (True, 0, [1, 2]) == (mine.settle(), len(mine), done)


async def test_the_end_waits_for_what_waits(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    """But not for ever."""
    monkeypatch.setattr(turns, "AGAIN_S", 0.0)
    mine, done = InOrder[int](Turns(file, "ledger.db", file.clock)), list[int]()
    file.free = False
    mine.do(1, lambda: done.append(1))
    await mine.finish(0.0)
    assert [] == done
    finishing = asyncio.create_task(mine.finish(PATIENCE_S))
    for _ in range(20):
        await asyncio.sleep(0)
    assert ([], False) == (done, finishing.done())
    file.free = True
    await finishing
    assert [1] == done
