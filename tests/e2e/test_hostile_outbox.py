"""An outbox full of what nobody should have put there: each thing is dealt with and named, and the good ones arrive."""

import asyncio
import contextlib
import json
import mmap
import os
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sender.outbox.folder import printable
from tests.e2e.pair import Pair, Process, pair
from tests.patience import until

NOBODY = 65534
PRIVATE = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")  # root without its rights over others' files
CLOSES = ("stalled copy", "open")  # what is closed at the end, and arrives then


class Fate(Enum):
    """What becomes of an item: the event that names it in the log, and whether it arrives."""

    ARRIVES = ""
    REFUSED = "item_set_aside"
    STAYS = "item_left"
    ARRIVES_AND_STAYS = "item_left "


class Hostile(NamedTuple):
    """One thing in the outbox: its name there, what becomes of it, and what makes it at its path."""

    name: str
    fate: Fate
    make: Callable[[Path], object]


def dated(seconds: float) -> Callable[[Path], None]:
    """A file with these times."""

    def make(path: Path) -> None:
        path.write_bytes(str(seconds).encode())
        os.utime(path, (seconds, seconds))

    return make


def full(path: Path) -> None:
    """A file whose content is its own, and tells it from all others."""
    path.write_bytes(os.fsencode(path))


def moded(mode: int, owner: int = 0) -> Callable[[Path], None]:
    """A file with this mode."""

    def make(path: Path) -> None:
        full(path)
        os.chown(path, owner, owner)
        path.chmod(mode)

    return make


def sparse(path: Path) -> None:
    """A megabyte of nothing."""
    path.touch()
    os.truncate(path, 1 << 20)


def bind(path: Path) -> None:
    """A Unix socket. Its path in full would be too long for one."""
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(path))


def holding(*names: bytes) -> Callable[[Path], None]:
    """A folder with files of these names."""

    def make(path: Path) -> None:
        path.mkdir()
        for name in names:
            Path(os.fsdecode(os.fsencode(path) + b"/" + name)).write_bytes(name)

    return make


def within(make_inner: Callable[[Path], object]) -> Callable[[Path], None]:
    """A folder that holds a good file and one hostile thing."""

    def make(path: Path) -> None:
        path.mkdir()
        full(path / "good")
        make_inner(path / "inner")

    return make


def nested(depth: int, name: str) -> Callable[[Path], None]:
    """Folders in folders, with a file in the innermost."""

    def make(path: Path) -> None:
        path.mkdir()
        fd = os.open(path, os.O_RDONLY)
        for _ in range(depth):
            os.mkdir(name, dir_fd=fd)
            above, fd = fd, os.open(name, os.O_RDONLY, dir_fd=fd)
            os.close(above)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        os.close(fd)

    return make


def linked_inside(path: Path) -> None:
    """One file under two names, both in the item."""
    path.mkdir()
    full(path / "one")
    (path / "two").hardlink_to(path / "one")


def linked_from_outside(path: Path) -> None:
    """Another user's file, which has another name, in a folder that not only this user may write."""
    secret = path.parent.parent / ".elsewhere"
    secret.write_bytes(b"secret")
    os.chown(secret, NOBODY, NOBODY)
    path.hardlink_to(secret)


def of_no_channel(path: Path) -> None:
    """A file in a folder whose name no channel may have."""
    path.parent.mkdir()
    full(path)


def closed(path: Path) -> None:
    """A folder that only another user may enter."""
    path.mkdir(mode=0o700)
    os.chown(path, NOBODY, NOBODY)


def link(to: str) -> Callable[[Path], None]:
    """A symbolic link."""
    return lambda path: path.symlink_to(to)


def device(kind: int) -> Callable[[Path], None]:
    """The node of a device that does not exist."""
    return lambda path: os.mknod(path, kind | 0o644, os.makedev(60, 250))


HOSTILE = (
    Hostile("zgood", Fate.ARRIVES, full),
    Hostile("future", Fate.ARRIVES, dated(4e9)),
    Hostile("past", Fate.ARRIVES, dated(-4e9)),
    Hostile("epoch", Fate.ARRIVES, dated(0)),
    Hostile("sparse", Fate.ARRIVES, sparse),
    Hostile("n" * 255, Fate.ARRIVES, full),
    Hostile("é" * 127, Fate.ARRIVES, full),
    Hostile("empty folder", Fate.ARRIVES, Path.mkdir),
    Hostile("empty file", Fate.ARRIVES, Path.touch),
    Hostile("set user id", Fate.ARRIVES, moded(0o4755)),
    Hostile("two names", Fate.ARRIVES, linked_inside),
    Hostile("a.reason.json", Fate.ARRIVES, full),
    Hostile("-rf", Fate.ARRIVES, full),
    Hostile("two cases", Fate.REFUSED, holding(b"a", b"A")),
    Hostile("two forms", Fate.REFUSED, holding("é".encode(), "e\u0301".encode())),
    Hostile("no rights", Fate.REFUSED, moded(0)),
    Hostile("another's", Fate.REFUSED, moded(0o600, NOBODY)),
    Hostile("closed inside", Fate.REFUSED, within(closed)),
    Hostile("pipe", Fate.REFUSED, os.mkfifo),
    Hostile("pipe inside", Fate.REFUSED, within(os.mkfifo)),
    Hostile("socket", Fate.REFUSED, bind),
    Hostile("character device", Fate.REFUSED, device(stat.S_IFCHR)),
    Hostile("block device", Fate.REFUSED, device(stat.S_IFBLK)),
    Hostile("loop", Fate.REFUSED, link("loop")),
    Hostile("away", Fate.REFUSED, link("/etc/passwd")),
    Hostile("dangling", Fate.REFUSED, link("nowhere")),
    Hostile("up inside", Fate.REFUSED, within(link(".."))),
    Hostile("hard link", Fate.REFUSED, linked_from_outside),
    Hostile("deep", Fate.REFUSED, nested(70, "d")),
    Hostile("long", Fate.REFUSED, nested(17, "l" * 250)),
    Hostile(os.fsdecode(b"b\xff\xfe"), Fate.REFUSED, full),
    Hostile("no text inside", Fate.REFUSED, holding(b"c\xff")),
    Hostile("new\nline", Fate.REFUSED, full),
    Hostile("turned\u202e", Fate.REFUSED, full),
    Hostile("no version@", Fate.REFUSED, full),
    Hostile("x@current", Fate.REFUSED, full),
    Hostile("closed", Fate.STAYS, closed),
    Hostile("../UPPER/item", Fate.REFUSED, of_no_channel),
    Hostile("../lost+found", Fate.STAYS, closed),
)


