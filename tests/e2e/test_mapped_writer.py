"""A process that has mapped a file changes its bytes and no time of it, while it is sent: the sender finds it."""

import mmap
import os
import random
from pathlib import Path

import pytest

from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, pair

SLABS = 5
WRONG = 4  # a slab that is changed before it is sent


@pytest.mark.long
async def test_what_a_mapped_writer_changed_is_withdrawn(tmp_path: Path) -> None:
    """In the only pass, with its times restored: it does not count as sent, and the file and its bytes are named."""
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=4_000_000) as link:
        (link.outbox / "models").mkdir()
        item = link.outbox / "models" / "model.bin@1"
        item.write_bytes(random.Random(8).randbytes(SLABS * SMALL_SLAB))
        await link.receiver()
        await link.diode()
        sender = await link.sender("run", "--json", "--until-idle", DIODE_OUTBOX__SETTLE_S="0")
        await sender.said("bundle_queued")
        async with sender.frozen():
            before = item.stat()
            with item.open("r+b") as file, mmap.mmap(file.fileno(), 0) as writer:
                writer[WRONG * SMALL_SLAB + 5] ^= 1
                writer.flush()
            os.utime(item, ns=(before.st_atime_ns, before.st_mtime_ns))
        said = await sender.said("bundle_cancelled")
        assert 0 != await sender.ended()
        assert f"bytes {WRONG * SMALL_SLAB} to {(WRONG + 1) * SMALL_SLAB} of" in said
        assert not [message for message in sender.messages if message.get("outcome") == "sent"]
        assert [] == list(link.inbox.glob("models/*/1"))
        assert not item.exists()
