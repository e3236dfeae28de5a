"""Two versions over a real link, and people who move the pointer between them, beside a running daemon."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from receiver.catalogue.snapshot import Snapshot
from receiver.commands.opening import open_ledger
from tests.e2e.pair import Pair, pair
from tests.patience import PATIENCE_S, until


def run(link: Pair, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the receiving side."""
    line = [sys.executable, "-c", "from receiver.cli.main import main; main()"]
    line += ["-c", str(link.folder / "receiver/receiver.toml"), *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


async def command(link: Pair, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The same, while the daemons go on."""
    return await asyncio.to_thread(run, link, *arguments)


def link_of(link: Pair) -> str:
    """Which version ``current`` names; nothing: there is none."""
    place = link.inbox / "cve" / "tool" / "current"
    return os.readlink(place) if place.is_symlink() else ""


async def in_use(link: Pair, version: str) -> None:
    """Until ``current`` names a version."""
    await until(lambda: link_of(link) == version, f"version {version} is in use")


def used(link: Pair) -> tuple[str, str]:
    """The version in use by the ledger and by the snapshot."""
    config = load(ReceiverConfig, link.folder / "receiver" / "receiver.toml")
    with closing(open_ledger(config)) as ledger, Snapshot(config.gateway.index) as snapshot:
        pointer = ledger.pointers.get("cve", "tool")
        assert pointer is not None
        assert pointer.current is not None
        return pointer.current.version, next(one.version for one in snapshot.bundles() if one.is_current)


@pytest.mark.long
async def test_people_move_the_pointer(tmp_path: Path) -> None:
    """The newest is in use, then what people say; two that race, a restart, and what is refused."""
    async with pair(tmp_path) as link:
        receiver = await link.receiver("--no-progress")
        await link.diode()
        (link.outbox / "cve").mkdir()
        for version in ("1", "2"):
            item = link.outbox / "cve" / f"tool@{version}"
            item.mkdir()
            (item / "same").write_text("same")
            (item / "different").write_text(f"of version {version}")
            sender = await link.sender("run", "--until-idle", "--no-progress")
            assert 0 == await sender.ended()
            await in_use(link, version)

        done = await command(link, "promote", "cve/tool", "1", "--reason", "tried", "--yes", "--json")
        assert (0, "applied") == (done.returncode, json.loads(done.stdout)["outcome"]), done.stderr
        assert ("1", ("1", "1")) == (link_of(link), used(link))

        shown = await command(link, "rollback", "cve/tool", "--yes")
        assert (0, True) == (shown.returncode, "~ different" in shown.stdout), shown.stderr
        assert "0 files come, 0 go, 1 change" in shown.stdout
        assert ("2", ("2", "2")) == (link_of(link), used(link))

        racing = await asyncio.gather(*(command(link, "promote", "cve/tool", v, "--yes") for v in ("1", "2")))
        assert 0 in [one.returncode for one in racing]
        unknown = await command(link, "promote", "cve/tool", "9", "--yes")
        assert (14, True) == (unknown.returncode, "has no version 9" in unknown.stderr)
        before = link_of(link)

        receiver.signal(signal.SIGTERM)
        assert 0 == await receiver.ended()
        later = await command(link, "promote", "cve/tool", "1" if before == "2" else "2", "--yes")
        assert (0, True) == (later.returncode, "no daemon runs" in later.stderr)
        assert before == link_of(link)
        await link.receiver("--no-progress")
        await until(lambda: link_of(link) not in ("", before), "the order is read when a daemon runs")
        nothing = await command(link, "gc", "--dry-run", "--json")
        assert (0, 0) == (nothing.returncode, json.loads(nothing.stdout)["freed_bytes"])


@pytest.mark.long
async def test_gc_removes_what_is_beyond_the_bounds(tmp_path: Path) -> None:
    """Of four versions the newest, the one before it, and nothing else that anybody needs."""
    async with pair(tmp_path) as link:
        with (link.folder / "receiver/receiver.toml").open("a") as file:
            file.write("[channels.cve]\nkeep = 1\nkeep_taken_days = 0\n")
        await link.receiver("--no-progress")
        await link.diode()
        (link.outbox / "cve").mkdir()
        for version in ("1", "2", "3", "4"):
            (link.outbox / "cve" / f"tool@{version}").write_bytes(os.urandom(5000))
            sender = await link.sender("run", "--until-idle", "--no-progress")
            assert 0 == await sender.ended()
            await in_use(link, version)
        planned = json.loads((await command(link, "gc", "cve/tool", "--dry-run", "--json")).stdout)
        assert ["1", "2"] == [one["version"] for one in planned["names"][0]["remove"]]
        assert planned["freed_bytes"] >= 10_000
        done = await command(link, "gc", "--yes")
        assert 0 == done.returncode, done.stderr
        there = [(link.inbox / "cve" / "tool" / version / "data").exists() for version in ("1", "2", "3", "4")]
        assert [False, False, True, True] == there
        assert (link.inbox / "cve" / "tool" / "1" / "receipt.json").exists()
        again = await command(link, "gc", "--yes")
        assert (0, True) == (again.returncode, "0 versions go" in again.stderr)
