"""A fix overtakes a model that is on its way, between real daemons."""

import random
from pathlib import Path

import pytest

from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, differences, pair

RATE = 3_000_000
SLABS = 8
# Counted in slabs of the model, which are as slow as the machine: two that were in the sender's hands, one that leaves
# while the item is noticed, packed and signed, and one while the receiver syncs its file system.
OVERTAKEN_SLABS = 4


@pytest.mark.long
async def test_an_urgent_bundle_is_published_before_the_model_on_its_way(tmp_path: Path) -> None:
    """Dropped while a model is in flight, it waits for a few slabs of it; the model goes on and arrives whole."""
    model, fix = tmp_path / "model.bin", tmp_path / "fix"
    model.write_bytes(random.Random(1).randbytes(SLABS * SMALL_SLAB))
    fix.write_bytes(random.Random(2).randbytes(200_000))
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=RATE) as link:
        with (link.folder / "sender" / "sender.toml").open("a") as config:
            config.write("\n[channels.models]\npriority = 1\n[channels.cve]\npriority = 9\n")
        for channel in ("models", "cve"):
            (link.outbox / channel).mkdir()
        (link.outbox / "models" / "model.bin@1").hardlink_to(model)
        receiver = await link.receiver("--bundles", "2")
        await link.diode()
        sender = await link.sender("run", "--json", DIODE_OUTBOX__SETTLE_S="0")
        await receiver.counted("bytes_done", SMALL_SLAB)  # the model's next slabs are in the sender's hands
        async with sender.frozen():
            (link.outbox / "cve" / "fix@1").hardlink_to(fix)
            dropped = await receiver.counted("bytes_done", 0)
        assert 0 == await receiver.ended()
        first, second = (m for m in receiver.messages if m["message_type"] == "bundle")
        assert ("cve/fix/1", "models/model.bin/1") == (first["label"], second["label"])
        before = receiver.messages[: receiver.messages.index(first)]
        overtaken = max(m["bytes_done"] for m in before if m.get("bytes_done"))
        assert overtaken - dropped <= OVERTAKEN_SLABS * SMALL_SLAB
        for sent in (model, fix):
            (arrived,) = link.inbox.glob(f"*/{sent.name}/1/data/{sent.name}")
            assert [] == differences(sent, arrived)
        assert sender.process.returncode is None
