"""When an item can be taken, what is said of one that waits, and that nothing else is asked of its files than stat."""

import mmap
import os
import socket
from pathlib import Path

import pytest

from diode.config.sender import Outbox
from diode.storage.folder import Folder
from sender.outbox import writers
from sender.outbox.folder import OutboxFolder
from sender.outbox.left import Left, LeftList, read_left
from sender.outbox.settling import RESTLESS_S, Settling, Standing
from sender.outbox.writers import maybe_writer


@pytest.fixture
def item(tmp_path: Path) -> Path:
    """An item that is a folder, with a file in it."""
    (tmp_path / "outbox" / "c" / "item").mkdir(parents=True)
    (tmp_path / "outbox" / "c" / "item" / "file").write_bytes(b"whole")
    return tmp_path / "outbox" / "c" / "item"


@pytest.fixture
def settling(tmp_path: Path, item: Path) -> Settling:
    """Of an outbox that settles in 2 s."""
    return Settling(OutboxFolder(Outbox(path=item.parent.parent, sent=tmp_path / "s", failed=tmp_path / "f")), 2.0)


def changed_s(item: Path) -> float:
    """When its file was changed."""
    return (item / "file").stat().st_ctime


def test_it_is_quiet_after_the_settle_time(item: Path, settling: Settling) -> None:
    """By the wall clock, which a restart does not set back."""
    assert Standing.BUSY is settling.judge(item, changed_s(item) + 1, 10.0)
    assert Standing.READY is settling.judge(item, changed_s(item) + 2.5, 11.5)


def test_times_in_the_future_do_not_hold_it_for_ever(item: Path, settling: Settling) -> None:
    """It is taken when it has looked the same for the settle time, by the monotonic clock."""
    now = changed_s(item) - 4e8
    assert Standing.BUSY is settling.judge(item, now, 10.0)
    assert Standing.BUSY is settling.judge(item, now + 1, 11.0)
    (item / "more").write_bytes(b"more")
    assert Standing.BUSY is settling.judge(item, now + 2, 12.5)
    assert Standing.READY is settling.judge(item, now + 5, 14.5)


@pytest.mark.parametrize("lease", [True, False])
def test_a_file_that_is_open_for_writing_is_waited_for(
    item: Path, settling: Settling, monkeypatch: pytest.MonkeyPatch, lease: bool
) -> None:
    """However long it has been quiet: a copy may stall. The words name the file, and the process where it is seen."""
    if not lease:
        monkeypatch.setattr(writers, "_ask_kernel", _no_lease)
    with (item / "file").open("ab"):
        waits = settling.judge(item, changed_s(item) + 9, 9.0)
    assert isinstance(waits, Left)
    assert ("item/file" in waits.why, f"process {os.getpid()}" in waits.why) == (True, True)
    with (item / "file").open("rb"):
        assert Standing.READY is settling.judge(item, changed_s(item) + 9, 9.0)


@pytest.mark.parametrize("lease", [True, False])
def test_a_file_that_is_mapped_for_writing(item: Path, monkeypatch: pytest.MonkeyPatch, lease: bool) -> None:
    """It was closed, and can be changed all the same."""
    if not lease:
        monkeypatch.setattr(writers, "_ask_kernel", _no_lease)
    with (item / "file").open("r+b") as file, mmap.mmap(file.fileno(), 0):
        file.close()
        with Folder.open(item.parent) as channel:
            assert maybe_writer(channel, "item") is not None
    with Folder.open(item.parent) as channel:
        assert maybe_writer(channel, "item") is None


def _no_lease(name: str, folder: int) -> tuple[None, tuple[int, int]]:
    status = os.stat(name, dir_fd=folder)
    return None, (status.st_dev, status.st_ino)


def test_what_changes_all_the_time_is_named(item: Path, settling: Settling) -> None:
    """After a minute a person is told, and ``--until-idle`` waits no longer."""
    for tick in range(int(RESTLESS_S)):
        (item / "file").write_bytes(b"x" * (tick + 6))
        assert Standing.BUSY is settling.judge(item, changed_s(item), float(tick))
    assert isinstance(settling.judge(item, changed_s(item), RESTLESS_S), Left)


def test_what_is_no_file_is_not_waited_for(item: Path, settling: Settling) -> None:
    """A pipe or a socket in it is not opened: packing refuses it."""
    os.mkfifo(item / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(item / "s"))
    assert Standing.READY is settling.judge(item, changed_s(item) + 9, 9.0)


def test_whatever_looking_raises_is_the_items_matter(
    item: Path, settling: Settling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packing then says what it is, and sets it aside."""

    def fail(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(OutboxFolder, "look", fail)
    assert Standing.READY is settling.judge(item, 0.0, 0.0)


def test_each_thing_is_named_once(tmp_path: Path) -> None:
    """Until it waits for something else; what was handled is known after a restart, and what nobody can read is not."""
    said: list[str] = []
    waits, stays = Left("a\udcff", "open", "do"), Left("b", "stuck", "do", seen="00", to="sent")
    one = LeftList(tmp_path, lambda left: said.append(left.why))
    one.update([waits, stays])
    one.update([stays, waits])
    one.update([Left("a\udcff", "closed", "do"), stays])
    again = LeftList(tmp_path, lambda left: said.append(left.why))
    again.update(read_left(tmp_path))
    assert ["open", "stuck", "closed"] == said
    assert ((known := again.handled("b")) and known.seen, again.handled("a\udcff")) == ("00", None)
    (tmp_path / "outbox.json").write_bytes(b"[7]")
    assert [] == read_left(tmp_path)
