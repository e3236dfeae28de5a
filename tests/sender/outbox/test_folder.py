"""Whoever may write into the outbox gets nothing written, read or removed that lies elsewhere."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diode.config.init import init_sender
from diode.config.load import load
from diode.config.sender import Outbox, SenderConfig
from diode.console.progress import Display
from diode.errors import IntakeError, LockedError, SourceError, UsageError
from diode.storage.folder import Folder
from diode.trust.keys import new_link_key
from sender.daemon import Sender
from sender.outbox import folder as outbox_module
from sender.outbox.folder import OutboxFolder
from sender.watching import watcher as watching
from tests.patience import until

REFUSED = SourceError("no such thing crosses")
SECRET = b"the daemon's own"


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    """A channel ``c``, and beside the outbox a file of the daemon's."""
    (tmp_path / "outbox" / "c").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(SECRET)
    return Outbox(path=tmp_path / "outbox", sent=tmp_path / "sent", failed=tmp_path / "failed", settle_s=0.0)


def is_untouched(outbox: Outbox) -> bool:
    """Whether the daemon's file is as it was, and has got no neighbours."""
    secret = outbox.path.parent / "secret"
    there = {path.name for path in outbox.path.parent.iterdir()}
    return secret.read_bytes() == SECRET and there <= {"outbox", "sent", "failed", "secret", "daemon"}


def reason(outbox: Outbox, name: str, what: str = "reason") -> str:
    """What is said about an item that was set aside."""
    return str(json.loads((outbox.failed / ".reasons" / "c" / f"{name}.{what}.json").read_text()))


@pytest.mark.parametrize("ending", ["reason.json", "verdict.json"])
@pytest.mark.parametrize("target", ["secret", "not there"])
def test_a_link_that_is_named_as_a_reason(outbox: Outbox, ending: str, target: str) -> None:
    """It is set aside itself; what is said of the item beside it goes into a folder of our own."""
    folder = OutboxFolder(outbox)
    (outbox.path / "c" / "b").write_bytes(b"")
    (outbox.path / "c" / f"b.{ending}").symlink_to(outbox.path.parent / target)
    folder.set_aside(outbox.path / "c" / f"b.{ending}", REFUSED)
    folder.set_aside(outbox.path / "c" / "b", IntakeError("clamd: found", {"format": "verdict"}))
    assert (True, True) == ((outbox.failed / "c" / f"b.{ending}").is_symlink(), is_untouched(outbox))
    assert ("found" in reason(outbox, "b"), "verdict" in reason(outbox, "b", "verdict")) == (True, True)


@pytest.mark.parametrize("make", [Path.symlink_to, Path.hardlink_to], ids=["link", "hard link"])
def test_a_reason_that_is_there_already_is_not_written_through(outbox: Outbox, make: Callable[..., None]) -> None:
    """Even where somebody could write into the folder of reasons."""
    folder = OutboxFolder(outbox)
    (outbox.failed / ".reasons" / "c").mkdir(parents=True)
    make(outbox.failed / ".reasons" / "c" / "b.reason.json", outbox.path.parent / "secret")
    (outbox.path / "c" / "b").write_bytes(b"")
    folder.set_aside(outbox.path / "c" / "b", REFUSED)
    assert (True, True) == (is_untouched(outbox), "crosses" in reason(outbox, "b"))


@pytest.mark.parametrize("link", ["failed/c", "sent/c", "failed/.reasons", "failed/.reasons/c"])
def test_a_link_where_our_folder_should_be(outbox: Outbox, link: str) -> None:
    """Nothing is moved or written through it; at worst the item stays."""
    folder = OutboxFolder(outbox)
    daemon = outbox.path.parent / "daemon"
    daemon.mkdir()
    path = outbox.path.parent / link
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(daemon)
    (outbox.path / "c" / "b").write_bytes(b"")
    if link == "sent/c":
        with pytest.raises(OSError):
            folder.archive(outbox.path / "c" / "b")
    else:
        folder.set_aside(outbox.path / "c" / "b", REFUSED)
    assert ([], True) == (list(daemon.iterdir()), is_untouched(outbox))


@pytest.mark.parametrize("place", ["sent", "failed"])
def test_a_link_in_the_place_of_sent_or_failed(outbox: Outbox, place: str) -> None:
    """In an outbox that others may write into they can put links at both names: then no sender starts."""
    daemon = outbox.path.parent / "daemon"
    daemon.mkdir()
    (outbox.path / f".{place}").symlink_to(daemon)
    inside = outbox.model_copy(update={place: outbox.path / f".{place}"})
    with pytest.raises(UsageError, match=rf"\.{place}"):
        OutboxFolder(inside)
    assert [] == list(daemon.iterdir())


