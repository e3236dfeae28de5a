"""Whoever drops an item that cannot cross is told everything that is wrong with it, at once."""

import json
import os
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from diode.config.init import init_sender
from diode.config.sender import Outbox
from diode.errors import SourceError
from diode.trust.keys import new_link_key
from sender.cli.main import app
from sender.outbox.folder import OutboxFolder
from sender.outbox.refusals import MOST_COUNTED, MOST_SHOWN
from sender.outbox.scan import collect, find
from sender.pack.hashed import INBOX

WRONG = ("a pipe", "a socket", "a link", "pair", "turned\\u202e", "part.bin", "ll")


@pytest.fixture
def item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One good file, and seven things that cannot cross, each for another reason; three lie in folders."""
    item = tmp_path / "item"
    (item / "deep" / "er").mkdir(parents=True)
    (item / "good").write_bytes(b"good")
    os.mkfifo(item / "a pipe")
    monkeypatch.chdir(item / "deep")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("a socket")
    (item / "deep" / "er" / "a link").symlink_to("../../good")
    for name in ("pair", "PAIR", "turned\u202e"):
        (item / name).touch()
    (item / ".cache" / "huggingface").mkdir(parents=True)
    (item / ".cache" / "huggingface" / "part.bin.incomplete").touch()
    long = item.joinpath(*["l" * 250] * 3)
    long.mkdir(parents=True)
    (long / "file").touch()
    return item


def refused(item: Path) -> SourceError:
    """How it is refused, where the folder of the enclave leaves few bytes for paths."""
    with pytest.raises(SourceError) as caught:
        find([item], "refuse", place=f"{INBOX}/{'x' * 3400}")
    return caught.value


def test_all_is_said_at_once(item: Path) -> None:
    """Names, kinds, links and lengths; the message counts them and has the first."""
    error = refused(item)
    assert len(WRONG) == len(error.details)
    assert [] == [word for word in WRONG if not any(word in detail for detail in error.details)]
    assert str(error).startswith(f"{len(WRONG)} things in it cannot be sent; the first: ")


def test_one_thing_is_said_as_it_is(tmp_path: Path) -> None:
    """There is no list of one."""
    (tmp_path / "item").mkdir()
    os.mkfifo(tmp_path / "item" / "pipe")
    error = refused(tmp_path / "item")
    assert ((), f"{str(tmp_path / 'item' / 'pipe')!r} is neither a file nor a directory") == (error.details, str(error))


def test_the_list_ends(tmp_path: Path) -> None:
    """Of many things the first are named, and the others counted."""
    (tmp_path / "item").mkdir()
    for number in range(MOST_SHOWN + 7):
        os.mkfifo(tmp_path / "item" / f"{number:03}")
    error = refused(tmp_path / "item")
    assert (MOST_SHOWN + 1, "and 7 more") == (len(error.details), error.details[-1])
    assert "'099'" not in error.details[0]


def test_counting_ends(tmp_path: Path) -> None:
    """After so many, the rest is not looked at."""
    (tmp_path / "item").mkdir()
    for number in range(MOST_COUNTED + 7):
        (tmp_path / "item" / f"{number:04}").symlink_to("nowhere")
    assert str(refused(tmp_path / "item")).startswith("at least 1,000 things")


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    """Folders that lead to one another, and hold what cannot cross, are not looked through without end."""
    for number in range(30):
        folder = tmp_path / "item" / str(number)
        folder.mkdir(parents=True)
        for name in ("one", "two"):
            (folder / name).symlink_to(f"../{number + 1}")
    with pytest.raises(SourceError, match="at least 1,000 things"):
        collect([tmp_path / "item"], "follow")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    """Before anything of the item is hashed; a folder as well as a file."""
    (tmp_path / "item" / "folder").mkdir(parents=True)
    (tmp_path / "item" / "file").touch(0o000)
    (tmp_path / "item" / "folder").chmod(0)
    assert ["Permission denied"] * 2 == [detail.rpartition(": ")[2] for detail in refused(tmp_path / "item").details]
    (tmp_path / "item" / "folder").chmod(0o700)


def test_the_list_is_kept_with_the_item(item: Path) -> None:
    """Whoever looks at the item in ``failed`` finds all of it beside it."""
    top = item.parent
    folder = OutboxFolder(Outbox(path=top / "outbox", sent=top / "sent", failed=top / "failed"))
    (top / "outbox" / "c").mkdir()
    dropped = item.rename(top / "outbox" / "c" / "item")
    with pytest.raises(SourceError) as caught:
        collect([folder.root(dropped)], "refuse")
    folder.set_aside(dropped, caught.value)
    reason = json.loads((top / "failed" / ".reasons" / "c" / "item.reason.json").read_text())
    assert list(caught.value.details) == reason["details"]


def test_a_dry_run_says_it(item: Path) -> None:
    """``intake check`` refuses what the daemon would, with the same list; and it changes nothing."""
    top, key = item.parent / "sender", new_link_key()
    init_sender(top, to="127.0.0.1:9", mtu=1500, rate=10**8, profile="standard", auth="none", link_key=key)
    before = sorted((path, path.lstat().st_mtime_ns) for path in item.rglob("*"))
    words = ["-c", str(top / "sender.toml"), "intake", "check", str(item), "--channel", "c"]
    error = CliRunner().invoke(app, words).exception
    assert isinstance(error, SourceError)
    assert len(WRONG) - 1 == len(error.details)  # the long path fits here
    assert before == sorted((path, path.lstat().st_mtime_ns) for path in item.rglob("*"))
    assert [] == [path.name for path in (top / "state").rglob("*") if "ledger" in path.name]
