"""Who drops an item gets nothing sent that lies elsewhere, or that only others may read."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from diode.errors import SourceError
from diode.formats.digest import digest
from diode.storage.folder import Folder
from sender.outbox.hashing import hash_content
from sender.outbox.scan import Root, Source, collect, open_origin

SLAB_BYTES = 1 << 20
STRANGER = 4242


@pytest.fixture
def item(tmp_path: Path) -> Path:
    """An item with a file ``sub/key`` in it; beside the outbox lies ``keys/key``, which is the daemon's."""
    (tmp_path / "channel" / "item" / "sub").mkdir(parents=True)
    (tmp_path / "channel" / "item" / "sub" / "key").write_bytes(b"harmless")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "key").write_bytes(b"secret")
    return tmp_path / "channel" / "item"


def swap_folder(item: Path) -> None:
    """A folder of the item becomes a link."""
    (item / "sub").rename(item / "moved")
    (item / "sub").symlink_to(item.parents[1] / "keys")


def swap_item(item: Path) -> None:
    """The item itself becomes a link to a folder that is built alike."""
    item.rename(item.with_name("moved"))
    (item.parents[1] / "alike").mkdir()
    (item.parents[1] / "alike" / "sub").symlink_to(item.parents[1] / "keys")
    item.symlink_to(item.parents[1] / "alike")


def swap_channel(item: Path) -> None:
    """The channel's folder becomes a link."""
    item.parent.rename(item.parents[1] / "moved")
    (item.parents[1] / "alike" / "item").mkdir(parents=True)
    (item.parents[1] / "alike" / "item" / "sub").symlink_to(item.parents[1] / "keys")
    item.parent.symlink_to(item.parents[1] / "alike")


def swap_real_folder(item: Path) -> None:
    """A folder becomes another folder, with no link in it."""
    (item / "sub").rename(item / "moved")
    (item.parents[1] / "keys").rename(item / "sub")


def swap_file(item: Path) -> None:
    """The file becomes a hard link to another one."""
    (item / "sub" / "key").unlink()
    (item / "sub" / "key").hardlink_to(item.parents[1] / "keys" / "key")


SWAPS = [swap_folder, swap_item, swap_channel, swap_real_folder, swap_file]


def read(source: Source) -> bytes:
    """What a file's source gives, or what it gives by the path that encoding knows."""
    try:
        with source.open() as file:
            return file.read()
    except OSError:
        return b""


@pytest.mark.parametrize("swap", SWAPS)
@pytest.mark.parametrize("links", ["refuse", "follow"])
def test_what_is_swapped_after_it_was_found(item: Path, swap: Callable[[Path], None], links: str) -> None:
    """Hashing reads what was found, or refuses; never another file."""
    [source] = collect([item], links)  # type: ignore[arg-type]  # a literal
    swap(item)
    hashed = []
    with suppress(SourceError):
        hashed = hash_content([source], SLAB_BYTES).entries
    assert [] == hashed or 8 == hashed[0].size  # by the item's own descriptor it may still be there


@pytest.mark.parametrize("swap", [swap_folder, swap_item, swap_channel])
def test_encoding_follows_no_link(item: Path, swap: Callable[[Path], None]) -> None:
    """It opens by the whole path, of which no part may be a link by then."""
    [source] = collect([item], "refuse")
    with open_origin(source.origin) as file:
        assert b"harmless" == file.read()
    swap(item)
    with pytest.raises(OSError, match="symbolic links"):
        open_origin(source.origin)


def test_followed_link_is_judged_where_it_leads(item: Path) -> None:
    """What is read is the file that the link led to when it was found, also after it leads elsewhere."""
    (item / "link").symlink_to("sub/key")
    [link, _] = collect([item], "follow")
    (item / "link").unlink()
    (item / "link").symlink_to(item.parents[1] / "keys" / "key")
    assert ("link", b"harmless") == (link.path, read(link))
    with pytest.raises(SourceError, match="leaves its bundle"):
        collect([item], "follow")


def test_an_item_is_found_in_the_folder_that_is_open(item: Path) -> None:
    """An item of the outbox is named relative to its channel's descriptor: its path may lead elsewhere by now."""
    root = Root(Folder.open(item.parent), item.name)
    swap_channel(item)
    [source] = collect([root], "follow")
    assert b"harmless" == read(source)