@pytest.mark.parametrize("links", ["refuse", "follow"])
def test_a_channel_that_becomes_a_link(outbox: Outbox, links: str) -> None:
    """Between two looks a channel is swapped: nothing behind the link is quiet, packed or moved."""
    folder = OutboxFolder(outbox)
    daemon = outbox.path.parent / "daemon"
    (outbox.path / "c" / "keys").mkdir()
    (daemon / "keys").mkdir(parents=True)
    [entry] = folder.entries()
    (outbox.path / "c").rename(outbox.path.parent / "outbox" / ".c")
    (outbox.path / "c").symlink_to(daemon)
    with pytest.raises(OSError):
        folder.root(entry)
    folder.set_aside(entry, REFUSED)
    assert ([], [outbox.path / "c"]) == (list(folder.entries()), folder.strays())
    assert (True, False) == ((daemon / "keys").is_dir(), folder.has(entry))


@pytest.mark.parametrize("kind", ["link", "file", "folder of others"])
def test_what_a_stranger_put_at_our_own_name(outbox: Outbox, kind: str) -> None:
    """It is moved out of the way, and not used."""
    strange, daemon = outbox.path / ".diode", outbox.path.parent / "daemon"
    daemon.mkdir()
    if kind == "link":
        strange.symlink_to(daemon)
    elif kind == "file":
        strange.write_bytes(b"")
    else:
        strange.mkdir(mode=0o777)
        strange.chmod(0o777)
    with_lock = OutboxFolder(outbox).lock()
    os.close(with_lock)
    assert (True, []) == ((outbox.path / ".diode" / "lock").is_file(), list(daemon.iterdir()))
    assert 1 == len(list(outbox.path.glob(".diode-strange-*")))


def test_links_at_the_trial_of_earlier_versions(outbox: Outbox) -> None:
    """The trial has a name that nobody can know before."""
    daemon = outbox.path.parent / "daemon"
    daemon.mkdir()
    for place in (outbox.path, outbox.sent, outbox.failed):
        place.mkdir(exist_ok=True)
        (place / ".diode-trial").symlink_to(daemon)
    OutboxFolder(outbox)
    assert (True, []) == (daemon.is_dir(), list(daemon.iterdir()))


@pytest.mark.parametrize("length", [255, 244, 243])
def test_names_as_long_as_names_may_be(outbox: Outbox, length: int) -> None:
    """An item with such a name is set aside twice, and each has a reason of its own."""
    folder, name = OutboxFolder(outbox), "n" * length
    for _ in range(2):
        (outbox.path / "c" / name).write_bytes(b"")
        folder.set_aside(outbox.path / "c" / name, REFUSED)
    assert (2, 2) == (len(list((outbox.failed / "c").iterdir())), len(list((outbox.failed / ".reasons/c").iterdir())))


