"""A fix overtakes a model that is on its way, or is not packed yet, between real daemons."""

import json
import os
import random
import stat
from itertools import takewhile
from pathlib import Path

import pytest

from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, Pair, differences, pair

RATE = 3_000_000
SLABS = 8
# Counted in slabs of the model from when the fix is queued, however long it took to pack it: two that are in the
# sender's hands, one that leaves, and one that has left and that it has not said yet.
OVERTAKEN_SLABS = 4
ACCEPTED = {"verdict": "accept"}


@pytest.mark.long
async def test_an_urgent_bundle_is_published_before_the_model_on_its_way(tmp_path: Path) -> None:
    """Dropped while a model is in flight, it waits for a few slabs of it; the model goes on and arrives whole."""
    model, fix = tmp_path / "model.bin", tmp_path / "fix"
    model.write_bytes(random.Random(1).randbytes(SLABS * SMALL_SLAB))
    fix.write_bytes(random.Random(2).randbytes(200_000))
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=RATE) as link:
        _prioritise(link)
        (link.outbox / "models" / "model.bin@1").hardlink_to(model)
        receiver = await link.receiver("--bundles", "2")
        await link.diode()
        sender = await link.sender("run", "--json", DIODE_OUTBOX__SETTLE_S="0")
        await sender.counted("bytes_done", SMALL_SLAB)  # the model's next slabs are in the sender's hands
        (link.outbox / "cve" / "fix@1").hardlink_to(fix)
        await sender.said('"bytes": 200000, "event": "bundle_queued"')
        queued = await sender.counted("bytes_done", 0)
        assert 0 == await receiver.ended()
        first, second = (m for m in receiver.messages if m["message_type"] == "bundle")
        assert ("cve/fix/1", "models/model.bin/1") == (first["label"], second["label"])
        await sender.said('"outcome": "sent"')
        before = takewhile(lambda message: message["message_type"] != "bundle", sender.messages)
        overtaken = max(m["bytes_done"] for m in before if m.get("label") == second["label"])
        assert overtaken - queued <= OVERTAKEN_SLABS * SMALL_SLAB
        for sent in (model, fix):
            (arrived,) = link.inbox.glob(f"*/{sent.name}/1/data/{sent.name}")
            assert [] == differences(sent, arrived)
        assert sender.process.returncode is None


@pytest.mark.long
async def test_an_urgent_item_does_not_wait_for_a_terabyte_that_is_hashed(tmp_path: Path) -> None:
    """Nor for the bundles that wait behind it. Hashing goes on meanwhile, ``status`` says so, and a signal ends it."""
    async with pair(tmp_path / "pair") as link:
        _prioritise(link)
        huge = link.outbox / "models" / "huge@1"
        huge.touch()
        os.truncate(huge, 1 << 40)
        receiver = await link.receiver("--bundles", "1")
        await link.diode()
        sender = await link.sender("run", "--json", DIODE_OUTBOX__SETTLE_S="0")
        await sender.said('"check": "hash"')
        for number in range(30):
            (link.outbox / "models" / f"small-{number}@1").write_bytes(b"small")
        fix = link.outbox / "cve" / ".fix"
        fix.write_bytes(random.Random(2).randbytes(200_000))
        fix.rename(fix.with_name("fix@1"))
        assert 0 == await receiver.ended()
        assert ["cve/fix/1"] == [m["label"] for m in receiver.messages if m["message_type"] == "bundle"]
        asked = await link.sender("status", "--json")
        assert 0 == await asked.ended()
        (packing,) = asked.messages[0]["now"]["packing"]
        assert ("models/huge", "hash", 1 << 40) == (packing["label"], packing["step"], packing["total_bytes"])
        assert packing["done_bytes"] > 0
        sender.process.terminate()
        await sender.ended()
        assert huge.stat().st_size == 1 << 40


@pytest.mark.long
async def test_an_urgent_item_does_not_wait_for_a_slow_hook(tmp_path: Path) -> None:
    """The hook of another channel judges until a file appears; what it judges then is sent, too."""
    async with pair(tmp_path / "pair") as link:
        may_end, hook = tmp_path / "may-end", tmp_path / "hook"
        hook.write_text(f"#!/bin/sh\nuntil [ -e {may_end} ]; do sleep 0.1; done\necho '{json.dumps(ACCEPTED)}'\n")
        hook.chmod(stat.S_IRWXU)
        _prioritise(link, f'[[channels.models.intake.hooks]]\nrun = ["{hook}"]\nreads = "copy"\ntimeout_s = 3600\n')
        (link.outbox / "models" / "model@1").write_bytes(b"a model")
        receiver = await link.receiver("--bundles", "2")
        await link.diode()
        sender = await link.sender("run", "--json", DIODE_OUTBOX__SETTLE_S="0")
        await sender.said('"check": "hook')
        (link.outbox / "cve" / "fix@1").write_bytes(b"a fix")
        await receiver.said("cve/fix/1")
        may_end.touch()
        assert 0 == await receiver.ended()
        said = [m["label"] for m in receiver.messages if m["message_type"] == "bundle"]
        assert ["cve/fix/1", "models/model/1"] == said


def _prioritise(link: Pair, more: str = "") -> None:
    with (link.folder / "sender" / "sender.toml").open("a") as config:
        config.write(f"\n[channels.models]\npriority = 1\n[channels.cve]\npriority = 9\n{more}")
    for channel in ("models", "cve"):
        (link.outbox / channel).mkdir()
