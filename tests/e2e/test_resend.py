"""A person carries a code back, and what was missing arrives: the only way back there is."""

import asyncio
import json
import os
import random
import signal
import sys
from pathlib import Path

import pytest

from diode.protocol.geometry import PROFILES, stream_geometry
from diode.protocol.sizes import symbol_bytes_for
from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, Pair, Process, differences, pair

SHAPE = stream_geometry(symbol_bytes_for(SMALL_MTU), PROFILES["standard"])
SLAB_DATAGRAMS = SHAPE.rows * SHAPE.columns
BUNDLE = 4 * SMALL_SLAB
ON_THE_WIRE = BUNDLE * SMALL_MTU // 448
BEYOND_REPAIR = SMALL_SLAB // 448 // 2  # datagrams in a row, of one slab or of two


def drop(link: Pair, content: bytes) -> None:
    """Put an item into the outbox."""
    (link.outbox / "models").mkdir()
    (link.outbox / "models" / "model.bin@1").write_bytes(content)


async def lose_some(link: Pair) -> Process:
    """Send what is in the outbox while the diode is away for a while; returns the receiver, which has ended."""
    receiver = await link.receiver("--bundles", "1")
    diode = await link.diode()
    sender = await link.sender("run", "--json", "--until-idle", DIODE_OUTBOX__SETTLE_S="0")
    await receiver.said("bundle_accepted")
    await take_away(link, diode, sender)
    assert 0 == await sender.ended()
    assert 16 == await receiver.ended()
    return receiver


async def take_away(link: Pair, diode: Process, sender: Process) -> None:
    """End the diode, and start another when the sender has sent more than any repair can make up for.

    It says how much after each slab: up to a slab of that was sent before the diode ended.
    """
    async with sender.frozen():
        diode.signal(signal.SIGTERM)
        await diode.ended()
    said = await sender.counted("datagrams", 0)
    await sender.counted("datagrams", said + SLAB_DATAGRAMS + BEYOND_REPAIR)
    async with sender.frozen():
        await link.diode()


async def printed(link: Pair, *arguments: str) -> str:
    """What another command of the receiving side prints."""
    command = (sys.executable, "-c", "from receiver.cli.main import main; main()")
    config = str(link.folder / "receiver" / "receiver.toml")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, "-c", config, *arguments, stdout=pipe)
    out, _ = await process.communicate()
    return out.decode().strip()


@pytest.mark.long
async def test_a_code_brings_what_was_lost(tmp_path: Path) -> None:
    """The receiver asks for the slabs it lacks, the sender sends those alone, the bundle is published and confirmed."""
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=3_000_000) as link:
        sent = tmp_path / "model.bin"
        content = random.Random(8).randbytes(BUNDLE)
        drop(link, content)
        incomplete = (await lose_some(link)).last("bundle")
        code, bundle = incomplete["resend_code"], incomplete["bundle"]
        kept = link.folder / "receiver" / "state" / "resend" / f"{bundle}.txt"
        assert code == kept.read_text().strip()
        assert kept.with_suffix(".png").read_bytes().startswith(b"\x89PNG")

        receiver = await link.receiver("--bundles", "1")
        wrong = await link.sender("resend", "Z" + code[1:])
        assert 2 == await wrong.ended()
        sender = await link.sender("resend", "--json", *code.lower().split("-"))
        assert 0 == await sender.ended()
        assert 0 == await receiver.ended()
        assert 0 < sender.last("bundle")["bytes"] < ON_THE_WIRE
        sent.write_bytes(content)
        assert [] == differences(sent, link.inbox / "models" / "model.bin" / "1" / "data" / "model.bin")
        assert not kept.exists()

        receipt = await printed(link, "receipt", bundle, "--code")
        confirm = await link.sender("confirm", receipt)
        assert 0 == await confirm.ended()
        assert "is confirmed" in confirm.log[-1]


@pytest.mark.long
async def test_what_was_confirmed_is_kept_no_longer(tmp_path: Path) -> None:
    """Item and packed form of a confirmed bundle go: at once by the command, or when a daemon starts; others stay."""
    async with pair(tmp_path / "pair") as link:
        names = ("now", "later", "never")
        (link.outbox / "cve").mkdir()
        for name in names:
            (link.outbox / "cve" / f"{name}@1").write_bytes(name.encode() * 1000)
        receiver = await link.receiver("--bundles", "3")
        await link.diode()
        keep = {"DIODE_OUTBOX__KEEP": "until-confirmed", "DIODE_OUTBOX__SETTLE_S": "0"}
        assert 0 == await (await link.sender("run", "--json", "--until-idle", **keep)).ended()
        assert 0 == await receiver.ended()
        ids = {m["label"].split("/")[1]: m["bundle"] for m in receiver.messages if m["message_type"] == "bundle"}
        assert set(names) == ids.keys()

        def kept() -> set[str]:
            items = {path.name.removesuffix("@1") for path in (link.folder / "sender/sent/cve").iterdir()}
            packed = {path.name for path in (link.folder / "sender/state/bundles").iterdir()}
            assert packed == {ids[name] for name in items}
            return items

        assert set(names) == kept()
        code = await printed(link, "receipt", ids["now"], "--code")
        confirm = await link.sender("confirm", code, **keep)
        assert 0 == await confirm.ended()
        assert any("bundle_no_longer_kept" in line for line in confirm.log)
        assert {"later", "never"} == kept()

        code = await printed(link, "receipt", ids["later"], "--code")
        assert 0 == await (await link.sender("confirm", code, DIODE_OUTBOX__KEEP="forever")).ended()
        assert {"later", "never"} == kept()
        sender = await link.sender("run", "--json", **keep)
        assert ids["later"] in await sender.said("bundle_no_longer_kept")
        assert {"never"} == kept()


