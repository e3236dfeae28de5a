"""The thread that finishes bundles also has the disk begin early with what was written."""

import os
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

from receiver.spool import finishing
from receiver.spool.finishing import Finishing
from tests.patience import PATIENCE_S


class Later(Executor):
    """Does nothing before it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def submit(self, work: Any, /, *arguments: Any, **options: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        self.waiting.append(lambda: future.set_result(work(*arguments, **options)))
        return future


def test_of_stretches_that_were_written_one_waits_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by a descriptor of its own, since the caller closes his: a slow disk does not use up what there is."""
    begun: list[tuple[int, int, int]] = []
    monkeypatch.setattr(finishing, "begin_write_back", lambda *stretch: begun.append(stretch))
    thread = Later()
    made = Finishing(thread)
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    used = len(os.listdir("/proc/self/fd"))
    for number in range(9):
        made.begin_write_back(fd, number, 7)
    assert (1, used + 1) == (len(thread.waiting), len(os.listdir("/proc/self/fd")))
    thread.waiting.pop()()
    made.begin_write_back(fd, 99, 7)
    thread.waiting.pop()()
    assert ([(0, 7), (99, 7)], used) == ([stretch[1:] for stretch in begun], len(os.listdir("/proc/self/fd")))
    assert fd not in {stretch[0] for stretch in begun}
    os.close(fd)


def test_the_disk_is_told_from_the_thread(tmp_path: Path) -> None:
    """The kernel takes it for a file of any kind, and what it says of it is not asked."""
    made = Finishing()
    with (tmp_path / "file").open("wb") as file:
        file.write(bytes(1 << 20))
        file.flush()
        made.begin_write_back(file.fileno(), 0, 1 << 20)
    assert made._hint is not None
    assert made._hint.result(PATIENCE_S) is None
    made.wait()
