"""``put``: what it copies comes into the outbox whole, or not at all."""

import os
import shutil
from pathlib import Path

import pytest

from diode.config.init import init_pair
from diode.errors import SourceError, UsageError
from sender.commands.putting import put


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    """A sender's configuration."""
    init_pair(tmp_path, to="127.0.0.1:9", listen="127.0.0.1:9", mtu=1500, rate=0, profile="standard", auth="gmac")
    return tmp_path / "sender" / "sender.toml"


def lies_there(toml: Path) -> list[str]:
    """Everything in the channel's folder."""
    channel = toml.parent / "outbox" / "c"
    return sorted(str(path.relative_to(channel)) for path in channel.rglob("*"))


def test_a_folder_and_a_file(toml: Path, tmp_path: Path) -> None:
    """With empty folders and the right to run; nothing else stays beside them."""
    (tmp_path / "model" / "empty").mkdir(parents=True)
    (tmp_path / "model" / "run").write_bytes(b"x")
    (tmp_path / "model" / "run").chmod(0o700)
    put(toml, tmp_path / "model", "c", "model@1")
    put(toml, tmp_path / "model" / "run", "c", None)
    assert ["model@1", "model@1/empty", "model@1/run", "run"] == lies_there(toml)
    assert os.access(toml.parent / "outbox" / "c" / "model@1" / "run", os.X_OK)


def test_what_cannot_cross_is_refused(toml: Path, tmp_path: Path) -> None:
    """By its kind or its name, or because something waits there: nothing of it comes into the outbox."""
    (tmp_path / "bad").mkdir()
    os.mkfifo(tmp_path / "bad" / "pipe")
    for name in (None, ".hidden", "a@current"):
        with pytest.raises(SourceError):
            put(toml, tmp_path / "bad", "c", name)
    (tmp_path / "good").write_bytes(b"good")
    put(toml, tmp_path / "good", "c", None)
    with pytest.raises(UsageError, match="waits already"):
        put(toml, tmp_path / "good", "c", None)
    assert ["good"] == lies_there(toml)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_end_in_the_middle_leaves_nothing(
    toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """Ctrl-C, or a full disk."""

    def fail(*_: object) -> None:
        raise error

    (tmp_path / "good").write_bytes(b"good")
    monkeypatch.setattr(shutil, "copyfileobj", fail)
    with pytest.raises(SystemExit if error is KeyboardInterrupt else error) as ended:
        put(toml, tmp_path / "good", "c", None)
    assert error is OSError or getattr(ended.value, "code", 0) == 130
    assert [] == lies_there(toml)


def test_links_and_times_are_kept(toml: Path, tmp_path: Path) -> None:
    """Of a channel that keeps them: the copy looks as the folder did, and so does its top."""
    toml.write_text(toml.read_text() + '\n[channels.c]\nlinks = "keep"\n')
    item = tmp_path / "tree"
    (item / "b" / "empty").mkdir(parents=True)
    (item / "a").write_bytes(b"x")
    (item / "b" / "l").symlink_to("../a")
    (item / "m").symlink_to("b/")
    paths = ["", "a", "b", "b/empty", "b/l", "m"]
    for number, path in enumerate(reversed(paths)):
        os.utime(item / path, ns=(0, 10**18 + number), follow_symlinks=False)
    put(toml, item, "c", None)
    copy = toml.parent / "outbox" / "c" / "tree"
    assert [(item / path).lstat().st_mtime_ns for path in paths] == [(copy / p).lstat().st_mtime_ns for p in paths]
    assert ("../a", "b/") == (os.readlink(copy / "b" / "l"), os.readlink(copy / "m"))
