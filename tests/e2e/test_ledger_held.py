"""Another program holds a ledger, as a browser does: it is named, everything else goes on, and no disk is blamed."""

import asyncio
import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, Pair, differences, pair
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.long]


@contextmanager
def held(ledger: Path) -> Iterator[None]:
    """Hold a ledger against writing, from a process that is not the daemon's."""
    browser = sqlite3.connect(ledger, isolation_level=None)
    browser.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        browser.execute("ROLLBACK")
        browser.close()


def drop(link: Pair) -> Path:
    """Put an item into the outbox; a copy of it is returned."""
    content = random.Random(5).randbytes(3 * SMALL_SLAB)
    (copy := link.folder / "model.bin").write_bytes(content)
    (link.outbox / "cve").mkdir(exist_ok=True)
    (link.folder / "model").write_bytes(content)
    (link.folder / "model").rename(link.outbox / "cve" / "model.bin")
    return copy


async def heard(link: Pair, before: str = "") -> str:
    """When the receiver has heard the last heartbeat, once that is another one than ``before``."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            asked = await link.enclave("status", "--json")
            assert 0 == await asked.ended()
            if (at := asked.messages[0]["now"]["link"]["heard"]) not in (None, before):
                return str(at)


async def test_heartbeats_and_commands_go_on_beside_a_held_ledger(tmp_path: Path) -> None:
    """The bundle is recorded, sent and filed when the ledger is let go: before it is packed, and before it is filed."""
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=3_000_000) as link:
        receiver = await link.receiver("--bundles", "1")
        await link.diode()
        sender = await link.sender("run", "--json", DIODE_OUTBOX__SETTLE_S="0.1")
        await sender.said("udp_path_chosen")
        ledger = link.folder / "sender" / "state" / "ledger.db"
        with held(ledger):
            copy = drop(link)
            await sender.said("ledger_busy")
            asked = await link.sender("status", "--json")
            assert 0 == await asked.ended()
            assert '"running": true' in json.dumps(asked.messages)
            said = await heard(link)
            for _ in range(2):  # the first one may have been under way
                said = await heard(link, said)
        await sender.counted("bytes_done", 1)
        with held(ledger):
            assert 0 == await receiver.ended(), "\n".join([*receiver.log, *sender.log])
            await sender.said_again("ledger_busy")
        await sender.said('"sent"')
        assert not [line for line in sender.log if "heartbeat_behind" in line]
        assert [] == differences(copy, next(link.inbox.glob("*/*/*/data/model.bin")))


async def test_a_receiver_waits_and_blames_no_disk(tmp_path: Path) -> None:
    """Slabs wait in memory, heartbeats are heard, and the bundle is published when the ledger is let go."""
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=3_000_000) as link:
        receiver = await link.receiver("--bundles", "1")
        await link.diode()
        with held(link.folder / "receiver" / "state" / "ledger.db"):
            drop(link)
            sender = await link.sender("run", "--json", "--until-idle", DIODE_OUTBOX__SETTLE_S="0.1")
            assert 0 == await sender.ended()
            await receiver.said("ledger_busy")
        assert 0 == await receiver.ended(), "\n".join(receiver.log)
        assert not [line for line in receiver.log if "disk_failing" in line or "worker_died" in line]
