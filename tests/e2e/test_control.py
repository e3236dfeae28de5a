"""A person asks the running sender: what it does, to pause, to cancel; by the commands that they type."""

import asyncio
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
from tests.patience import PATIENCE_S

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


async def enclave_status(link: Pair, *words: str) -> dict[str, Any]:
    """What the receiver's status says, for programs."""
    asked = await link.enclave("status", "--json", *words)
    assert 0 == await asked.ended()
    said: dict[str, Any] = asked.messages[0]
    return said


async def test_what_is_kept_back_waits_over_a_restart_and_then_goes_on(tmp_path: Path) -> None:
    """It was on air; the enclave's status tells what came of it; a person lets it go, and it arrives whole."""
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=3_000_000) as link:
        receiver = await link.receiver()
        async with asyncio.timeout(PATIENCE_S):
            while (said := (await enclave_status(link))["now"])["link"]["state"] == "starting":
                pass  # not all of its workers have begun
        assert ("never_heard", 0) == (said["link"]["state"], said["coming"])
        await link.diode()
        with link.slowly("slow"):
            daemon = await link.sender("run", "--json")
            await daemon.said("udp_path_chosen")
        (link.outbox / "slow").mkdir()
        part = tmp_path / "part"
        part.write_bytes(random.Random(5).randbytes(8 * SMALL_SLAB))
        part.rename(link.outbox / "slow" / "first@1")
        await receiver.counted("bytes_done", 1)
        await done(link, "pause")
        (coming,) = (said := (await enclave_status(link))["now"])["on_the_way"]
        assert ("alive", "slow/first/1", 8) == (said["link"]["state"], coming["label"], coming["slabs"])
        assert 0 < coming["done_bytes"] < coming["total_bytes"]

        await done(link, "hold", coming["id"][:6])
        await done(link, "hold", coming["id"], code=2)
        await done(link, "resume")
        daemon.signal(signal.SIGKILL)
        await daemon.ended()
        held = (await status(link))["held"]
        assert [coming["id"]] == [one["id"] for one in held]
        daemon = await link.sender("run", "--until-idle")
        assert 0 == await daemon.ended()
        assert "receiving" == (await enclave_status(link))["bundles"][0]["state"]

        daemon = await link.sender("run")
        await daemon.said("udp_path_chosen")
        assert [] == (await status(link))["now"]["on_air"]
        await done(link, "hold", "--off", coming["id"])
        await daemon.said("bundle_sent")
        await receiver.said('"outcome": "published"')
        assert ["published"] == [one["state"] for one in (await enclave_status(link, "--since", "1h"))["bundles"]]
        assert [] == (await status(link))["held"]
        sent = link.folder / "sender" / "sent" / "slow" / "first@1"
        assert [] == differences(sent, link.inbox / "slow" / "first" / "1" / "data" / "first")
        log = link.folder / "sender" / "state" / "audit"
        words = [entry.what for entry in find(log, lambda line: field("who", unix_user()) in line).entries]
        assert [What.KEPT_BACK, What.LET_GO] == [one for one in words if one in (What.KEPT_BACK, What.LET_GO)]


async def test_what_was_set_aside_is_tried_again(tmp_path: Path) -> None:
    """A cancelled item comes back by its bundle's id, and what cannot be tried again says what to type."""
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=3_000_000) as link:
        await link.diode()
        receiver = await link.receiver()
        daemon = await link.sender("run")
        await daemon.said("udp_path_chosen")
        await done(link, "pause")
        (link.outbox / "c").mkdir()
        for name in ("plain", "fixed@1"):
            (tmp_path / name).write_bytes(name.encode())
            (tmp_path / name).rename(link.outbox / "c" / name)
        await daemon.said_again("bundle_queued")
        ids = {one["name"]: one["id"] for one in (await status(link))["bundles"]}
        for bundle in ids.values():
            await done(link, "cancel", bundle)
        assert "is spent" in await done(link, "retry", ids["fixed"], code=2)
        assert "is no item of" in await done(link, "retry", "/etc/passwd", code=2)
        failed = link.folder / "sender" / "failed" / "c"
        await done(link, "retry", str(failed / "plain"))
        await done(link, "resume")
        await receiver.said("c/plain/")
        assert ["fixed@1"] == [path.name for path in failed.iterdir()]
        assert not list((failed.parent / ".reasons" / "c").glob("plain*"))


async def test_a_killed_receiver_leaves_a_socket_that_does_no_harm(tmp_path: Path) -> None:
    """Status reads the ledger then, retry changes nothing, and the next daemon is asked as before."""
    async with pair(tmp_path / "pair", mtu=SMALL_MTU) as link:
        receiver = await link.receiver()
        receiver.signal(signal.SIGKILL)
        await receiver.ended()
        assert (link.folder / "receiver" / "state" / "control.sock").is_socket()
        said = await enclave_status(link)
        assert (False, None) == (said["running"], said["now"])
        await link.receiver()
        assert (await enclave_status(link))["now"] is not None
