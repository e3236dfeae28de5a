"""Symbols outlive what ends a daemon: passes stitch together across restarts, and what was lost is named."""

import json
import random
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from receiver.ledger.ledgers import StoreLedger
from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, Pair, differences, is_read, pair
from tests.patience import until


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
    query = f"SELECT number FROM begun UNION {also}"
    with closing(sqlite3.connect(link.folder / "receiver" / "state" / "ledger.db")) as db:
        await until(lambda: len(db.execute(query).fetchall()) >= slabs, f"{slabs} slabs are begun")


@pytest.mark.long
async def test_symbols_outlive_a_receiver_that_is_stopped(tmp_path: Path) -> None:
    """At 28 % loss neither of two passes is enough. What the first one brought is spilled at SIGTERM at the latest."""
    sent = model(tmp_path, 2)
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=4_000_000, profile="lossy") as link:
        diode = await link.diode("--loss", "28%")
        receiver = await link.receiver()
        passes = ("--passes", "2", "--pass-delay", "3600", "--version", "1")
        sender = await link.sender("send", "--json", *passes, str(sent))
        await sender.said("bundle_queued")
        books = link.folder / "sender" / "state" / "ledger.db"
        with closing(sqlite3.connect(books, isolation_level=None)) as db:
            await until(lambda: db.execute("SELECT pass, slab FROM progress").fetchone() == (0, 2), "a pass is sent")
            sender.signal(signal.SIGTERM)
            assert 0 == await sender.ended()
            db.execute("UPDATE bundle SET pass_delay_s = 0.1")  # for what is left of that pass, before the next one
        await until(lambda: is_read(link.low), "the diode has taken the whole pass")
        diode.signal(signal.SIGTERM)  # what it has taken is passed on
        assert 0 == await diode.ended()
        await until(lambda: is_read(link.high), "the receiver has taken what is left of it")
        await until_begun(link, 2, "SELECT number FROM parked WHERE kind = 1")
        receiver.signal(signal.SIGTERM)
        assert 0 == await receiver.ended()
        with closing(StoreLedger(link.folder / "receiver" / "state" / "ledger.db", read_only=True)) as ledger:
            (row,) = ledger.bundles.in_progress()
            assert 2 <= len(ledger.slabs.spilled(row.id))  # the tables may be among them
        await link.diode("--loss", "28%", "--seed", "2")
        receiver = await link.receiver("--bundles", "1")
        sender = await link.sender("run", "--json", "--until-idle")  # the second pass, which its last run left
        assert 0 == await sender.ended()
        assert 0 == await receiver.ended()
        assert [] == differences(sent, arrived(link))


@pytest.mark.long
async def test_symbols_outlive_a_receiver_that_is_killed(tmp_path: Path) -> None:
    """Only slabs open at the instant of kill -9 lose anything, and the next run says which."""
    sent = model(tmp_path, 4)
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=3_000_000) as link:
        await link.diode()
        receiver = await link.receiver()
        passes = ("--passes", "2", "--pass-delay", "0.1", "--version", "1")
        sender = await link.sender("send", "--json", *passes, str(sent))
        await receiver.counted("bytes_done", SMALL_SLAB)
        await until_begun(link, 1)
        async with sender.frozen():
            receiver.signal(signal.SIGKILL)
            await receiver.ended()
            receiver = await link.receiver("--bundles", "1")
        lost = json.loads(await receiver.said("symbols_lost"))["slabs"]
        assert 1 <= len(lost) <= 3
        assert 0 not in lost
        assert 0 == await sender.ended()
        assert 0 == await receiver.ended()
        assert [] == differences(sent, arrived(link))


@pytest.mark.long
async def test_slabs_wait_for_tables_that_were_sent_before_the_receiver_was_started(tmp_path: Path) -> None:
    """Tables are sent first and last: slabs in between wait for them on disk."""
    sent = model(tmp_path, 8)
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=6_000_000) as link:
        await link.diode()
        sender = await link.sender("send", "--json", "--version", "1", str(sent))
        await sender.counted("bytes_done", SMALL_SLAB)
        async with sender.frozen():
            receiver = await link.receiver("--bundles", "1", DIODE_LIMITS__MEMORY="128MiB")
        assert 0 == await sender.ended()
        assert 16 == await receiver.ended()
        with closing(StoreLedger(link.folder / "receiver" / "state" / "ledger.db", read_only=True)) as ledger:
            (row,) = ledger.bundles.in_progress()
            assert {6, 7} <= set(ledger.slabs.kept(row.id)[0])
