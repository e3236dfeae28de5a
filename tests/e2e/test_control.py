"""A person asks the running sender: what it does, to pause, to cancel; by the commands that they type."""

import json
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from diode.audit.chain import What, field
from diode.audit.facts import unix_user
from diode.audit.find import find
from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, Pair, differences, pair

pytestmark = pytest.mark.long


async def status(link: Pair) -> dict[str, Any]:
    """What status says, for programs."""
    asked = await link.sender("status", "--json")
    assert 0 == await asked.ended()
    said: dict[str, Any] = asked.messages[0]
    return said


async def done(link: Pair, *words: str, code: int = 0) -> str:
    """What a command prints."""
    asked = await link.sender(*words)
    assert code == await asked.ended(), asked.log
    return "\n".join(asked.log + [json.dumps(one) for one in asked.messages])


async def test_what_is_paused_waits_and_what_is_cancelled_never_arrives(tmp_path: Path) -> None:
    """Over a restart, too; and what was not paused arrives meanwhile."""
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=3_000_000) as link:
        await link.diode()
        receiver = await link.receiver()
        daemon = await link.sender("run")
        await daemon.said("udp_path_chosen")
        await done(link, "pause", "--channel", "slow")
        for channel, name in (("slow", "first"), ("slow", "second"), ("fast", "other")):
            (link.outbox / channel).mkdir(exist_ok=True)
            part = tmp_path / f"{name}@1"
            part.write_bytes(random.Random(name).randbytes(2 * SMALL_SLAB))
            part.rename(link.outbox / channel / part.name)
        await receiver.said("fast/other/1")
        said = (await status(link))["now"]
        paused = {one["label"]: one for one in [*said["on_air"], *said["queue"]] if one["channel"] == "slow"}
        assert {"slow/first/1", "slow/second/1"} == set(paused)
        assert all(one["paused"] and one["eta_s"] is None for one in paused.values())
        assert ["slow"] == list(said["paused"])

        daemon.signal(signal.SIGINT)
        await daemon.ended()
        assert (await status(link))["now"] is None
        await done(link, "resume", "--channel", "slow", code=2)
        daemon = await link.sender("run")
        await daemon.said("udp_path_chosen")
        await done(link, "cancel", paused["slow/first/1"]["id"][:8], "--reason", "a mistake")
        await done(link, "resume", "--channel", "slow")
        await receiver.said("slow/second/1")
        await daemon.said("bundle_sent")
        sent = link.folder / "sender" / "sent" / "slow" / "second@1"
        assert [] == differences(sent, link.inbox / "slow" / "second" / "1" / "data" / "second@1")
        assert not (link.inbox / "slow" / "first").exists()
        assert (link.folder / "sender" / "failed" / "slow" / "first@1").exists()

        log = link.folder / "sender" / "state" / "audit"
        entries = find(log, lambda line: field("who", unix_user()) in line).entries
        words = [entry.what for entry in entries if entry.what in (What.PAUSED, What.RESUMED)]
        assert [What.PAUSED, What.RESUMED] == words
        (withdrawn,) = find(log, lambda line: field("what", "withdrawn") in line).entries
        assert f"cancelled by {unix_user()}: a mistake" == withdrawn.detail
