"""Changing the link key: what is refused, and that a step which was killed is typed again."""

import itertools
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from diode.cli.main import app
from diode.config.init import init_pair
from diode.config.link_key_rotation import maybe_previous, retire_link, rotate_link
from diode.config.load import load, load_either
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from diode.errors import NotInitialisedError, StorageError, UsageError
from diode.protocol.link_key import LinkKey
from diode.trust.keys import new_link_key, read_link_key, write_private
from receiver.peer.link_keys import link_keys
from tests.patience import PATIENCE_S

STEPS = ("open", "fsync", "fdatasync", "replace", "unlink")  # of the two commands, where one may be killed
KILLED = 9


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


def same_id(secret: bytes) -> bytes:
    """Another key with the same id: one of 65,536."""
    wanted = LinkKey.of(secret).key_id
    return next(s for s in (n.to_bytes(32, "big") for n in itertools.count()) if LinkKey.of(s).key_id == wanted)


def test_the_same_id_by_chance(folder: Path) -> None:
    """Headers name a key by 16 bits: two with the same could not be told apart."""
    receiver = sides(folder)[0]
    assert isinstance(receiver, ReceiverConfig)
    twin = same_id(read_link_key(receiver.link.key).secret).hex().encode()
    write_private(folder / "twin.key", twin)
    with pytest.raises(UsageError, match="same id"):
        rotate_link(receiver, folder / "twin.key")
    write_private(receiver.link.previous, twin)
    with pytest.raises(UsageError, match="same id"):
        maybe_previous(receiver.link)


def test_a_third_key_waits_until_the_first_is_retired(folder: Path) -> None:
    """Or the sender, which may use the first one still, would be locked out without a word."""
    write_private(folder / "third.key", new_link_key())
    receiver, sender = sides(folder)
    for config in (receiver, sender):
        rotate_link(config, folder / "new.key")
    with pytest.raises(UsageError, match="retire-link"):
        rotate_link(receiver, folder / "third.key")
    assert read_link_key(receiver.link.key) == read_link_key(folder / "new.key")
    assert rotate_link(sender, folder / "third.key")
    retire_link(receiver)
    assert rotate_link(receiver, folder / "third.key")


def test_only_the_receiver_makes_a_key(folder: Path) -> None:
    """It has to have a new one first."""
    receiver, sender = sides(folder)
    old = read_link_key(receiver.link.key)
    with pytest.raises(UsageError, match="--new FILE"):
        rotate_link(sender, None)
    assert rotate_link(receiver, None)
    assert rotate_link(sender, receiver.link.key)
    assert read_link_key(sender.link.key) == read_link_key(receiver.link.key) != old


def test_an_explicit_previous_key(folder: Path) -> None:
    """Where the configuration names its file, that one is used; a file that is gone is no second key."""
    path = folder / "receiver/receiver.toml"
    path.write_text(path.read_text().replace("# previous_key = ", "previous_key = ").replace("link.previous", "before"))
    receiver = load(ReceiverConfig, path)
    assert [receiver.link.key] == receiver.link.keys
    old = read_link_key(receiver.link.key)
    rotate_link(receiver, folder / "new.key")
    assert old == read_link_key(folder / "receiver/keys/before.key")
    assert 2 == len(receiver.link.keys)
    retire_link(receiver)
    assert [receiver.link.key] == receiver.link.keys


def test_what_status_shows_of_keys(folder: Path) -> None:
    """Both ids, since when, and under which one the sender was heard."""
    receiver = sides(folder)[0]
    assert isinstance(receiver, ReceiverConfig)
    old = read_link_key(receiver.link.key).key_id
    assert (f"{old:04x}", "", "", "") == link_keys(receiver.link, [])
    rotate_link(receiver, folder / "new.key")
    os.utime(receiver.link.previous, (86_400, 86_400))
    new = read_link_key(receiver.link.key).key_id
    shown = link_keys(receiver.link, [[new, 1, 0], [old, 2, 0]])
    assert shown is not None
    assert (f"{new:04x}", f"{old:04x}", "1970-01-02T00:00:00Z", f"{old:04x}") == shown
    assert f"last heard under {old:04x}" in shown.text
    receiver.link.key.chmod(0o644)
    assert link_keys(receiver.link, []) is None


