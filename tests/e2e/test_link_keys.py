"""The drill of changing the link key, between real daemons."""

import signal
from pathlib import Path

from diode.config import load_either
from diode.keys import new_link_key, write_private
from diode.rotation import retire_link, rotate_link
from tests.e2e.pair import Pair, pair


async def send(link: Pair, name: str) -> None:
    """One small bundle, by a sender that starts and ends."""
    (link.folder / name).write_bytes(name.encode())
    sender = await link.sender("send", str(link.folder / name), "--channel", "c", "--version", "1", "--no-progress")
    assert 0 == await sender.ended()


async def test_the_link_key_is_changed(tmp_path: Path) -> None:
    """Both keys count for a while, with an alarm; then the old one counts no more."""
    async with pair(tmp_path) as link:
        receiver_toml, sender_toml = link.folder / "receiver/receiver.toml", link.folder / "sender/sender.toml"
        new = link.folder / "new.key"
        write_private(new, new_link_key())
        rotate_link(load_either(receiver_toml), new)
        await link.diode()
        receiver = await link.receiver("--no-progress")
        await send(link, "old")
        await receiver.said('"outcome": "published"')
        await receiver.said("old_link_key_used")
        receiver.signal(signal.SIGTERM)
        assert 0 == await receiver.ended()

        rotate_link(load_either(sender_toml), new)
        receiver = await link.receiver("--no-progress")
        await send(link, "new")
        await receiver.said('"outcome": "published"')
        assert not any("old_link_key_used" in line for line in receiver.log)
        receiver.signal(signal.SIGTERM)
        assert 0 == await receiver.ended()

        retire_link(load_either(receiver_toml))
        sender = load_either(sender_toml)
        sender.link.key.write_bytes(sender.link.previous.read_bytes())
        receiver = await link.receiver("--no-progress")
        await send(link, "late")
        receiver.signal(signal.SIGTERM)
        assert 0 == await receiver.ended()
        assert receiver.last("summary")["drops"]["key"] > 0
        assert ["new", "old"] == sorted(path.name for path in (link.inbox / "c").iterdir())
