"""Files at their final places: slabs go where the stream lies in them, and what is missing or changed is named."""

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from diode.bundle.files import FileEntry
from diode.bundle.stream import FileIndex
from diode.errors import IntegrityError
from diode.formats.digest import digest
from diode.protocol.geometry import Geometry, Slab
from diode.storage.folder import Folder
from receiver.spool.tree import LONG_BYTES, Tree

ID = "0123456789abcdef"
FILES = {"a": b"one", "b/c/d": bytes(range(256)) * 5, "b/empty": b"", "run": b"#!"}
STREAM = b"".join(FILES.values())
SHAPE = Geometry(448, 1, 1, 1)


def entries() -> list[FileEntry]:
    """Lines of the files table: a folder besides, and one file that can be run."""
    made = [
        FileEntry(path, len(data), digest(data).hex(), hashlib.sha256(data).hexdigest(), executable=path == "run")
        for path, data in FILES.items()
    ]
    return sorted([*made, FileEntry("folder/")], key=lambda entry: entry.path.encode())


@pytest.fixture
def spool(tmp_path: Path) -> Folder:
    """A spool with the folder of one bundle."""
    folder = Folder.open(tmp_path)
    folder.folder(ID, create=True).close()
    return folder


@pytest.fixture
def tree(spool: Folder) -> Tree:
    """Nothing of it is written yet."""
    lines = b"".join(entry.line() for entry in entries())
    return Tree(spool, ID, FileIndex(lines, entries(), len(entries())))


def slab(offset: int, length: int) -> Slab:
    """A stretch of the stream."""
    return Slab(0, offset, length, SHAPE)


def put(tree: Tree, offset: int, length: int) -> None:
    """Write a stretch of the stream."""
    tree.put(slab(offset, length), memoryview(STREAM)[offset : offset + length])


def data_of(spool: Folder) -> Path:
    """Where its files are."""
    return spool.path / ID / "tree" / "data"


@pytest.mark.parametrize("size", [1, 7, 500, len(STREAM)])
@pytest.mark.parametrize("order", [1, -1], ids=["in order", "backwards"])
def test_slabs_of_any_size_make_the_files(tree: Tree, spool: Folder, size: int, order: int) -> None:
    """In whatever order they come; empty files and folders are added at the end."""
    for offset in range(0, len(STREAM), size)[::order]:
        put(tree, offset, min(size, len(STREAM) - offset))
    tree.finish()
    tree.check()
    data = data_of(spool)
    assert FILES == {str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert (data / "folder").is_dir()


def test_what_can_be_run_can_be_run_by_everybody(tree: Tree, spool: Folder) -> None:
    """As a package manager would install it; nothing else can."""
    put(tree, 0, len(STREAM))
    tree.finish()
    modes = {path: stat.S_IMODE((data_of(spool) / path).stat().st_mode) for path in FILES}
    assert 0o755 == modes.pop("run")
    assert not any(mode & 0o111 for mode in modes.values())


def test_a_slab_is_there_when_its_files_are_long_enough(tree: Tree, spool: Folder) -> None:
    """Neither before it is written, nor after somebody took it away."""
    assert not tree.has(slab(0, 10))
    put(tree, 0, 10)
    assert (True, False) == (tree.has(slab(0, 10)), tree.has(slab(0, 11)))
    (data_of(spool) / "a").unlink()
    assert (False, True) == (tree.has(slab(0, 10)), tree.has(slab(3, 7)))


def test_the_digest_of_a_slab_is_that_of_its_bytes_on_the_disk(tree: Tree, spool: Folder) -> None:
    """Across files. What cannot be read has none."""
    put(tree, 0, 10)
    assert digest(STREAM[:10]) == tree.maybe_digest(slab(0, 10))
    (data_of(spool) / "b" / "c" / "d").write_bytes(b"other")
    assert digest(STREAM[:10]) != tree.maybe_digest(slab(0, 10))
    (data_of(spool) / "a").unlink()
    assert tree.maybe_digest(slab(0, 10)) is None


def _shorten(path: Path) -> None:
    os.truncate(path, 2)


def _lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"!")


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def _into_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


HARM: dict[str, Callable[[Path], None]] = {
    "removed": Path.unlink,
    "shortened": _shorten,
    "lengthened": _lengthen,
    "a link": _link,
    "a folder": _into_folder,
}


@pytest.mark.parametrize("harm", HARM)
def test_a_file_that_is_not_as_it_was_written_is_named(tree: Tree, spool: Folder, harm: str) -> None:
    """Before anything is published, and without reading it."""
    put(tree, 0, len(STREAM))
    HARM[harm](data_of(spool) / "a")
    with pytest.raises(IntegrityError, match="'a'"):
        tree.finish()


def test_content_that_changed_is_found_by_reading_alone(tree: Tree, spool: Folder) -> None:
    """The length is right."""
    put(tree, 0, len(STREAM))
    (data_of(spool) / "a").write_bytes(b"ONE")
    tree.finish()
    with pytest.raises(IntegrityError, match="'a' does not have its signed digests at rest"):
        tree.check()


@pytest.mark.parametrize("planted", ["b", "b/c"])
def test_a_link_in_the_way_is_not_followed(tree: Tree, spool: Folder, tmp_path: Path, planted: str) -> None:
    """Whatever it leads to, nothing is written there."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place = data_of(spool) / planted
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(elsewhere)
    with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
        put(tree, 0, len(STREAM))
    assert [] == list(elsewhere.iterdir())


def test_one_file_is_open_at_a_time(tree: Tree) -> None:
    """However many it has; and none after it was closed."""
    before = len(os.listdir("/proc/self/fd"))
    put(tree, 0, len(STREAM))
    assert before + 1 == len(os.listdir("/proc/self/fd"))
    tree.close()
    tree.close()
    assert before == len(os.listdir("/proc/self/fd"))


def test_a_long_stretch_is_told_while_its_file_is_open(spool: Folder) -> None:
    """So that the disk can begin with it. What is short is not worth a call."""
    long, short = bytes(LONG_BYTES), b"short"
    files = [
        FileEntry(name, len(data), digest(data).hex(), hashlib.sha256(data).hexdigest())
        for name, data in (("a", short), ("b", long), ("c", short))
    ]
    tree = Tree(spool, ID, FileIndex(b"".join(entry.line() for entry in files), files, 3))
    at = len(short)
    assert tree.put(slab(0, at), memoryview(short)) is None
    stretch = tree.put(slab(0, at + len(long)), memoryview(short + long))
    assert stretch is not None
    assert ((0, len(long)), "b") == (stretch[1:], Path(os.readlink(f"/proc/self/fd/{stretch.fd}")).name)
    assert tree.put(slab(at, len(long) + at), memoryview(long + short)) is None