def test_many_items_of_one_name(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, and then random endings: the hundredth takes no longer than the tenth."""
    monkeypatch.setattr(outbox_module, "_NUMBERED", 3)
    folder = OutboxFolder(outbox)
    for _ in range(5):
        (outbox.path / "c" / "b").write_bytes(b"")
        folder.set_aside(outbox.path / "c" / "b", REFUSED)
    names = sorted(path.name for path in (outbox.failed / "c").iterdir())
    assert (["b", "b.2"], 5) == (sorted(names, key=len)[:2], len(names))


def test_what_was_moved_is_no_item(outbox: Outbox) -> None:
    """An item of that name in the outbox is another one."""
    folder = OutboxFolder(outbox)
    (outbox.path / "c" / "b").write_bytes(b"")
    assert (True, False) == (folder.has(outbox.path / "c" / "b"), folder.has(outbox.sent / "c" / "b"))


def test_an_item_named_as_our_files(outbox: Outbox) -> None:
    """Names with a dot before them are nobody's items; others are moved as they are, and say nothing."""
    folder = OutboxFolder(outbox)
    for name in (".reasons", ".diode", "lock", "b.reason.json"):
        (outbox.path / "c" / name).write_bytes(b"stranger's")
    assert ["b.reason.json", "lock"] == [entry.name for entry in folder.entries()]
    folder.set_aside(outbox.path / "c" / "b.reason.json", REFUSED)
    assert b"stranger's" == (outbox.failed / "c" / "b.reason.json").read_bytes()
    assert "crosses" in reason(outbox, "b.reason.json")


def made(folder: Path) -> SenderConfig:
    """A sender of its own."""
    key = new_link_key()
    init_sender(folder, to="127.0.0.1:9", mtu=1500, rate=1_000_000, profile="standard", auth="none", link_key=key)
    config = load(SenderConfig, folder / "sender.toml")
    return config.model_copy(update={"outbox": config.outbox.model_copy(update={"settle_s": 0.0})})


@pytest.mark.parametrize("order", [1, -1], ids=["first", "second"])
@pytest.mark.parametrize("through", ["same", "link", "dots"])
def test_two_senders_on_one_outbox(tmp_path: Path, through: str, order: int) -> None:
    """The second is refused, by whatever path it was told of the folder, and in whichever order they come."""
    configs = [made(tmp_path / name) for name in ("one", "two")]
    shared = configs[0].outbox.path
    shared.mkdir(exist_ok=True)
    (tmp_path / "link").symlink_to(shared)
    path = {"same": shared, "link": tmp_path / "link", "dots": shared / ".." / shared.name}[through]
    configs[1] = configs[1].model_copy(update={"outbox": configs[1].outbox.model_copy(update={"path": path})})
    first, second = configs[::order]
    with Sender(first, Display("quiet")), pytest.raises(LockedError, match="another process") as refused:
        Sender(second, Display("quiet"))
    assert 11 == refused.value.exit_code


def test_the_daemon_writes_through_no_link(tmp_path: Path) -> None:
    """A real sender: its signing key and its audit log are what a dropper's links lead to, and stay as they are."""
    config = made(tmp_path)
    with Sender(config, Display("quiet")) as sender:
        asyncio.run(sender.run(until_idle=True))
    log = min(config.audit_folder.iterdir())
    kept = {path: path.read_bytes() for path in (config.send.key, log)}
    channel = config.outbox.path / "c"
    channel.mkdir()
    for name, target in (("a", config.send.key), ("b", log), ("d", tmp_path / "new")):
        (channel / f"{name}.reason.json").symlink_to(target)
        (channel / f"{name}.verdict.json").symlink_to(target)
        os.mkfifo(channel / name)
    with Sender(config, Display("quiet")) as sender:
        asyncio.run(sender.run(until_idle=True))
        assert 9 == sender.tally.failed
    assert kept[config.send.key] == config.send.key.read_bytes()
    assert log.read_bytes().startswith(kept[log])
    assert not (tmp_path / "new").exists()
    assert 9 == len(list((config.outbox.failed / ".reasons" / "c").iterdir()))


def test_a_channel_that_nobody_may_read(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its maker locks the sender out of it, or removes it between two looks: the others are sent."""
    folder = OutboxFolder(outbox)
    for name in ("b", "c"):
        (outbox.path / name).mkdir(exist_ok=True)
        (outbox.path / name / "item").write_bytes(b"")
    usual = os.open
    errors = iter((PermissionError(13, "Permission denied"), FileNotFoundError(2, "No such file")))

    def refuse(path: Path | str, *args: int, **kwargs: int) -> int:
        if path == "b":
            raise next(errors)
        return usual(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    for _ in range(2):
        assert ["c/item"] == [str(entry.relative_to(outbox.path)) for entry in folder.entries()]


@pytest.mark.long
@pytest.mark.parametrize("name", ["bad", "good"])
def test_an_item_that_cannot_be_moved_is_spoken_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Its channel's maker lets nobody move it, and wakes the sender again and again: the audit log does not grow."""
    config = made(tmp_path)
    channel = config.outbox.path / "c"
    channel.mkdir()
    (channel / "bad").symlink_to("/etc/hostname") if name == "bad" else (channel / "good").write_bytes(b"good")

    looks, entries = [], OutboxFolder.entries

    def stay(*_: object) -> None:
        raise PermissionError(13, "Permission denied", name)

    def looked(folder: OutboxFolder) -> Iterator[Path]:
        looks.append(True)
        return entries(folder)

    monkeypatch.setattr(OutboxFolder, "entries", looked)
    monkeypatch.setattr(watching, "UNSETTLED_S", 0.01)
    monkeypatch.setattr(watching, "RESCAN_S", 0.01)
    monkeypatch.setattr(watching, "WAITING_S", 0.01)
    with Sender(config, Display("quiet")) as sender:
        monkeypatch.setattr(Folder, "move", stay)

        async def run() -> None:
            running = asyncio.create_task(sender.run())
            await until(lambda: sender.tally.failed + sender.tally.sent > 0, "it is spoken of")
            enough = len(looks) + 20
            await until(lambda: len(looks) >= enough, "it is found again and again")
            sender.stop()
            await running

        asyncio.run(run())
        assert (int(name == "bad"), int(name == "good"), 0) == (
            sender.tally.failed,
            sender.tally.sent,
            sender.tally.skipped,
        )
    monkeypatch.undo()
    with Sender(config, Display("quiet")) as later:
        asyncio.run(later.run(until_idle=True))
        assert (0, 0, 0) == (later.tally.failed, later.tally.skipped, later.left)
    assert [] == list(channel.iterdir())
    log = b"".join(path.read_bytes() for path in config.audit_folder.iterdir())
    assert log.count(b'"intake_rejected"') == (name == "bad")


def test_a_stuck_item_is_looked_at_again_when_it_changed(outbox: Outbox) -> None:
    """Another file of that name is another item."""
    folder, entry = OutboxFolder(outbox), outbox.path / "c" / "b"
    with pytest.raises(FileNotFoundError):
        folder.look(entry)
    entry.write_bytes(b"1")
    before = folder.look(entry)
    (outbox.path / "c" / ".b").write_bytes(b"2")
    (outbox.path / "c" / ".b").rename(entry)
    assert before.seen != folder.look(entry).seen