@pytest.mark.long
async def test_the_daemon_that_sent_an_item_sends_it_again(tmp_path: Path) -> None:
    """It has moved to ``sent`` meanwhile, and is found there."""
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=3_000_000) as link:
        content = random.Random(8).randbytes(BUNDLE)
        receiver = await link.receiver("--bundles", "1")
        diode = await link.diode()
        drop(link, content)
        sender = await link.sender("run", "--json", DIODE_OUTBOX__SETTLE_S="0")
        await receiver.said("bundle_accepted")
        await take_away(link, diode, sender)
        assert 16 == await receiver.ended()
        receiver_again = await link.receiver("--bundles", "1")
        assert 0 == await (await link.sender("resend", receiver.last("bundle")["resend_code"])).ended()
        assert 0 == await receiver_again.ended()
        await sender.said('"outcome": "resent"')


@pytest.mark.long
async def test_a_damaged_packed_bundle_holds_nothing_up(tmp_path: Path) -> None:
    """It is given up with a reason; what waits behind it is sent."""
    async with pair(tmp_path / "pair") as link:
        drop(link, b"x" * 10_000)
        sender = await link.sender("run", "--json", DIODE_OUTBOX__SETTLE_S="0", DIODE_LINK__TIMETABLE="00:00,off")
        await sender.said("bundle_queued")
        sender.signal(signal.SIGTERM)
        await sender.ended()
        (packed,) = (link.folder / "sender" / "state" / "bundles").iterdir()
        os.truncate(packed / "files.jsonl", 10)
        (link.outbox / "models" / "other@1").write_bytes(b"y" * 10_000)
        sender = await link.sender("run", "--json", "--until-idle", DIODE_OUTBOX__SETTLE_S="0")
        assert 3 == await sender.ended()
        assert any("damaged" in line for line in sender.log if "bundle_cancelled" in line)
        assert "models/other/1" == sender.last("bundle")["label"]


@pytest.mark.long
async def test_codes_that_are_not_for_this_sender_do_nothing(tmp_path: Path) -> None:
    """Another bundle's code, a confirm code, no code: each is refused with one line and exit code 2."""
    async with pair(tmp_path / "pair") as link:
        never = await link.sender("resend", "9ZPWQ-AC7CN-1J23K-M00XD-9CNS2-Z1DJ4-TBE")
        assert 2 == await never.ended()
        assert "nothing was ever sent" in never.log[-1]
        (tmp_path / "a.txt").write_bytes(b"a")
        assert 0 == await (await link.sender("send", str(tmp_path / "a.txt"))).ended()
        for code, reason in (
            ("9ZPWQ-AC7CN-1J23K-M00XD-9CNS2-Z1DJ4-TBE", "never sent"),
            ("C0000-00000-000M0-00007-KWNG8-9S", "confirm code"),
            ("hello", "nothing was done"),
        ):
            refused = await link.sender("resend", code)
            assert 2 == await refused.ended()
            assert reason in refused.log[-1]


@pytest.mark.long
async def test_a_bundle_that_nobody_heard_of_is_missed(tmp_path: Path) -> None:
    """The manifest of the next one names the bundle that is missing; its code brings it."""
    async with pair(tmp_path / "pair") as link:
        for name in ("a", "b", "c"):
            (tmp_path / name).write_bytes(name.encode() * 1000)
        receiver = await link.receiver()
        diode = await link.diode()
        assert 0 == await (await link.sender("send", str(tmp_path / "a"))).ended()
        diode.signal(signal.SIGTERM)
        await diode.ended()
        assert 0 == await (await link.sender("send", str(tmp_path / "b"))).ended()
        await link.diode()
        assert 0 == await (await link.sender("send", str(tmp_path / "c"))).ended()
        await link.sender("run", "--json")
        missing = json.loads(await receiver.said("bundle_missing"))
        assert "everything: channel default, sequence 2, named by the signed manifest" in missing["what"]
        code = missing["do"].split()[-1]
        asked = await link.sender("resend", code)
        assert 0 == await asked.ended()
        assert "the running daemon sends it" in asked.log[-1]
        await receiver.said('"name": "default/b')
        await receiver.said_again("bundle_accepted")


@pytest.mark.long
async def test_a_bundle_waits_for_room_and_is_asked_for_again(tmp_path: Path) -> None:
    """What does not fit beside the reserve is not begun; with room, its code brings all of it."""
    async with pair(tmp_path / "pair") as link:
        sent = tmp_path / "a"
        sent.write_bytes(b"a" * 100_000)
        receiver = await link.receiver("--bundles", "1", DIODE_LIMITS__RESERVE="900TiB")
        await link.diode()
        assert 0 == await (await link.sender("send", "--version", "1", str(sent))).ended()
        assert "make room" in await receiver.said("space_short")
        assert 16 == await receiver.ended()
        code = receiver.last("bundle")["resend_code"]
        receiver = await link.receiver("--bundles", "1")
        assert 0 == await (await link.sender("resend", code)).ended()
        assert 0 == await receiver.ended()
        assert [] == differences(sent, link.inbox / "default" / "a" / "1" / "data" / "a")