@contextlib.contextmanager
def held(channel: Path) -> Iterator[list[Hostile]]:
    """What is hostile only as long as somebody holds it: written, mapped, mounted, immutable. What works here."""
    found = [Hostile(name, Fate.STAYS, full) for name in (*CLOSES, "mapped")]
    with contextlib.ExitStack() as stack:
        for name in CLOSES:
            stack.enter_context((channel / name).open("wb")).write(name.encode())
        full(channel / "mapped")
        with (channel / "mapped").open("r+b") as file:
            stack.enter_context(mmap.mmap(file.fileno(), 0))
        for name in ("mount", "../mounted"):
            (channel / name).mkdir()
            if runs("mount", "-t", "tmpfs", "none", channel / name):
                stack.callback(runs, "umount", "-l", channel / name)
                full(channel / name / "item")
                item = name if name == "mount" else f"{name}/item"
                found.append(Hostile(item, Fate.ARRIVES_AND_STAYS, full))
        full(channel / "immutable")
        if runs("chattr", "+i", channel / "immutable"):
            stack.callback(runs, "chattr", "-i", channel / "immutable")
            found.append(Hostile("immutable", Fate.ARRIVES_AND_STAYS, full))
        yield found


def runs(*command: str | Path) -> bool:
    """Whether a command of the system does its work here."""
    with contextlib.suppress(FileNotFoundError):
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    return False


async def grow(path: Path) -> None:
    """Write more into a file every moment, until this is cancelled."""
    while True:
        with path.open("ab") as file:
            file.write(b"more")
        await asyncio.sleep(0.05)


def fill(outbox: Path) -> None:
    """All that needs nobody to hold it."""
    channel = outbox / "c"
    channel.mkdir(parents=True)
    for one in HOSTILE:
        one.make(Path(os.path.normpath(channel / one.name)))
    Path(os.fsdecode(os.fsencode(outbox) + b"/ch\xff")).mkdir()
    full(outbox / "stray")


def is_named(sender: Process, both: Pair, one: Hostile) -> bool:
    """Whether the log has a line of the event that its fate asks for, about it."""
    item = printable(Path(os.path.normpath(both.outbox / "c" / one.name)))
    item = item.replace("\n", "\\x0a").replace("\u202e", "\\u202e")  # as the log escapes them
    return any(line["event"] == one.fate.value.strip() and line.get("item") == item for line in lines(sender))


def lines(sender: Process) -> list[dict[str, Any]]:
    """The log, a line each."""
    return [json.loads(line) for line in sender.log if line.startswith("{")]


def has_arrived(both: Pair, one: Hostile) -> bool:
    """Whether it was published."""
    return (both.inbox / Path(os.path.normpath(f"c/{one.name}"))).is_dir()


def missing(sender: Process, both: Pair, items: list[Hostile]) -> list[str]:
    """The items whose fate is not theirs yet."""
    assert sender.process.returncode is None
    unnamed = [one.name for one in items if one.fate is not Fate.ARRIVES and not is_named(sender, both, one)]
    arrive = (Fate.ARRIVES, Fate.ARRIVES_AND_STAYS)
    return unnamed + [one.name for one in items if one.fate in arrive and not has_arrived(both, one)]


async def all_have(sender: Process, both: Pair, items: list[Hostile]) -> None:
    """Until each has its fate; fails with the names of the others."""
    with contextlib.suppress(AssertionError):
        await until(lambda: not missing(sender, both, items), "each has its fate")
    assert missing(sender, both, items) == [], "\n".join(sender.log)


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
async def test_each_is_named_and_the_good_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon runs on: what is dropped afterwards arrives, too."""
    monkeypatch.chdir(tmp_path)
    async with pair(tmp_path) as both:
        fill(both.outbox)
        both.ends = both.ends._replace(enter_low=PRIVATE)
        await both.receiver()
        await both.diode()
        growing = asyncio.create_task(grow(both.outbox / "c" / "growing"))
        with held(both.outbox / "c") as more:
            sender = await both.sender("run", "--json")
            await all_have(sender, both, [*HOSTILE, *more])
            full(both.outbox / "c" / ".late")
            (both.outbox / "c" / ".late").rename(both.outbox / "c" / "late")
            await all_have(sender, both, [Hostile("late", Fate.ARRIVES, full)])
            assert not has_arrived(both, Hostile("growing", Fate.ARRIVES, full))
        growing.cancel()
        await all_have(sender, both, [Hostile(name, Fate.ARRIVES, full) for name in (*CLOSES, "growing")])
        await sender.said("stray")
        events = [line["event"] for line in lines(sender)]
        assert (events.count("outbox_not_watched"), events.count("task_failed")) == (1, 0)
        assert len(HOSTILE) + len(more) >= 40
