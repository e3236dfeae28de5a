"""Both daemons and the emulated diode as real processes: what is dropped into the outbox arrives, or nothing does."""

import asyncio
import json
import os
import random
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from diode.audit.verify import checkpoints_heard, entries_of, read_service_keys, verify
from diode.trust.keys import read_public_key
from diode.trust.receipts import verify_receipt
from tests.e2e.pair import SMALL_MTU, SMALL_SLAB, Pair, differences, pair

SYMBOL = 1408
SLAB = 200 * 64 * SYMBOL


def zoo(folder: Path, *, many: int = 2000, largest: int = SLAB + 1) -> Path:
    """Files of every awkward size and name."""
    rng = random.Random(7)
    sizes = {"empty": 0, "one byte": 1, "one symbol": SYMBOL, "slab and a byte": largest, "ünïcødé 文件": 10_000}
    folder.mkdir(parents=True)
    for name, size in sizes.items():
        (folder / name).write_bytes(rng.randbytes(size))
    (folder / ("n" * 255)).write_bytes(b"long name")
    (folder / "back\\slash").write_bytes(b"escaped in SHA256SUMS")
    (folder / "hollow" / "inner").mkdir(parents=True)
    (folder / "run.sh").write_bytes(b"#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    for i in range(many):
        path = folder / "many" / f"{i % 50:02}" / f"file {i}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.randbytes(rng.randrange(40)))
    return folder


def batched(names: list[str], size: int) -> list[list[str]]:
    """``names`` in lists of at most ``size``."""
    return [names[at : at + size] for at in range(0, len(names), size)]


async def deliver(
    link: Pair,
    *impairments: str,
    bundles: int = 1,
    sender: tuple[str, ...] = (),
    env: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Run both daemons until everything in the outbox is in the inbox."""
    receiver = await link.receiver("--bundles", str(bundles), **env)
    diode = await link.diode(*impairments)
    arguments = sender or ("run", "--json", "--until-idle")
    assert 0 == await (await link.sender(*arguments, DIODE_OUTBOX__SETTLE_S="0", **env)).ended()
    assert 0 == await receiver.ended()
    diode.signal(signal.SIGTERM)
    assert 0 == await diode.ended()


MODES: dict[str, tuple[dict[str, object], dict[str, str]]] = {
    "mtu9000": ({"mtu": 9000}, {}),
    "aead": ({"auth": "aead"}, {}),
    "none": ({"auth": "none"}, {}),
    "lossy-at-rest": ({"profile": "lossy"}, {"DIODE_INBOX__VERIFY": "at-rest"}),
    "portable": ({"rate": 10_000_000}, {"DIODE_LINK__PATH": "portable"}),
    "zfec": ({"rate": 10_000_000}, {"DIODE_FEC__ENGINE": "zfec"}),
}


def check_audit(folder: Path, published: Path) -> None:
    """Both logs hold, the enclave's knows the head of staging's, and the receipt is signed."""
    inside, outside = folder / "receiver", folder / "sender"
    own = inside / "keys" / "service.pub"
    heads = checkpoints_heard(inside / "state" / "audit")
    verify(inside / "state" / "audit", read_service_keys([own]))
    told = verify(outside / "state" / "audit", read_service_keys([inside / "keys" / "services" / "sender.pub"]), heads)
    assert 0 < len(heads) == told.heads
    words = [[str(entry.what) for entry in entries_of(side / "state" / "audit")] for side in (outside, inside)]
    assert ["started", "packed", "queued", "sent", "stopped"] == words[0]
    meanwhile = ("peer_head", "current")  # the receiver may end before the bundle was looked into and put to use
    assert ["started", "accepted", "published", "stopped"] == [word for word in words[1] if word not in meanwhile]
    assert verify_receipt(published, read_public_key(own)).label == "pypi/zoo/1"


async def carry_zoo(folder: Path, sent: Path, options: dict[str, object], env: dict[str, str]) -> None:
    """Send a tree through losses, and check all that is published of it."""
    async with pair(folder, **options) as link:
        link.outbox.joinpath("pypi").mkdir()
        shutil.copytree(sent, link.outbox / "pypi" / "zoo@1")
        await deliver(link, "--loss", "1%", "--burst", "300", "--seed", "3", env=env)
        published = link.inbox / "pypi" / "zoo" / "1"
        assert [] == differences(sent, published / "data")
        names = {
            "data",
            "manifest.json",
            "manifest.dsse.json",
            "SHA256SUMS",
            "B3SUMS",
            "receipt.json",
            "receipt.dsse.json",
            "attestations",
        }
        assert names == {path.name for path in published.iterdir()}
        check_audit(folder, published)
        check = await asyncio.create_subprocess_exec("sha256sum", "--quiet", "-c", "SHA256SUMS", cwd=published)
        assert 0 == await check.wait()
        receipt = json.loads((published / "receipt.json").read_text())
        assert env.get("DIODE_INBOX__VERIFY", "slabs") == receipt["verify"]
        assert [] == list((link.inbox / ".diode" / "spool").iterdir())


async def test_every_kind_of_file_arrives_identical(tmp_path: Path) -> None:
    """Random loss and bursts of 300 leave nothing missing and nothing different."""
    await carry_zoo(tmp_path / "pair", zoo(tmp_path / "zoo"), {}, {})


@pytest.mark.long
async def test_every_mode_of_the_link_delivers(tmp_path: Path) -> None:
    """MTU 9000, every authentication, checking at rest, the portable path and zfec alone bring the same bytes over."""
    sent = zoo(tmp_path / "zoo", many=20, largest=300_001)
    for names in batched(list(MODES), 3):  # two cores hold no more at once
        await asyncio.gather(*(carry_zoo(tmp_path / name, sent, *MODES[name]) for name in names))


@pytest.mark.long
async def test_a_log_that_nobody_reads_keeps_no_daemon_from_ending(tmp_path: Path) -> None:
    """Its reader is gone; signals are heard all the same."""
    async with pair(tmp_path / "pair") as link:
        receiver, sender = await link.receiver(), await link.sender("run", "--json")
        await sender.said("udp_path_chosen")
        for process in (receiver, sender):
            process.process._transport.get_pipe_transport(2).close()  # type: ignore[attr-defined]
            process.signal(signal.SIGTERM)
            assert 0 == await process.ended()


@pytest.mark.long
async def test_reordered_duplicated_and_corrupted_datagrams_do_no_harm(tmp_path: Path) -> None:
    """Datagrams that overtake, repeat or arrive damaged are counted, and the bundle arrives."""
    async with pair(tmp_path / "pair") as link:
        sent = tmp_path / "model.bin"
        sent.write_bytes(random.Random(5).randbytes(3_000_000))
        impairments = ("--reorder", "2%", "--duplicate", "2%", "--corrupt", "0.5%", "--loss", "0.5%")
        await deliver(link, *impairments, sender=("send", "--json", "--version", "1", str(sent)))
        assert [] == differences(sent, link.inbox / "default" / "model.bin" / "1" / "data" / "model.bin")


@pytest.mark.long
async def test_several_bundles_cross_at_once_and_identical_content_is_skipped(tmp_path: Path) -> None:
    """Every item becomes a bundle of its own; what was sent before is not sent again."""
    async with pair(tmp_path / "pair") as link:
        rng = random.Random(9)
        for channel in ("cve", "os"):
            (link.outbox / channel).mkdir()
            for number in range(5):
                (link.outbox / channel / f"item{number}@1").write_bytes(rng.randbytes(2000 * number))
        again = (link.outbox / "os" / "item3@1").read_bytes()
        await deliver(link, bundles=10)
        assert 10 == len(list(link.inbox.glob("*/*/1/receipt.json")))
        (link.outbox / "os" / "item3@1").write_bytes(again)
        (link.outbox / "os" / "item4@1").write_bytes(b"other content under a used version")
        sender = await link.sender("run", "--json", "--until-idle", DIODE_OUTBOX__SETTLE_S="0")
        assert 3 == await sender.ended()
        assert (1, 1) == (sender.last("summary")["skipped"], sender.last("summary")["failed"])
        reason = json.loads((link.folder / "sender/failed/.reasons/os/item4@1.reason.json").read_text())
        assert "source" == reason["reason"]


async def stop_and_go_on(folder: Path, number: signal.Signals) -> None:
    """Stop both sides in the middle of a bundle, start them again, and see it arrive."""
    async with pair(folder / "pair", mtu=SMALL_MTU, rate=4_000_000) as link:
        sent = folder / "model.bin"
        sent.write_bytes(random.Random(5).randbytes(4 * SMALL_SLAB))
        await link.diode()
        receiver = await link.receiver()
        with link.slowly("default"):
            sender = await link.sender("send", "--json", "--version", "1", str(sent))
            await receiver.counted("bytes_done", SMALL_SLAB)
        sender.signal(number)
        expected = 0 if number == signal.SIGTERM else 130
        assert expected == await sender.ended()
        receiver.signal(number)
        assert expected == await receiver.ended()
        assert [] == list(link.inbox.glob("*/*/*/receipt.json"))
        again = await link.receiver("--bundles", "1")
        await again.said("bundle_resumed")
        assert 0 == await (await link.sender("run", "--json", "--until-idle")).ended()
        assert 0 == await again.ended()
        assert [] == differences(sent, link.inbox / "default" / "model.bin" / "1" / "data" / "model.bin")


@pytest.mark.long
async def test_stopped_in_the_middle_both_sides_go_on_later(tmp_path: Path) -> None:
    """After a graceful stop of both, stored slabs are kept and the bundle completes in a later run."""
    for number in (signal.SIGTERM, signal.SIGINT):
        (tmp_path / number.name).mkdir()
    both = (stop_and_go_on(tmp_path / number.name, number) for number in (signal.SIGTERM, signal.SIGINT))
    await asyncio.gather(*both)


@pytest.mark.long
async def test_a_bundle_that_lost_too_much_is_reported_and_never_published(tmp_path: Path) -> None:
    """Losses beyond the profile end with exit code 16 and an inbox as empty as before."""
    async with pair(tmp_path / "pair") as link:
        sent = tmp_path / "model.bin"
        sent.write_bytes(random.Random(5).randbytes(SLAB))
        receiver = await link.receiver("--bundles", "1")
        await link.diode("--loss", "20%")  # more than standard repairs; the manifest and heartbeats survive it
        assert 0 == await (await link.sender("send", "--json", str(sent))).ended()
        assert 16 == await receiver.ended()
        assert "incomplete" == receiver.last("bundle")["outcome"]
        assert [] == list(link.inbox.glob("*/*/*/receipt.json"))


@pytest.mark.long
async def test_a_second_pass_completes_what_the_first_one_lost(tmp_path: Path) -> None:
    """Slabs of two passes stitch together: at 30 % loss, `extreme` and two passes deliver."""
    async with pair(tmp_path / "pair", profile="extreme") as link:
        sent = tmp_path / "model.bin"
        sent.write_bytes(random.Random(5).randbytes(1_500_000))
        passes = ("send", "--json", "--version", "1", "--passes", "2", "--pass-delay", "0.1", str(sent))
        await deliver(link, "--loss", "30%", sender=passes)
        assert [] == differences(sent, link.inbox / "default" / "model.bin" / "1" / "data" / "model.bin")


async def test_a_sender_without_a_receiver_runs_to_its_end(tmp_path: Path) -> None:
    """The kernel's ICMP answers to a closed port do not stop a socket that is not connected."""
    async with pair(tmp_path / "pair") as link:
        sent = tmp_path / "model.bin"
        sent.write_bytes(b"x" * 100_000)
        sender = await link.sender("send", "--json", str(sent))
        assert 0 == await sender.ended()
        assert 0 == sender.last("summary")["refused"]


@pytest.mark.long
async def test_a_stranger_without_a_trusted_key_is_quarantined(tmp_path: Path) -> None:
    """A bundle signed by an unknown key leaves a reason, and nothing else."""
    async with pair(tmp_path / "pair") as link, pair(tmp_path / "other") as other:
        receiver_key = link.folder / "receiver" / "keys" / "signers" / "sender.pub"
        receiver_key.write_bytes((other.folder / "receiver" / "keys" / "signers" / "sender.pub").read_bytes())
        receiver = await link.receiver("--bundles", "1")
        await link.diode()
        (tmp_path / "forged").write_bytes(b"x" * 5000)
        assert 0 == await (await link.sender("send", "--json", str(tmp_path / "forged"))).ended()
        assert 12 == await receiver.ended()
        (reason,) = (link.inbox / ".diode" / "quarantine" / "unsigned").glob("*/reason.json")
        assert "trust" == json.loads(reason.read_text())["reason"]
        assert [] == [path for path in link.inbox.iterdir() if path.name != ".diode"]


async def test_what_cannot_cross_is_set_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    """Links, pipes, unusable names: each named in the log and moved away with a reason; the good item is sent."""
    async with pair(tmp_path / "pair") as link:
        channel = link.outbox / "c"
        channel.mkdir()
        os.mkfifo(channel / "pipe")
        (channel / "link").symlink_to("/etc/hostname")
        (channel / "x@current").write_bytes(b"")
        (channel / os.fsdecode(b"n\xff")).write_bytes(b"")
        (channel / "good").write_bytes(b"good")
        sender = await link.sender("run", "--json", "--until-idle", DIODE_OUTBOX__SETTLE_S="0")
        assert 3 == await sender.ended()
        assert (1, 4) == (sender.last("summary")["sent"], sender.last("summary")["failed"])
        assert 4 == len(list((link.folder / "sender" / "failed" / ".reasons" / "c").glob("*.reason.json")))


@pytest.mark.long
async def test_a_file_that_changes_while_it_is_sent_withdraws_its_bundle(tmp_path: Path) -> None:
    """What was hashed is what is sent, or nothing is published."""
    async with pair(tmp_path / "pair", mtu=SMALL_MTU, rate=4_000_000) as link:
        sent = tmp_path / "model.bin"
        sent.write_bytes(random.Random(5).randbytes(6 * SMALL_SLAB))
        await link.receiver()
        await link.diode()
        sender = await link.sender("send", "--json", str(sent))
        await sender.counted("bytes_done", SMALL_SLAB)
        async with sender.frozen():
            with sent.open("r+b") as file:
                file.write(b"changed")
        assert 3 == await sender.ended()
        assert any("bundle_cancelled" in line for line in sender.log)
        assert [] == list(link.inbox.glob("*/*/*/receipt.json"))


@pytest.mark.long
async def test_one_bundles_trouble_is_not_the_others(tmp_path: Path) -> None:
    """A file where a folder must be, on either side: that bundle is set aside, the next one arrives."""
    async with pair(tmp_path / "pair") as link:
        for folder in (link.inbox, link.folder / "sender" / "sent"):
            folder.mkdir(exist_ok=True)
            (folder / "blocked").write_bytes(b"a file")
        for channel in ("blocked", "free"):
            (link.outbox / channel).mkdir()
            (link.outbox / channel / "x@1").write_bytes(channel.encode())
        (link.outbox / "stray").write_bytes(b"not in a channel")
        receiver = await link.receiver("--bundles", "2", "--no-progress")
        await link.diode()
        sender = await link.sender("run", "--json", "--until-idle", DIODE_OUTBOX__SETTLE_S="0")
        await sender.ended()
        assert 13 == await receiver.ended()
        assert b"free" == (link.inbox / "free" / "x" / "1" / "data" / "x").read_bytes()
        (reason,) = (link.inbox / ".diode" / "quarantine").glob("*/reason.json")
        assert "place" == json.loads(reason.read_text())["reason"]
        assert any("item_ignored" in line and "stray" in line for line in sender.log)
        assert any("sent_item_stuck" in line for line in sender.log)
