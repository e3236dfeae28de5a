"""A process that has mapped a file changes its bytes and no time of it, while it is sent: the sender finds it."""

import asyncio
import json
import mmap
import os
import random
import sys
from pathlib import Path

import pytest

from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, Pair, pair

SLABS = 12
WRONG = 10  # a slab that is changed before it is sent


async def missing(link: Pair) -> str:
    """What the receiver still waits for, with the codes that would ask for it."""
    command = (sys.executable, "-c", "from receiver.cli.main import main; main()")
    config = str(link.folder / "receiver" / "receiver.toml")
    asked = await asyncio.create_subprocess_exec(
        *command, "-c", config, "missing", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await asked.communicate()
    return out.decode()


@pytest.mark.long
@pytest.mark.parametrize(("rate", "place"), [(1_500_000, WRONG), (0, WRONG), (1_500_000, 1)])
async def test_what_a_mapped_writer_changed_is_withdrawn(tmp_path: Path, rate: int, place: int) -> None:
    """In one pass, at a limited rate and at none: the bundle does not count as sent, and the file and bytes are named.

    A slab that left before it was changed is found too, where its file is read again for its proof.
    """
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=rate) as link:
        (link.outbox / "models").mkdir()
        item = link.outbox / "models" / "model.bin@1"
        making = link.outbox / "models" / ".making"
        making.write_bytes(content := random.Random(8).randbytes(SLABS * SMALL_SLAB))
        at = place * SMALL_SLAB + 5
        with making.open("r+b") as file, mmap.mmap(file.fileno(), 0) as writer:
            writer[at] = content[at]  # the page is dirty from here on: writing to it changes no time
            making.rename(item)
            before = os.stat(item)
            receiver = await link.receiver()
            sender = await link.sender("run", "--json", "--until-idle", DIODE_OUTBOX__SETTLE_S="0")
            await receiver.said("bundle_accepted")
            writer[at] ^= 1
            assert before == os.stat(item)
            await sender.said("bundle_withdrawn")
        assert 0 != await sender.ended()
        log = [json.loads(entry) for entry in sender.log if "bundle_withdrawn" in entry]
        start = place * SMALL_SLAB
        assert f"bytes {start} to {start + SMALL_SLAB} of" in log[0]["detail"]
        assert not [message for message in sender.messages if message.get("outcome") == "sent"]
        assert [] == list(link.inbox.glob("models/*/1"))
        print(await missing(link), *sender.log, *receiver.log, sep="\n")