def test_a_disk_that_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, and the key that counted counts still."""
    receiver = sides(folder)[0]
    old = read_link_key(receiver.link.key)

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error", "link.key")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(StorageError, match="type the same again"):
            rotate_link(receiver, folder / "new.key")
    assert old == read_link_key(receiver.link.key)
    assert rotate_link(receiver, folder / "new.key")


def test_the_commands_say_what_to_type(folder: Path) -> None:
    """All of the drill, as people type it; typed again, nothing is changed. Each change is in the audit log."""
    new, receiver, sender = folder / "carried.key", folder / "receiver/receiver.toml", folder / "sender/sender.toml"

    def typed(*arguments: object) -> str:
        result = CliRunner().invoke(app, ["keys", *map(str, arguments)], catch_exceptions=False)
        assert 0 == result.exit_code
        return result.stderr

    typed("link", new)
    assert "systemctl restart diode-receiver" in typed("rotate-link", receiver, "--new", new)
    assert "systemctl restart diode-sender" in typed("rotate-link", sender, "--new", new)
    assert "nothing was changed" in typed("rotate-link", sender, "--new", new)
    assert "systemctl restart diode-receiver" in typed("retire-link", receiver)
    assert "is gone" in typed("retire-link", sender)
    assert "nothing was changed" in typed("retire-link", sender)
    assert "carry" in typed("rotate-link", receiver)
    (log,) = (folder / "receiver/state/audit").glob("audit-*.jsonl")
    assert 3 == [json.loads(line)["what"] for line in log.read_text().splitlines()].count("link_key_changed")


@pytest.mark.needs("root")
def test_what_root_writes_is_the_daemons(folder: Path) -> None:
    """Whoever could read the key can read the new one."""
    receiver = sides(folder)[0]
    assert isinstance(receiver, ReceiverConfig)
    os.chown(receiver.link.key, 12_345, 12_346)
    rotate_link(receiver, folder / "new.key")
    for key in receiver.link.keys:
        assert (12_345, 12_346, 0o600) == (key.stat().st_uid, key.stat().st_gid, key.stat().st_mode & 0o777)


def killed_at(step: int, toml: Path, new: Path | None) -> None:
    """A process that runs one of the two commands, and is gone before its ``step``-th call of the kernel."""
    count = itertools.count()

    def hooked(work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(count) == step:
                os._exit(KILLED)
            return work(*arguments, **options)

        return call

    config = load_either(toml)
    for name in STEPS:
        setattr(os, name, hooked(getattr(os, name)))
    if new is None:
        retire_link(config)
    else:
        rotate_link(config, new)
    os._exit(0)


def kills(toml: Path, new: Path | None) -> Iterator[int]:
    """Run a command again and again, each time killed one step later, until it comes through."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    for step in itertools.count():
        process = context.Process(target=killed_at, args=(step, toml, new))
        process.start()
        process.join(PATIENCE_S)
        assert process.exitcode in (0, KILLED)
        yield step
        if process.exitcode == 0:
            return


@pytest.mark.long
@pytest.mark.parametrize("side", ["receiver", "sender"])
def test_killed_at_every_step(folder: Path, side: str) -> None:
    """There is a sound key at every moment, the receiver takes the old one too, and the same command finishes."""
    toml, new = folder / side / f"{side}.toml", read_link_key(folder / "new.key")
    config, old = load_either(toml), read_link_key(folder / side / "keys/link.key")
    before, kill = config.link.key.read_bytes(), 0
    for kill in kills(toml, folder / "new.key"):  # noqa: B007 - counted below
        assert read_link_key(config.link.key) in (old, new)
        if isinstance(config, ReceiverConfig):
            assert old in [read_link_key(key) for key in config.link.keys]
        rotate_link(config, folder / "new.key")
        assert [new, old] == [read_link_key(key) for key in (config.link.key, config.link.previous)]
        assert ["link.key", "link.previous.key"] == sorted(p.name for p in config.link.key.parent.glob("link*"))
        config.link.key.write_bytes(before)  # all over again
        config.link.previous.unlink()
    assert kill > 8


def test_retiring_killed_at_every_step(folder: Path) -> None:
    """The old key is there or gone, the new one counts, and the same command finishes."""
    toml, config = folder / "receiver/receiver.toml", sides(folder)[0]
    rotate_link(config, folder / "new.key")
    old, kill = config.link.previous.read_bytes(), 0
    for kill in kills(toml, None):  # noqa: B007 - likewise
        assert read_link_key(config.link.key) == read_link_key(folder / "new.key")
        retire_link(config)
        assert not config.link.previous.exists()
        write_private(config.link.previous, old)
    assert kill > 2
