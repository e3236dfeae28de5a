"""Links are resolved by the kernel below the item's own descriptor; where they lead is proven, and judged."""

import errno
import os
from pathlib import Path

import pytest

from diode.errors import LimitError, SourceError
from diode.storage.folder import Folder, real_path
from diode.storage.links import open_following
from sender.outbox.hashing import hash_content
from sender.outbox.scan import Root, collect

SLAB_BYTES = 1 << 20


@pytest.fixture
def item(tmp_path: Path) -> Path:
    """An item with a file ``sub/file`` in it; beside it lies ``keys/file``, which is the daemon's."""
    for folder, data in (("item/sub", b"harmless"), ("keys", b"secret")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "file").write_bytes(data)
    return tmp_path / "item"


def paths(item: Path) -> list[str]:
    """What the daemon finds in a dropped item, following links."""
    return [source.path for source in collect([Root(Folder.open(item.parent), item.name)], "follow")]


@pytest.mark.parametrize(
    "words",
    [
        "../keys/file",
        "../item/sub/file",
        "sub/../../item/sub/file",
        "/etc/hostname",
        "/proc/self/environ",
        "/proc/self/root/etc/hostname",
        "/dev/stdin",
    ],
)
def test_links_that_leave_the_item(item: Path, words: str) -> None:
    """Also those that come back, and those of the kernel's."""
    (item / "link").symlink_to(words)
    with pytest.raises(SourceError, match="leaves its bundle"):
        paths(item)


def test_an_absolute_link_into_the_item(item: Path) -> None:
    """It would lead elsewhere once the item has moved, as it does after it was sent."""
    (item / "link").symlink_to(item / "sub" / "file")
    with pytest.raises(SourceError, match="leaves its bundle"):
        paths(item)


@pytest.mark.parametrize("words", [".", "..", "../..", "../sub", "../../item/sub", "../link"])
def test_links_to_a_folder_above(item: Path, words: str) -> None:
    """No circle is walked, not even once around."""
    (item / "link").symlink_to("sub")
    (item / "sub" / "again").symlink_to(words)
    with pytest.raises(SourceError, match=r"above itself|leaves its bundle"):
        paths(item)


def test_links_that_lead_to_each_other(item: Path) -> None:
    """The kernel ends that."""
    (item / "a").symlink_to("b")
    (item / "b").symlink_to("a")
    with pytest.raises(SourceError, match="Too many levels"):
        paths(item)


@pytest.mark.parametrize(("length", "is_taken"), [(1, True), (40, True), (41, False)])
def test_a_chain_of_links(item: Path, length: int, is_taken: bool) -> None:
    """As long as the kernel follows one; each link of it is a name of the file."""
    for number in range(length):
        (item / f"link-{number:02}").symlink_to(f"link-{number - 1:02}" if number else "sub/file")
    if is_taken:
        assert [*(f"link-{number:02}" for number in range(length)), "sub/file"] == paths(item)
        return
    with pytest.raises(SourceError, match="Too many levels"):
        paths(item)


