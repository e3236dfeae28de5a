"""A state folder has one daemon; whoever only asks is in nobody's way."""

import fcntl
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from diode.errors import LockedError, UsageError
from diode.storage.locking import ASKED_TRIES, OWNED_TRIES, is_locked, lock_folder, locked, locked_as_it_is
from tests.patience import PATIENCE_S

STARTS = 200


@contextmanager
def held(folder: Path, how: int) -> Iterator[int]:
    """By another descriptor, as another process holds it; older versions took the same lock in the same way."""
    folder.mkdir(exist_ok=True)
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, how)
    try:
        yield fd
    finally:
        os.close(fd)


class Pauses:
    """Counts them; at the given one something happens."""

    def __init__(self, at: int = -1, then: int = -1) -> None:
        self.count = 0
        self._at, self._then = at, then

    def __call__(self, seconds: float) -> None:
        self.count += 1
        if self.count == self._at:
            fcntl.flock(self._then, fcntl.LOCK_UN)


def asks(folder: Path, begun: "Event", over: "Event") -> None:
    """As a command that is typed again and again."""
    while not over.is_set():
        is_locked(folder)
        begun.set()


def test_asking_changes_nothing(tmp_path: Path) -> None:
    """No folder is made, and no file in it."""
    assert not is_locked(tmp_path / "state")
    (tmp_path / "state").mkdir()
    assert not is_locked(tmp_path / "state")
    assert [] == list((tmp_path / "state").iterdir())


def test_a_folder_is_locked_while_somebody_works_on_it(tmp_path: Path) -> None:
    """Before and after it is not, and the file that was left says nothing."""
    with locked(tmp_path):
        assert is_locked(tmp_path)
    assert (False, True) == (is_locked(tmp_path), (tmp_path / "lock").exists())


def test_a_daemon_of_an_older_version_is_seen(tmp_path: Path) -> None:
    """It holds the same lock, alone, and this one waits for it a little before it gives up."""
    pauses = Pauses()
    with held(tmp_path, fcntl.LOCK_EX):
        assert is_locked(tmp_path)
        with pytest.raises(LockedError):
            lock_folder(tmp_path, pauses)
    assert OWNED_TRIES == pauses.count


@pytest.mark.parametrize("how", [fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_a_daemon_starts_in_the_instant_in_which_somebody_asks(tmp_path: Path, how: int) -> None:
    """Whoever asks holds the lock for that instant: shared, or alone where an older version asks."""
    with held(tmp_path, how) as fd:
        pauses = Pauses(at=3, then=fd)
        os.close(lock_folder(tmp_path, pauses))
        assert 3 == pauses.count


def test_those_who_ask_see_nothing_of_each_other(tmp_path: Path) -> None:
    """Two of them at once are no daemon."""
    with held(tmp_path, fcntl.LOCK_SH):
        assert not is_locked(tmp_path)


def test_nobody_is_waited_for_without_end(tmp_path: Path) -> None:
    """A process that stopped while it asked keeps a daemon from starting, and the daemon says so."""
    pauses = Pauses()
    with held(tmp_path, fcntl.LOCK_SH), pytest.raises(LockedError):
        lock_folder(tmp_path, pauses)
    assert ASKED_TRIES == pauses.count


def test_a_daemon_starts_while_others_ask_in_a_loop(tmp_path: Path) -> None:
    """In another process and in another thread, as often as they can; none of its starts fails, and each is seen."""
    context = multiprocessing.get_context("spawn")
    begun, over = context.Event(), context.Event()
    process = context.Process(target=asks, args=(tmp_path, begun, over), daemon=True)
    begun_here, over_here = Event(), Event()
    thread = Thread(target=asks, args=(tmp_path, begun_here, over_here), daemon=True)
    process.start()
    thread.start()
    try:
        assert begun.wait(PATIENCE_S)
        assert begun_here.wait(PATIENCE_S)
        for _ in range(STARTS):
            with locked(tmp_path):
                assert is_locked(tmp_path)
    finally:
        over.set()
        over_here.set()
        process.join()
        thread.join()


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    """A file in its place, or a link in place of the lock."""
    (tmp_path / "file").touch()
    (tmp_path / "lock").symlink_to(tmp_path / "file")
    for ask in (is_locked, lock_folder):
        for folder in (tmp_path / "file", tmp_path):
            with pytest.raises(UsageError, match="cannot be used"):
                ask(folder)


def test_a_folder_is_locked_as_it_is(tmp_path: Path) -> None:
    """Without a file in it, such as one that a backup goes to."""
    with locked_as_it_is(tmp_path):
        assert [] == list(tmp_path.iterdir())
        with pytest.raises(LockedError), locked_as_it_is(tmp_path):
            pass