needs_root = pytest.mark.needs("root")


@needs_root
@pytest.mark.parametrize("shared", ["channel", "item", "nothing"])
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
def test_a_hard_link_that_others_may_have_made(item: Path, shared: str, mode: int) -> None:
    """Refused wherever one folder on the way is not its owner's alone; the reason says what to type."""
    (item / "linked").hardlink_to(item.parents[1] / "keys" / "key")
    if shared == "nothing":
        assert 2 == len(collect([item], "refuse"))
        return
    {"channel": item.parent, "item": item}[shared].chmod(mode)
    with pytest.raises(SourceError, match=r"linked' is a hard link .*Copy it: cp -p"):
        collect([item], "refuse")


@needs_root
@pytest.mark.parametrize("owned", ["file", "folder", "channel"])
def test_a_hard_link_in_somebody_elses_folder(item: Path, owned: str) -> None:
    """Who owns the folder is not who owns the file: it may not be theirs to read."""
    secret = item.parents[1] / "keys" / "key"
    (item / "sub" / "linked").hardlink_to(secret)
    os.chown({"file": secret, "folder": item / "sub", "channel": item.parent}[owned], STRANGER, STRANGER)
    with pytest.raises(SourceError, match="hard link"):
        collect([item], "refuse")


def test_hard_links_within_an_item(item: Path) -> None:
    """All of its names lie in the item: then it is the dropper's, wherever that is."""
    (item / "twin").hardlink_to(item / "sub" / "key")
    item.parent.chmod(0o777)
    assert ["sub/key", "twin"] == [source.path for source in collect([item], "refuse")]


def test_a_followed_link_is_no_further_name(item: Path) -> None:
    """Two symbolic links do not make up for a name outside of the item."""
    (item / "linked").hardlink_to(item.parents[1] / "keys" / "key")
    (item / "again").symlink_to("linked")
    item.parent.chmod(0o777)
    with pytest.raises(SourceError, match="hard link"):
        collect([item], "follow")


def test_one_file_that_is_the_item(item: Path) -> None:
    """Its channel's folder decides; so does the folder of what ``diode-sender send`` is given."""
    path = item.parent / "model.bin"
    path.hardlink_to(item.parents[1] / "keys" / "key")
    assert 1 == len(collect([path], "refuse"))
    item.parent.chmod(0o777)
    for root in (path, Root.named(path)):
        with pytest.raises(SourceError, match="hard link"):
            collect([root], "refuse")


def test_a_hard_link_through_a_followed_folder(item: Path) -> None:
    """The folders that count are those of the real place."""
    (item / "open").mkdir()
    (item / "open" / "linked").hardlink_to(item.parents[1] / "keys" / "key")
    (item / "open").chmod(0o777)
    (item / "a").symlink_to("open/linked")
    with pytest.raises(SourceError, match="hard link"):
        collect([item], "follow")


def test_a_link_made_after_the_item_was_judged(item: Path) -> None:
    """It changes the file's ctime, and so the item."""
    [source] = collect([item], "refuse")
    (item.parents[1] / "outside").hardlink_to(item / "sub" / "key")
    with pytest.raises(SourceError, match="changed after it was found"):
        hash_content([source], SLAB_BYTES)


def test_a_folder_that_is_swapped_all_the_time(item: Path) -> None:
    """A folder and a link to the daemon's change places while the item is found and hashed, again and again."""
    (item / "link").symlink_to(item.parents[1] / "keys")
    secret, over = digest(b"secret").hex(), threading.Event()

    def swap() -> None:
        while not over.is_set():
            for source, target in (("sub", "third"), ("link", "sub"), ("third", "link")):
                (item / source).rename(item / target)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for _ in range(300):
            with suppress(SourceError):
                found = hash_content(collect([item], "follow"), SLAB_BYTES).entries
                assert secret not in {entry.blake3 for entry in found}
    finally:
        over.set()
        swapping.join()


def test_two_empty_folders_of_one_name(tmp_path: Path) -> None:
    """Both would be one line of the table twice, which the enclave refuses: the item is refused here."""
    roots = [tmp_path / "a" / "same", tmp_path / "b" / "same"]
    for root in roots:
        root.mkdir(parents=True)
    with pytest.raises(SourceError, match="twice"):
        collect(roots, "refuse")
