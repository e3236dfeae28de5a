"""A fix overtakes a model that is on its way, between real daemons."""

import random
import time
from pathlib import Path

from diode.protocol.geometry import PROFILES, stream_geometry
from diode.protocol.wire import datagram_bytes, symbol_bytes_for
from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, differences, pair

RATE = 6_000_000
SYMBOL = symbol_bytes_for(SMALL_MTU)
FULL = stream_geometry(SYMBOL, PROFILES["standard"])
DATAGRAM = datagram_bytes(SYMBOL)
SLAB_S = FULL.rows * FULL.columns * DATAGRAM / RATE

# What a small bundle costs besides its turn: its item is noticed (watchfiles gathers changes for 0.2 s, looks every
# 0.1 s), packed and signed; two gaps of one burst each, filled, keep the copies of its manifest apart, and the lead is
# part of them; the receiver syncs its file system, twice, beside a larger bundle that is being written.
NOTICED_S = 0.3
GAPS_S = 2 * FULL.burst_datagrams * DATAGRAM / RATE
PUBLISHED_S = 0.5


async def test_an_urgent_bundle_is_published_within_two_slab_times(tmp_path: Path) -> None:
    """While a model is in flight, which goes on afterwards and arrives whole."""
    model, fix = tmp_path / "model.bin", tmp_path / "fix"
    model.write_bytes(random.Random(1).randbytes(8 * SMALL_SLAB))
    fix.write_bytes(random.Random(2).randbytes(200_000))
    own_s = len(fix.read_bytes()) / SYMBOL / FULL.k * FULL.rows * DATAGRAM / RATE
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
        dropped = time.monotonic()
        (link.outbox / "cve" / "fix@1").hardlink_to(fix)
        assert 0 == await receiver.ended()
        first, second = (m for m in receiver.messages if m["message_type"] == "bundle")
        assert ("cve/fix/1", "models/model.bin/1") == (first["bundle"], second["bundle"])
        took_s = first["at_ms"] / 1000 - dropped
        assert took_s <= 2 * SLAB_S + own_s + NOTICED_S + GAPS_S + PUBLISHED_S
        for sent in (model, fix):
            (arrived,) = link.inbox.glob(f"*/{sent.name}/1/data/{sent.name}")
            assert [] == differences(sent, arrived)
        assert second["at_ms"] - first["at_ms"] > 1000 * 2 * SLAB_S  # it was in flight all the while
        assert sender.process.returncode is None
