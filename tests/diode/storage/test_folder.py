"""Folders held by their descriptors: nothing is written through a name that somebody else put there."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from diode.storage.folder import Folder, partial_name


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A folder of ours, with a file of somebody else's beside it."""
    (tmp_path / "victim").write_text("secret")
    with Folder.open(tmp_path / "ours", create=True) as opened:
        yield opened


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "a\0b"])
def test_names_are_one_component(folder: Folder, name: str) -> None:
    """No call takes a path, be it a way up or out."""
    calls = (
        lambda: folder.create(name),
        lambda: folder.replace(name, b""),
        lambda: folder.read(name, 1),
        lambda: folder.has(name),
        lambda: folder.remove(name),
        lambda: folder.folder(name, create=True),
        lambda: folder.move(name, folder, "x"),
        lambda: folder.move("x", folder, name),
    )
    for call in calls:
        with pytest.raises(OSError, match="Not one name"):
            call()


def test_link_is_not_written_through(folder: Folder, tmp_path: Path) -> None:
    """A link that lies at a name is refused by what is new, and replaced by what replaces."""
    (tmp_path / "ours" / "link").symlink_to(tmp_path / "victim")
    with pytest.raises(FileExistsError):
        folder.write_new("link", b"ours")
    with pytest.raises(OSError) as caught:
        folder.read("link", 100)
    folder.replace("link", b"ours")
    assert (errno.ELOOP, b"ours", "secret") == (
        caught.value.errno,
        folder.read("link", 100),
        (tmp_path / "victim").read_text(),
    )


def test_link_at_the_partial_name(folder: Folder, tmp_path: Path) -> None:
    """Nor is one at the name under which a replacement is written."""
    (tmp_path / "ours" / partial_name("state")).symlink_to(tmp_path / "victim")
    folder.replace("state", b"ours")
    assert (["state"], "secret") == (folder.names(), (tmp_path / "victim").read_text())


def test_dangling_link_makes_nothing(folder: Folder, tmp_path: Path) -> None:
    """A link to nothing is something, and nothing is made where it points."""
    (tmp_path / "ours" / "link").symlink_to(tmp_path / "made")
    assert folder.has("link")
    with pytest.raises(FileExistsError):
        folder.create("link")
    assert not (tmp_path / "made").exists()


def test_folder_behind_a_link(folder: Folder, tmp_path: Path) -> None:
    """A link to a folder is no folder, at any depth of a path."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("secret")
    (tmp_path / "ours" / "sub").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="sub"):
        folder.folder("sub", create=True)
    for path in ("sub/file", "../victim", "/etc/hostname"):
        with pytest.raises(OSError) as caught:
            os.close(folder.beneath(path, os.O_RDONLY))
        assert caught.value.errno in (errno.ELOOP, errno.EXDEV)


def test_beneath(folder: Folder) -> None:
    """A path of several components is opened below the folder."""
    with folder.folder("a", create=True) as inner:
        inner.write_new("b", b"data")
    fd = folder.beneath("a/b", os.O_RDONLY)
    with os.fdopen(fd, "rb") as file:
        assert (b"data", False) == (file.read(), os.get_inheritable(fd))


def test_move_replaces_nothing(folder: Folder, tmp_path: Path) -> None:
    """What lies at the new name stays, an empty folder as well; a link is moved and not followed."""
    (tmp_path / "ours" / "link").symlink_to(tmp_path / "victim")
    with folder.folder("target", create=True) as target:
        target.folder("taken", create=True).close()
        with pytest.raises(FileExistsError):
            folder.move("link", target, "taken")
        folder.move("link", target, "moved")
        assert (["moved", "taken"], True) == (target.names(), (target.path / "moved").is_symlink())


def test_remove_follows_nothing(folder: Folder, tmp_path: Path) -> None:
    """A tree is removed, and what its links point to is not."""
    (tmp_path / "ours" / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "ours" / "tree" / "deep" / "link").symlink_to(tmp_path / "victim")
    (tmp_path / "ours" / "tree" / "folder").symlink_to(tmp_path)
    for name in ("tree", "not there"):
        folder.remove(name)
    assert ([], "secret") == (folder.names(), (tmp_path / "victim").read_text())


def test_half_a_file_is_no_file(folder: Folder) -> None:
    """What cannot be written whole leaves nothing behind."""
    with pytest.raises(TypeError):
        folder.write_new("file", "text")  # type: ignore[arg-type]
    assert [] == folder.names()


def test_bounds(folder: Folder, tmp_path: Path) -> None:
    """Reading is bounded, and of regular files only; a fifo does not wait."""
    folder.write_new("file", b"12345", 0o640)
    os.mkfifo(tmp_path / "ours" / "fifo")
    assert b"12345" == folder.read("file", 5)
    for name in ("file", "fifo"):
        with pytest.raises(OSError, match=r"Larger|regular"):
            folder.read(name, 4)


def test_longest_name(folder: Folder) -> None:
    """A name of 255 bytes can be replaced."""
    name = "\N{LATIN SMALL LETTER A WITH DIAERESIS}" * 127
    folder.replace(name, b"1")
    folder.replace(name, b"2")
    assert ([name], b"2") == (folder.names(), folder.read(name, 1))
