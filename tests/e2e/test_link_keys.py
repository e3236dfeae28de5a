"""The drill of changing the link key, between real daemons."""

import json
import os
import signal
from pathlib import Path

import pytest

from diode.trust.keys import new_link_key, read_link_key, write_private
from tests.e2e.pair import Pair, Process, is_read, pair, start, worker
from tests.patience import until


async def send(link: Pair, name: str) -> None:
    """One small bundle, by a sender that starts and ends."""
    (link.folder / name).write_bytes(name.encode())
    sender = await link.sender("send", str(link.folder / name), "--channel", "c", "--version", "1", "--no-progress")
    assert 0 == await sender.ended()


async def keys(*arguments: str) -> None:
    """Run ``diode keys``."""
    assert 0 == await (await start("diode.cli.main", "keys", *arguments)).ended()


async def status(link: Pair) -> dict[str, str]:
    """What the receiver's ``status`` says of link keys."""
    process = await link.enclave("status", "--json")
    assert 0 == await process.ended()
    (message,) = process.messages
    return dict(message["link_keys"])


async def end(daemon: Process) -> None:
    """End it in order."""
    daemon.signal(signal.SIGTERM)
    assert 0 == await daemon.ended()


def alarms(receiver: Process) -> list[str]:
    """Sessions that it named, each as often as it did."""
    return [json.loads(line)["session"] for line in receiver.log if "old_link_key_used" in line]


@pytest.mark.long
async def test_the_link_key_is_changed(tmp_path: Path) -> None:
    """Both keys count for a while, with an alarm; then the old one counts no more."""
    async with pair(tmp_path) as link:
        receiver_toml, sender_toml = (
            str(link.folder / "receiver/receiver.toml"),
            str(link.folder / "sender/sender.toml"),
        )
        new, link_key = link.folder / "new.key", link.folder / "sender/keys/link.key"
        write_private(new, new_link_key())
        old_id, new_id = f"{read_link_key(link_key).key_id:04x}", f"{read_link_key(new).key_id:04x}"
        await keys("rotate-link", receiver_toml, "--new", str(new))
        diode = await link.diode()
        receiver = await link.receiver("--no-progress")
        await receiver.said("two_link_keys_valid")
        await send(link, "old")
        await receiver.said('"outcome": "published"')
        await receiver.said_again("old_link_key_used")
        assert 2 == len(alarms(receiver)) == len(set(alarms(receiver)))  # heartbeats, and data
        shown = await status(link)
        assert (new_id, old_id, old_id) == (shown["current"], shown["previous"], shown["heard"])
        await end(receiver)

        await keys("rotate-link", sender_toml, "--new", str(new))
        receiver = await link.receiver("--no-progress")
        await send(link, "new")
        await receiver.said('"outcome": "published"')
        assert [] == alarms(receiver)
        assert new_id == (await status(link))["heard"]
        await end(receiver)

        await keys("retire-link", receiver_toml)
        link_key.write_bytes((link.folder / "sender/keys/link.previous.key").read_bytes())
        receiver = await link.receiver("--no-progress")
        await send(link, "late")
        await until(lambda: is_read(link.low), "the diode has taken it")
        await end(diode)  # what it has taken is passed on
        await until(lambda: is_read(link.high), "the receiver has taken it")
        await end(receiver)
        assert receiver.last("summary")["drops"]["key"] > 0
        assert "" == (await status(link))["previous"]
        assert ["new", "old"] == sorted(path.name for path in (link.inbox / "c").iterdir())


@pytest.mark.long
async def test_a_new_pipeline_says_nothing_twice(tmp_path: Path) -> None:
    """A session that was named is not named again because a worker of the receiver died."""
    async with pair(tmp_path) as link:
        write_private(link.folder / "new.key", new_link_key())
        await keys("rotate-link", str(link.folder / "receiver/receiver.toml"), "--new", str(link.folder / "new.key"))
        await link.diode()
        receiver = await link.receiver("--no-progress")
        await link.sender("run", "--no-progress")
        await receiver.said_again("old_link_key_used")
        os.kill(worker(receiver.process.pid, "receiver.transport.assemble"), signal.SIGKILL)
        await receiver.said("worker_died")
        item = link.outbox / "c"
        item.mkdir()
        (item / "after").write_bytes(b"after")
        await receiver.said('"outcome": "published"')
        assert 2 == len(alarms(receiver)) == len(set(alarms(receiver)))


@pytest.mark.long
async def test_a_sender_does_not_mix_keys(tmp_path: Path) -> None:
    """One whose key was changed while it ran ends when a worker has to be replaced: its heartbeats have the old key."""
    async with pair(tmp_path) as link:
        write_private(link.folder / "new.key", new_link_key())
        await link.diode()
        sender = await link.sender("run", "--json", "--no-progress")
        await sender.said("udp_path_chosen")
        await keys("rotate-link", str(link.folder / "sender/sender.toml"), "--new", str(link.folder / "new.key"))
        os.kill(worker(sender.process.pid, "sender.transport.encode"), signal.SIGKILL)
        await sender.said("the link key was changed since the start")
        assert 1 == await sender.ended()