def test_folders_that_links_multiply(item: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each level has the one below it twice: the walk ends at as many files as a bundle may hold."""
    monkeypatch.setattr("sender.outbox.scan.MAX_FILES", 100)
    for number in range(1, 20):
        (item / str(number)).mkdir()
        for name in ("a", "b"):
            (item / str(number) / name).symlink_to(f"../{number - 1}" if number > 1 else "../sub")
    with pytest.raises(LimitError, match="more than"):
        paths(item)


def test_a_link_to_a_pipe(item: Path) -> None:
    """It is neither opened nor waited for."""
    os.mkfifo(item / "pipe")
    (item / "a").symlink_to("pipe")
    with pytest.raises(SourceError, match="neither a file nor a directory"):
        paths(item)


@pytest.mark.parametrize("turn", ["link", "folder", "file", "all"])
def test_what_is_swapped_while_a_link_is_followed(item: Path, monkeypatch: pytest.MonkeyPatch, turn: str) -> None:
    """After the kernel resolved a link, and before what it found is looked at by its path, that becomes another."""
    (item / "a").symlink_to("sub/file")
    resolve = open_following

    def resolve_and_swap(folder: Folder, path: str, flags: int) -> int:
        fd = resolve(folder, path, flags)
        if turn in ("link", "all"):
            (item / "a").unlink()
            (item / "a").symlink_to("../keys/file")
        if turn in ("folder", "all"):
            (item / "sub").rename(item.parent / "away")
            (item / "sub").symlink_to("../keys")
        if turn == "file":
            (item / "sub" / "file").unlink()
            (item / "sub" / "file").symlink_to("../../keys/file")
        return fd

    monkeypatch.setattr("sender.outbox.links.open_following", resolve_and_swap)
    root = Root(Folder.open(item.parent), item.name)
    if turn == "link":
        assert {8} == {entry.size for entry in hash_content(collect([root], "follow"), SLAB_BYTES).entries}
        return
    with pytest.raises(SourceError):
        hash_content(collect([root], "follow"), SLAB_BYTES)


def test_a_folder_that_comes_from_elsewhere_while_a_link_is_followed(
    item: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file at the path that the kernel found is not the one that it found."""
    (item / "a").symlink_to("sub/file")
    resolve = open_following

    def resolve_and_swap(folder: Folder, path: str, flags: int) -> int:
        fd = resolve(folder, path, flags)
        (item / "sub" / "file").rename(item / "sub" / "other")
        (item.parent / "keys" / "file").rename(item / "sub" / "file")
        return fd

    monkeypatch.setattr("sender.outbox.links.open_following", resolve_and_swap)
    found = [source for source in collect([Root(Folder.open(item.parent), item.name)], "follow") if source.path == "a"]
    with found[0].open() as file:
        assert b"harmless" == file.read()


@pytest.mark.parametrize("words", ["keys", "nothing"])
def test_what_a_person_named_is_resolved_once(item: Path, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    """A link above what was typed is followed by one call: what it says afterwards changes nothing."""
    typed, open_folder = item.parent / "typed", Folder.open

    def open_and_swap(path: Path) -> Folder:
        folder = open_folder(path)
        typed.unlink()
        typed.symlink_to(words)
        return folder

    typed.symlink_to("item/sub")
    monkeypatch.setattr(Folder, "open", open_and_swap)
    [source] = collect([Root.named(typed / "file")], "refuse")
    with source.open() as file:
        assert (str(item / "sub" / "file"), b"harmless") == (source.origin, file.read())


@pytest.mark.parametrize("links", ["refuse", "follow"])
def test_what_a_person_named_is_no_link(item: Path, links: str) -> None:
    """But for a file of a cached snapshot, a link is not packed: what it leads to may be."""
    (item / "link").symlink_to("sub")
    with pytest.raises(SourceError, match="itself a symbolic link"):
        collect([item / "link"], links)  # type: ignore[arg-type]  # a literal


@pytest.mark.parametrize(
    ("words", "number"),
    [("../keys/file", errno.EXDEV), ("/etc/hostname", errno.EXDEV), ("nothing", errno.ENOENT), ("l", errno.ELOOP)],
)
def test_a_folder_follows_no_link_out(item: Path, words: str, number: int) -> None:
    """As the kernel says why."""
    (item / "l").symlink_to(words)
    with pytest.raises(OSError) as raised:
        open_following(Folder.open(item), "l", os.O_PATH)
    assert number == raised.value.errno


@pytest.mark.parametrize("path", ["self/cwd", "self/root/etc", "self/exe"])
def test_links_of_the_kernels(path: str) -> None:
    """Those of /proc lead anywhere, whatever they say; they are never followed."""
    with pytest.raises(OSError, match=r"symbolic links|Invalid cross-device"):
        open_following(Folder.open(Path("/proc")), path, os.O_PATH)


@pytest.mark.parametrize("turn", ["other file", "link"])
def test_what_is_swapped_after_the_kernel_named_it(item: Path, monkeypatch: pytest.MonkeyPatch, turn: str) -> None:
    """Between the path that the kernel gave and its opening, another file takes the place of the one that it found."""
    (item / "a").symlink_to("sub/file")

    def name_and_swap(fd: int) -> Path:
        place = real_path(fd)
        if place.name == "file":
            place.rename(place.with_name("other"))
            if turn == "link":
                place.symlink_to("other")
            else:
                (item.parent / "keys" / "file").rename(place)
        return place

    monkeypatch.setattr("sender.outbox.links.real_path", name_and_swap)
    with pytest.raises(SourceError, match="changed while it was followed"):
        paths(item)
