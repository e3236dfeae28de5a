"""Symbols outlive what ends a daemon: passes stitch together across restarts, and what was lost is named."""

import asyncio
import json
import random
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

from receiver.ledger.ledgers import StoreLedger
from tests.e2e.pair import PATIENCE_S, SMALL_MTU, SMALL_SLAB, Pair, differences, pair


def model(folder: Path, slabs: int) -> Path:
    """A file of so many small slabs."""
    path = folder / "model.bin"
    path.write_bytes(random.Random(5).randbytes(slabs * SMALL_SLAB))
    return path


def arrived(link: Pair) -> Path:
    """Where the model is published."""
    return link.inbox / "default" / "model.bin" / "1" / "data" / "model.bin"


async def until_begun(link: Pair, slabs: int, also: str = "SELECT NULL WHERE 0") -> None:
    """Wait until the receiver's ledger has so many slabs as begun, or named by the query ``also``."""
    async with asyncio.timeout(PATIENCE_S):
        with closing(sqlite3.connect(link.folder / "receiver" / "state" / "ledger.db")) as db:
            while len(db.execute(f"SELECT number FROM begun UNION {also}").fetchall()) < slabs:  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.01)


async def stopped_between_two_passes(tmp_path: Path) -> None:
    """At 28 % loss neither pass is enough. What the first one brought is parked at SIGTERM at the latest."""
    sent = model(tmp_path, 2)
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=4_000_000, profile="lossy") as link:
        await link.diode("--loss", "28%")
        receiver = await link.receiver()
        passes = ("--passes", "2", "--pass-delay", "8", "--version", "1")
        sender = await link.sender("send", "--json", *passes, str(sent))
        await sender.counted("bytes_done", sent.stat().st_size)
        await until_begun(link, 2, "SELECT number FROM parked WHERE kind = 1")
        receiver.signal(signal.SIGTERM)
        assert 0 == await receiver.ended()
        with closing(StoreLedger(link.folder / "receiver" / "state" / "ledger.db", read_only=True)) as ledger:
            (row,) = ledger.bundles.in_progress()
            assert 2 <= len(ledger.slabs.parked(row.id))  # the tables may be among them
        receiver = await link.receiver("--bundles", "1")
        assert 0 == await sender.ended()
        assert 0 == await receiver.ended()
        assert [] == differences(sent, arrived(link))


async def killed_in_mid_slab(tmp_path: Path) -> None:
    """Only slabs open at the instant of kill -9 lose anything, and the next run says which."""
    sent = model(tmp_path, 4)
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=6_000_000) as link:
        await link.diode()
        receiver = await link.receiver()
        passes = ("--passes", "2", "--pass-delay", "0.1", "--version", "1")
        sender = await link.sender("send", "--json", *passes, str(sent))
        await receiver.counted("bytes_done", SMALL_SLAB)
        await until_begun(link, 1)
        receiver.signal(signal.SIGKILL)
        await receiver.ended()
        receiver = await link.receiver("--bundles", "1")
        lost = json.loads(await receiver.said("symbols_lost"))["slabs"]
        assert 1 <= len(lost) <= 3
        assert 0 not in lost
        assert 0 == await sender.ended()
        assert 0 == await receiver.ended()
        assert [] == differences(sent, arrived(link))


async def started_late(tmp_path: Path) -> None:
    """Tables are sent first and last: slabs in between wait for them on disk."""
    sent = model(tmp_path, 8)
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=6_000_000) as link:
        await link.diode()
        sender = await link.sender("send", "--json", "--version", "1", str(sent))
        await sender.counted("bytes_done", SMALL_SLAB)
        receiver = await link.receiver("--bundles", "1", DIODE_LIMITS__MEMORY="128MiB")
        assert 0 == await sender.ended()
        assert 16 == await receiver.ended()
        with closing(StoreLedger(link.folder / "receiver" / "state" / "ledger.db", read_only=True)) as ledger:
            (row,) = ledger.bundles.in_progress()
            assert {6, 7} <= set(ledger.slabs.kept(row.id)[0])


async def test_symbols_outlive_the_receiver(tmp_path: Path) -> None:
    """Stopped between two passes, killed in the middle of a slab, started after the tables."""
    scenes = (stopped_between_two_passes, killed_in_mid_slab, started_late)
    for scene in scenes:
        (tmp_path / scene.__name__).mkdir()
    await asyncio.gather(*(scene(tmp_path / scene.__name__) for scene in scenes))
