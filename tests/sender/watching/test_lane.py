"""The lanes of the outbox: what one of them does keeps no other waiting."""

import asyncio
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from diode.audit.log import open_log
from diode.config.init import init_pair
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.trust.keys import read_signer
from sender.ledger import Row
from sender.outbox import scan
from sender.outbox.folder import OutboxFolder
from sender.pack.packer import Packer
from sender.recovery.rebaseline import open_ledger
from sender.watching.watcher import Watcher
from tests.patience import PATIENCE_S

CHANNELS = "\n[channels.models]\npriority = 1\n[channels.notes]\npriority = 1\n[channels.cve]\npriority = 9\n"


@dataclass
class Side:
    """A sender without workers: its outbox is watched, and what is packed is remembered."""

    config: SenderConfig
    queued: list[Row] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    gate: threading.Event = field(default_factory=threading.Event)  # reading a file ``big`` waits for it

    def drop(self, place: str) -> Path:
        """Put a file into the outbox by a rename."""
        path, new = self.config.outbox.path / place, self.config.outbox.path / ".new"
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(random.Random(place).randbytes(100))
        return new.rename(path)

    @property
    def order(self) -> list[str]:
        """What was packed, in its order."""
        return [f"{row.channel}/{row.name}" for row in self.queued]

    async def watch(self, until: Callable[["Side"], bool]) -> None:
        """Watch the outbox until something is so, and end then."""
        config, news = self.config, asyncio.Event()
        folder, ledger = OutboxFolder(config.outbox), open_ledger(config)
        audit = open_log(config.audit_folder, config.service_key, "sender")
        packer = Packer(config, ledger, read_signer(config.send.key), audit, lambda _: news.set())
        self.packer = packer
        watcher = Watcher(config, folder, ledger, packer, self.queued.append, self._origins, lambda _: None)
        watching = asyncio.create_task(watcher.run(self.changed, self.stopping, lambda: False))
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not until(self) and not watching.done():
                    await news.wait()
                    news.clear()
        finally:
            self.gate.set()
            self.stopping.set()
            self.changed.set()
            await watching
            packer.close()
            ledger.close()

    def _origins(self) -> set[str]:
        return {row.origin for row in self.queued}


@pytest.fixture
def side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Side:
    """A new one, with channels of two priorities."""
    here = "127.0.0.1:9"
    init_pair(tmp_path, to=here, listen=here, mtu=1500, rate=0, profile="standard", auth="gmac")
    toml = tmp_path / "sender" / "sender.toml"
    with toml.open("a") as config:
        config.write(CHANNELS)
    monkeypatch.setenv("DIODE_OUTBOX__SETTLE_S", "0")
    made, usual = Side(load(SenderConfig, toml)), scan.Source.open

    def wait(source: scan.Source) -> object:
        if source.path == "big":
            made.gate.wait(PATIENCE_S)
        return usual(source)

    monkeypatch.setattr(scan.Source, "open", wait)
    return made


def test_an_urgent_item_does_not_wait_for_another_that_is_read(side: Side) -> None:
    """Of a lower priority, one item is being read, and others wait behind it: the urgent one is packed."""
    side.drop("models/big@1")
    for number in range(20):
        side.drop(f"models/small-{number}@1")

    def until(now: Side) -> bool:
        is_read = any(one.progress.check == "hash" for one in now.packer.at_work)
        if is_read and not (now.config.outbox.path / "cve").exists():
            now.drop("cve/fix@1")
        return "cve/fix" in now.order

    asyncio.run(side.watch(until))
    assert ["cve/fix"] == side.order


def test_the_rest_is_packed_when_it_was_read(side: Side) -> None:
    """Nothing is lost, and each channel's numbers have the order in which its items were dropped."""
    names = [f"{name}@1" for name in ("big", "zeta", "alpha", "mid")]
    for number, name in enumerate(names):
        side.drop(f"models/{name}")
        side.drop(f"cve/{number}@1")

    def until(now: Side) -> bool:
        if len(now.queued) == 4:
            now.gate.set()
        return len(now.queued) == 8

    asyncio.run(side.watch(until))
    assert [f"cve/{number}" for number in range(4)] + [f"models/{name[:-2]}" for name in names] == side.order
    assert [1, 2, 3, 4, 1, 2, 3, 4] == [row.sequence for row in side.queued]


def test_channels_of_one_priority_take_turns(side: Side) -> None:
    """A channel with many items does not keep another one waiting until all of them are packed."""
    for number in range(5):
        side.drop(f"models/{number}@1")
    side.drop("notes/only@1")
    asyncio.run(side.watch(lambda now: len(now.queued) == 6))
    assert "notes/only" in side.order[:2]


def test_stopping_ends_what_is_read(side: Side) -> None:
    """A terabyte is being hashed when the daemon is told to end: it ends at the next piece."""
    path = side.drop("models/huge@1")
    os.truncate(path, 1 << 40)
    asyncio.run(side.watch(lambda now: any(one.progress.done for one in now.packer.at_work)))
    assert [] == side.order
    assert path.exists()
