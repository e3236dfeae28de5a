"""An item with links and odd times crosses, and ``find`` says the same of it on both sides."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.pair import Pair, pair
from tests.patience import until

SENDS, TAKES = '\n[channels.c]\nlinks = "keep"\ntimes = true\n', '\n[channels.c]\nlinks = "keep"\n'
ODD = {"past": -(10**9), "epoch": 0, "fine": 1_600_000_000_123_456_789, "future": 4_000_000_000 * 10**9}


def fill(item: Path) -> Path:
    """Files and folders with links among them, each with a time of its own."""
    (item / "lib" / "empty").mkdir(parents=True)
    (item / "bin").mkdir()
    for number, name in enumerate(ODD):
        (item / "lib" / name).write_bytes(name.encode() * 1000 * number)
    (item / "lib64").symlink_to("lib/")
    (item / "bin" / "tool").symlink_to("../lib/./fine")
    (item / "bin" / "up").symlink_to("../lib/../lib/past")
    for number, path in enumerate(sorted([item, *item.rglob("*")], reverse=True)):
        os.utime(path, ns=(0, ODD.get(path.name, 10**18 + number * 1_000_000_007)), follow_symlinks=False)
    return item


def found(folder: Path) -> list[str]:
    """Path, target and time of change of everything in it, and of itself."""
    words = ("find", ".", "-printf", "%p %y %l %T@\n")
    return sorted(subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True).stdout.splitlines())


def set_up(both: Pair, sends: str = SENDS, takes: str = TAKES) -> None:
    """What both channels say of links and times."""
    for side, text in (("sender", sends), ("receiver", takes)):
        with (both.folder / side / f"{side}.toml").open("a") as file:
            file.write(text)


@pytest.mark.long
async def test_find_says_the_same(tmp_path: Path) -> None:
    """A touch alone sends nothing again; under a new version the new times cross."""
    async with pair(tmp_path) as both:
        set_up(both)
        item = fill(tmp_path / "item")
        await both.receiver()
        await both.diode()
        sender = await both.sender("pack", str(item), "--channel", "c", "--name", "tree", "--version", "1")
        assert 0 == await sender.ended(), sender.log
        os.utime(item / "lib" / "past", ns=(0, 5 * 10**9))
        again = await both.sender("pack", str(item), "--channel", "c", "--name", "tree", "--version", "1", "--json")
        assert 0 == await again.ended(), again.log
        assert any("content_skipped" in line for line in again.log), again.log
        os.utime(item / "lib" / "past", ns=(0, ODD["past"]))
        await both.sender("run", "--json")
        arrived = both.inbox / "c" / "tree" / "1"
        await until(arrived.is_dir, "it arrives")
        assert found(item) == found(arrived / "data")
        manifest = json.loads((arrived / "manifest.json").read_text())
        assert ("diode-bundle-2", 3) == (manifest["format"], manifest["links"])


@pytest.mark.long
async def test_a_receiver_that_takes_no_links(tmp_path: Path) -> None:
    """It says what to type; a bundle with times alone arrives, and so does one that has neither."""
    async with pair(tmp_path) as both:
        set_up(both, takes="")
        receiver = await both.receiver()
        await both.diode()
        for name in ("linked", "timed"):
            fill(both.outbox / "c" / f".{name}")
        for link in ("lib64", "bin/tool", "bin/up"):
            (both.outbox / "c" / ".timed" / link).unlink()
        fill(both.outbox / "d" / ".plain")
        for link in ("lib64", "bin/tool", "bin/up"):
            (both.outbox / "d" / ".plain" / link).unlink()
        for hidden in (both.outbox / "c" / ".linked", both.outbox / "c" / ".timed", both.outbox / "d" / ".plain"):
            hidden.rename(hidden.with_name(f"{hidden.name[1:]}@1"))
        await both.sender("run", "--json")
        timed, plain = both.inbox / "c" / "timed" / "1", both.inbox / "d" / "plain" / "1"
        await until(lambda: timed.is_dir() and plain.is_dir(), "both arrive")
        await receiver.said('links = \\"keep\\"')
        formats = [json.loads((one / "manifest.json").read_text())["format"] for one in (timed, plain)]
        assert ["diode-bundle-2", "diode-bundle-1"] == formats
        assert not (both.inbox / "c" / "linked").exists()
