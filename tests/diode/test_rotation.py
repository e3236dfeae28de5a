"""Changing the link key: what is refused, and that a step which was killed is typed again."""

import errno
import os
from pathlib import Path

import pytest

from diode.config import ReceiverConfig, SenderConfig, load, load_either
from diode.errors import NotInitialisedError, UsageError
from diode.init import init_pair
from diode.keys import new_link_key, read_link_key, write_private
from diode.rotation import retire_link, rotate_link


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Both sides, and a new key."""
    init_pair(tmp_path, to="127.0.0.1:9", listen="127.0.0.1:9", mtu=1500, rate=0, profile="standard", auth="gmac")
    write_private(tmp_path / "new.key", new_link_key())
    return tmp_path


def sides(folder: Path) -> list[SenderConfig | ReceiverConfig]:
    """As the commands read them."""
    return [load_either(folder / "receiver/receiver.toml"), load_either(folder / "sender/sender.toml")]


def test_two_keys_count_until_the_old_one_is_retired(folder: Path) -> None:
    """On the receiver; the sender seals under the new one alone."""
    new, old = folder / "new.key", read_link_key(folder / "sender/keys/link.key")
    for config in sides(folder):
        assert rotate_link(config, new)
        assert not rotate_link(config, new)
        assert read_link_key(config.link.key) == read_link_key(new)
        assert read_link_key(config.link.previous) == old
        assert 0o600 == config.link.key.stat().st_mode & 0o777 == config.link.previous.stat().st_mode & 0o777
    receiver = load(ReceiverConfig, folder / "receiver/receiver.toml")
    assert [read_link_key(key).key_id for key in receiver.link.keys] == [read_link_key(new).key_id, old.key_id]
    for config in sides(folder):
        assert (True, False) == (retire_link(config), retire_link(config))
    assert 1 == len(receiver.link.keys)


def test_what_cannot_follow(folder: Path) -> None:
    """A key from before, one that others can read, no key: all is left as it was."""
    receiver = sides(folder)[0]
    before = receiver.link.key.read_bytes()
    (folder / "open.key").write_bytes(new_link_key())
    (folder / "open.key").chmod(0o644)
    (folder / "junk.key").write_bytes(b"junk")
    (folder / "junk.key").chmod(0o600)
    for name, error in (("open.key", UsageError), ("junk.key", UsageError), ("none.key", NotInitialisedError)):
        with pytest.raises(error):
            rotate_link(receiver, folder / name)
    assert (before, False) == (receiver.link.key.read_bytes(), receiver.link.previous.exists())
    write_private(folder / "old.key", before)
    rotate_link(receiver, folder / "new.key")
    with pytest.raises(UsageError, match="does not come back"):
        rotate_link(receiver, folder / "old.key")


def test_the_same_id_by_chance(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers name a key by 16 bits: two with the same could not be told apart."""
    receiver = sides(folder)[0]
    monkeypatch.setattr("diode.rotation.read_link_key", lambda path: type(read_link_key(path))(path.read_bytes(), 7))
    with pytest.raises(UsageError, match="same id"):
        rotate_link(receiver, folder / "new.key")


@pytest.mark.parametrize("step", range(12))
def test_killed_at_every_step(folder: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """There is a sound key at every moment, and the same command finishes the change."""
    receiver = sides(folder)[0]
    old, new = read_link_key(receiver.link.key), read_link_key(folder / "new.key")
    count = 0

    def counted(name: str) -> None:
        work = getattr(os, name)

        def once(*arguments: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count > step:
                raise OSError(errno.EIO, "killed")
            return work(*arguments, **options)

        monkeypatch.setattr(os, name, once)

    with monkeypatch.context():
        for name in ("fsync", "replace", "fdatasync"):
            counted(name)
        try:
            rotate_link(receiver, folder / "new.key")
        except Exception:  # noqa: BLE001 - whatever a kill looks like
            assert count > step
    monkeypatch.undo()
    assert read_link_key(receiver.link.key) in (old, new)
    assert old in [read_link_key(key) for key in receiver.link.keys]
    rotate_link(receiver, folder / "new.key")
    assert [read_link_key(key) for key in receiver.link.keys] == [new, old]
