"""Caches of ``huggingface_hub`` cross as plain files; and nothing crosses by links that only look like theirs."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.errors import SourceError
from diode.formats.digest import digest
from diode.storage.folder import Folder
from sender.outbox.hashing import bytes_again, hash_content
from sender.outbox.hub_cache import blob_of, shared_of, snapshot_label
from sender.outbox.scan import Root, Source, collect
from tests.hub import etag_of, lay_out, share

A, B = "a" * 40, "b" * 40
SLAB_BYTES = 1 << 20
SECRET = b"the daemon's own key"
WEIGHTS = bytes(range(256)) * 32
FILES = {
    ".gitattributes": b"*.bin filter=lfs\n",
    "config.json": b"{}",
    "empty.lock": b"",
    "model.safetensors": WEIGHTS,
    "onnx/deep/x.txt": b"hello",
    "onnx/same.txt": b"hello",
}
NEWER = FILES | {"config.json": b'{"v": 2}'}
XET = "c0" + "1" * 62


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A person's hub with one repository in it; beside it lies ``keys/service.key``, which is the daemon's."""
    lay_out(tmp_path / "hub", "models--org--name", {A: FILES})
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "service.key").write_bytes(SECRET)
    return tmp_path / "hub"


def dropped(path: Path) -> Root:
    """As the daemon finds what strangers dropped."""
    return Root(Folder.open(path.parent), path.name)


def contents(sources: list[Source]) -> dict[str, bytes]:
    """What the bundle holds."""
    found = {}
    for source in sources:
        if source.path.endswith("/"):
            found[source.path] = b""
            continue
        with source.open() as file:
            found[source.path] = file.read()
    return found


def below(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    """``files`` in a folder."""
    return {f"{folder}/{name}": data for name, data in files.items()}


SNAPSHOT = f"HUB/F/snapshots/{A}"


@pytest.mark.parametrize(
    ("link", "words", "blob"),
    [
        (f"F/snapshots/{A}/x", "../../blobs/12ef", "F/blobs/12ef"),
        (f"snapshots/{A}/x", "../../blobs/12ef", "blobs/12ef"),
        (f"{SNAPSHOT}/a/b/x", "../../../../blobs/12ef", "HUB/F/blobs/12ef"),
        (f"{SNAPSHOT}/snapshots/y/x", "../../../../blobs/12ef", "HUB/F/blobs/12ef"),
        (f"{SNAPSHOT}/x", "../../../blobs/12ef", None),
        (f"{SNAPSHOT}/x", "../blobs/12ef", None),
        (f"{SNAPSHOT}/x", "../../blobs/..", None),
        (f"{SNAPSHOT}/x", "../../blobs/.", None),
        (f"{SNAPSHOT}/x", "../../blobs/", None),
        (f"{SNAPSHOT}/x", "../../blobs/a/b", None),
        (f"{SNAPSHOT}/x", "../../blobs//a", None),
        (f"{SNAPSHOT}/x", "../../refs/main", None),
        (f"{SNAPSHOT}/x", "./../../blobs/a", None),
        (f"{SNAPSHOT}/x", "../../blobs/a\n", "HUB/F/blobs/a\n"),
        (f"{SNAPSHOT}/x", "/HUB/F/blobs/a", None),
        (f"{SNAPSHOT}/x", "../../../../../../blobs/a", None),
        ("HUB/F/other/REV/x", "../../blobs/a", None),
        ("x", "../../blobs/a", None),
    ],
)
def test_links_of_snapshots(link: str, words: str, blob: str | None) -> None:
    """A link is a snapshot's by its own words at its own place, and leads to one file of its own repository."""
    assert blob == blob_of(link, words)


@pytest.mark.parametrize(
    ("blob", "words", "shared"),
    [
        ("F/blobs/12ef", f"../../blobs/c0/{XET}", f"blobs/c0/{XET}"),
        ("HUB/F/blobs/12ef", f"../../blobs/c0/{XET}", f"HUB/blobs/c0/{XET}"),
        ("HUB/F/blobs/12ef", f"../../blobs/c1/{XET}", None),
        ("HUB/F/blobs/12ef", f"../../../blobs/c0/{XET}", None),
        ("HUB/F/blobs/12ef", f"../../blobs/c0/{XET[:-1]}", None),
        ("HUB/F/blobs/12ef", f"../../blobs/c0/{XET}/..", None),
        ("HUB/F/refs/12ef", f"../../blobs/c0/{XET}", None),
        ("blobs/12ef", f"../../blobs/c0/{XET}", None),
    ],
)
def test_links_of_blobs(blob: str, words: str, shared: str | None) -> None:
    """A blob may be a link, too: into the store that all repositories of a hub share."""
    assert shared == shared_of(blob, words)


@pytest.mark.parametrize("links", ["refuse", "follow"])
@pytest.mark.parametrize("name", ["models--org--name", "datasets--org--name", "spaces--org--name", "my-model@1"])
def test_a_cached_repository_is_an_item(hub: Path, name: str, links: str) -> None:
    """Its snapshots cross as plain files, whatever it is called; no blob crosses a second time."""
    (hub / "models--org--name").rename(hub / name)
    (hub / name / ".no_exist" / A).mkdir(parents=True)
    (hub / name / ".no_exist" / A / "added_tokens.json").touch()
    expected = below(f"snapshots/{A}", FILES) | {"refs/main": A.encode(), f".no_exist/{A}/added_tokens.json": b""}
    assert expected == contents(collect([dropped(hub / name)], links))  # type: ignore[arg-type]  # a literal


def test_a_cache_without_links(hub: Path) -> None:
    """As on Windows: files lie in the snapshot, and ``blobs`` is empty."""
    folder = lay_out(hub, "models--org--plain", {A: FILES}, has_links=False)
    expected = below(f"snapshots/{A}", FILES) | {"refs/main": A.encode(), "blobs/": b""}
    assert expected == contents(collect([dropped(folder)], "refuse"))


def test_a_blob_that_no_snapshot_names(hub: Path) -> None:
    """It crosses at its own place: nothing of an item is left out unless it is there under another name."""
    (hub / "models--org--name" / "blobs" / "orphan").write_bytes(b"left of an older snapshot")
    assert "blobs/orphan" in contents(collect([dropped(hub / "models--org--name")], "refuse"))


def test_two_snapshots_of_one_cache(hub: Path) -> None:
    """A file that both have is sent for each, as the stream has no links; how much that is, is known."""
    folder = lay_out(hub, "models--org--two", {A: FILES, B: NEWER})
    sources = collect([dropped(folder)], "refuse")
    expected = below(f"snapshots/{A}", FILES) | below(f"snapshots/{B}", NEWER) | {"refs/main": B.encode()}
    assert expected == contents(sources)
    again = sum(map(len, (FILES | {"onnx/same.txt": b""}).values())) - len(FILES["config.json"]) + 2 * len(b"hello")
    assert again == bytes_again(sources, hash_content(sources, SLAB_BYTES))


def test_a_whole_hub(hub: Path) -> None:
    """Several repositories and the store that they share are one item; what they share is sent once for each."""
    lay_out(hub, "datasets--org--other", {A: FILES})
    for name in ("models--org--name", "datasets--org--other"):
        share(hub, hub / name / "blobs" / etag_of(WEIGHTS))
    found = contents(collect([dropped(hub)], "refuse"))
    for name in ("models--org--name", "datasets--org--other"):
        assert below(f"{name}/snapshots/{A}", FILES).items() <= found.items()
    assert ["blobs/.huggingface-shared-blobs"] == [path for path in found if "blobs/" in path]


def test_what_the_library_keeps_beside_files(tmp_path: Path) -> None:
    """A folder made with ``local_dir`` crosses with its locks and metadata."""
    odd = {
        ".cache/huggingface/.gitignore": b"*",
        ".cache/huggingface/download/config.json.lock": b"",
        ".cache/huggingface/download/config.json.metadata": b"a\nb\n1.5\n",
        ".huggingface/old.metadata": b"a\n",
        ".gitattributes": b"",
        "config.json": b"{}",
        "data.incomplete": b"a name of the item's own",
    }
    for name, data in odd.items():
        (tmp_path / "item" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "item" / name).write_bytes(data)
    assert odd == contents(collect([dropped(tmp_path / "item")], "refuse"))


@pytest.mark.parametrize(
    "name", ["blobs/12ef.5f3a.incomplete", ".cache/huggingface/download/x.incomplete", ".huggingface/x.incomplete"]
)
def test_a_download_that_has_not_ended(hub: Path, name: str) -> None:
    """Half a file is refused, in words that say what it is."""
    item = hub / "models--org--name"
    (item / name).parent.mkdir(parents=True, exist_ok=True)
    (item / name).write_bytes(b"half")
    with pytest.raises(SourceError, match="download that has not ended"):
        collect([dropped(item)], "refuse")


def test_a_snapshot_whose_blob_is_missing(hub: Path) -> None:
    """The link is named, and what may have happened."""
    (hub / "models--org--name" / "blobs" / etag_of(WEIGHTS)).unlink()
    with pytest.raises(SourceError, match=r"model.safetensors' leads to a blob that is not there"):
        collect([dropped(hub / "models--org--name")], "refuse")


# what strangers drop


@pytest.mark.parametrize("links", ["refuse", "follow"])
def test_a_snapshot_alone_is_refused_with_what_to_type(hub: Path, links: str) -> None:
    """Of what lies in the outbox, no link out of it is followed."""
    snapshot = hub / "models--org--name" / "snapshots" / A
    with pytest.raises(SourceError, match=r"diode-sender pack ~/.cache/huggingface/hub/models--ORG--NAME/snapshots"):
        collect([dropped(snapshot)], links)  # type: ignore[arg-type]  # a literal


@pytest.mark.parametrize("links", ["refuse", "follow"])
def test_a_shared_store_outside_of_the_item(hub: Path, links: str) -> None:
    """A repository whose blobs are links into its hub is resolved by the person alone."""
    share(hub, hub / "models--org--name" / "blobs" / etag_of(WEIGHTS))
    with pytest.raises(SourceError, match="diode-sender pack"):
        collect([dropped(hub / "models--org--name")], links)  # type: ignore[arg-type]  # a literal


def link_to_key(item: Path) -> None:
    """A snapshot's link leads to the key."""
    (item / "snapshots" / A / "x").symlink_to("../../../../keys/service.key")


def absolute_link(item: Path) -> None:
    """Likewise by its whole path."""
    (item / "snapshots" / A / "x").symlink_to(item.parents[1] / "keys" / "service.key")


def deeper_link(item: Path) -> None:
    """A link with the words of a cache, to ``blobs`` of a folder outside."""
    (item.parents[1] / "keys").rename(item.parents[1] / "blobs")
    (item / "snapshots" / A / "x").symlink_to("../../../../blobs/service.key")


def blob_is_link(item: Path) -> None:
    """The link is right, and its blob a link to the key."""
    (item / "blobs" / "k").symlink_to("../../../keys/service.key")
    (item / "snapshots" / A / "x").symlink_to("../../blobs/k")


def blob_is_shared_link(item: Path) -> None:
    """The blob leads into a store that is outside of the item, where the key lies under a good name."""
    store = item.parent / "blobs" / "c0"
    store.mkdir(parents=True)
    (item.parents[1] / "keys" / "service.key").rename(store / XET)
    (item / "blobs" / "k").symlink_to(f"../../blobs/c0/{XET}")
    (item / "snapshots" / A / "x").symlink_to("../../blobs/k")


def blobs_is_link(item: Path) -> None:
    """``blobs`` itself is a link to the keys."""
    (item / "blobs").rename(item / "moved")
    (item / "blobs").symlink_to("../../keys")
    (item / "snapshots" / A / "x").symlink_to("../../blobs/service.key")


def snapshots_is_link(item: Path) -> None:
    """A snapshot is a link to the keys' folder."""
    (item / "snapshots" / B).symlink_to("../../../keys")


def blob_is_pipe(item: Path) -> None:
    """A blob that would never end."""
    os.mkfifo(item / "blobs" / "k")
    (item / "snapshots" / A / "x").symlink_to("../../blobs/k")


def blob_is_folder(item: Path) -> None:
    """A blob that is a folder."""
    (item / "blobs" / "k").mkdir()
    (item / "snapshots" / A / "x").symlink_to("../../blobs/k")


HOSTILE = [
    *(link_to_key, absolute_link, deeper_link, blob_is_link, blob_is_shared_link, blobs_is_link, snapshots_is_link),
    *(blob_is_pipe, blob_is_folder),
]


@pytest.mark.parametrize("make", HOSTILE)
@pytest.mark.parametrize("links", ["refuse", "follow"])
def test_links_out_of_a_dropped_cache(hub: Path, make: Callable[[Path], None], links: str) -> None:
    """Refused, whatever else of the item is a good cache: the daemon signs nothing of its own into a bundle."""
    make(hub / "models--org--name")
    with pytest.raises(SourceError):
        collect([dropped(hub / "models--org--name")], links)  # type: ignore[arg-type]  # a literal


@pytest.mark.parametrize("make", [*HOSTILE[:4], *HOSTILE[5:]])
def test_links_out_of_a_cache_that_a_person_named(hub: Path, make: Callable[[Path], None]) -> None:
    """Who types a snapshot vouches for that cache's own blobs, and for nothing else that its links may say."""
    make(hub / "models--org--name")
    for named in ("", "snapshots", f"snapshots/{A}"):
        if named.endswith(A) and make == snapshots_is_link:
            continue  # the link lies beside the snapshot
        with pytest.raises(SourceError):
            collect([hub / "models--org--name" / named], "refuse")


PIECES = ["..", ".", "blobs", "snapshots", "k", "key", "hub", "item", A, "c0", XET, "keys", "service.key", "", "self"]


@settings(max_examples=150)
@given(
    words=st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("/".join).filter(lambda text: text),
    blob=st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("/".join).filter(lambda text: text),
    links=st.sampled_from(["refuse", "follow"]),
)
def test_no_words_of_a_link_give_the_key(
    tmp_path_factory: pytest.TempPathFactory, words: str, blob: str, links: str
) -> None:
    """Whatever a snapshot's link and a blob's link say: what is outside of the item is never read."""
    top = tmp_path_factory.mktemp("hub")
    for folder in ("blobs", f"snapshots/{A}/key"):
        (top / "hub" / "item" / folder).mkdir(parents=True)
    for folder in ("keys", "blobs/c0", "hub/blobs/c0", "hub/blobs", "hub/keys"):
        (top / folder).mkdir(parents=True, exist_ok=True)
        for name in ("service.key", "key", "k", XET):
            (top / folder / name).write_bytes(SECRET)
    (top / "hub" / "item" / "snapshots" / A / "x").symlink_to(words)
    (top / "hub" / "item" / "snapshots" / A / "key" / "x").symlink_to(words)
    (top / "hub" / "item" / "blobs" / "k").symlink_to(blob)
    try:
        found = collect([dropped(top / "hub" / "item")], links)  # type: ignore[arg-type]  # a literal
    except SourceError:
        return
    assert SECRET not in contents(found).values()


@pytest.mark.parametrize("shared", ["blobs", ".", ".."])
def test_a_hard_link_behind_a_cache_link(hub: Path, shared: str) -> None:
    """A blob that is another file's second name, in a folder where others may write, is refused as any file is."""
    item = hub / "models--org--name"
    (item / "blobs" / "k").hardlink_to(hub.parent / "keys" / "service.key")
    (item / "snapshots" / A / "x").symlink_to("../../blobs/k")
    (item / shared).chmod(0o777)
    with pytest.raises(SourceError, match="hard link"):
        collect([dropped(item)], "refuse")
    with pytest.raises(SourceError, match="hard link"):
        collect([item / "snapshots" / A], "refuse")


# what a person types


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("links", ["refuse", "follow"])
def test_a_snapshot_that_a_person_named(hub: Path, links: str, is_shared: bool) -> None:
    """It becomes a bundle of the files themselves, for ``from_pretrained(path)``."""
    if is_shared:
        share(hub, hub / "models--org--name" / "blobs" / etag_of(WEIGHTS))
    snapshot = hub / "models--org--name" / "snapshots" / A
    assert FILES == contents(collect([snapshot], links))  # type: ignore[arg-type]  # a literal


def test_a_part_of_a_snapshot(hub: Path) -> None:
    """A folder of it, and one file, which is a link itself."""
    snapshot = hub / "models--org--name" / "snapshots" / A
    assert {"deep/x.txt": b"hello", "same.txt": b"hello"} == contents(collect([snapshot / "onnx"], "refuse"))
    assert {"model.safetensors": WEIGHTS} == contents(collect([snapshot / "model.safetensors"], "refuse"))


def test_a_repository_with_a_shared_store(hub: Path) -> None:
    """Named whole, it crosses whole: its blobs' links are the person's."""
    share(hub, hub / "models--org--name" / "blobs" / etag_of(WEIGHTS))
    expected = below(f"snapshots/{A}", FILES) | {"refs/main": A.encode()}
    assert expected == contents(collect([hub / "models--org--name"], "refuse"))


def test_links_above_a_snapshot_are_the_persons(hub: Path) -> None:
    """``~/.cache`` may be a link to a larger disk."""
    (hub.parent / "home").symlink_to("hub")
    sources = collect([hub.parent / "home" / "models--org--name" / "snapshots" / A], "refuse")
    assert FILES == contents(sources)
    assert all(source.origin.startswith(f"{os.path.realpath(hub)}/") for source in sources)


def test_blobs_of_another_repository(hub: Path) -> None:
    """A person named one repository: the links of its snapshot lead to no other, and to no store but the hub's."""
    other = lay_out(hub, "models--org--other", {A: {"private.txt": b"not to be sent"}})
    blob = other / "blobs" / etag_of(b"not to be sent")
    snapshot = hub / "models--org--name" / "snapshots" / A
    (snapshot / "x").symlink_to(f"../../../models--org--other/blobs/{blob.name}")
    with pytest.raises(SourceError):
        collect([snapshot], "refuse")


def test_a_key_that_looks_like_a_snapshot(tmp_path: Path) -> None:
    """A folder called ``snapshots`` without a cache around it gives nothing."""
    (tmp_path / "snapshots" / A).mkdir(parents=True)
    (tmp_path / "key").write_bytes(SECRET)
    (tmp_path / "snapshots" / A / "x").symlink_to("../../key")
    with pytest.raises(SourceError, match="symbolic link"):
        collect([tmp_path / "snapshots" / A], "refuse")


@pytest.mark.parametrize(
    ("path", "label"),
    [
        (f"/h/models--org--name/snapshots/{A}", ("models--org--name", A)),
        (f"/h/datasets--org--name/snapshots/{A}/", ("datasets--org--name", A)),
        (f"/h/other/snapshots/{A}", None),
        (f"/h/models--org--name/snapshots/{A}/onnx", None),
        ("/x", None),
    ],
)
def test_what_a_snapshots_bundle_is_called(path: str, label: tuple[str, str] | None) -> None:
    """By its repository and revision, not by the revision alone."""
    assert label == snapshot_label(Path(path))


# what changes meanwhile


def swap(target: Path, words: str | Path) -> None:
    """Put a link into the place of a file or a folder."""
    target.rename(target.with_name("moved"))
    target.symlink_to(words)


@pytest.mark.parametrize("named", ["", f"snapshots/{A}"])
@pytest.mark.parametrize("what", ["blob", "blobs", "store"])
def test_what_is_swapped_after_it_was_found(hub: Path, named: str, what: str) -> None:
    """A blob, or a folder on the way to it, becomes a link: it is not followed."""
    item = hub / "models--org--name"
    stored = share(hub, item / "blobs" / etag_of(WEIGHTS))
    sources = [source for source in collect([item / named], "refuse") if source.path.endswith("model.safetensors")]
    secrets = hub.parent / "keys"
    for name in (etag_of(WEIGHTS), stored.name):
        (secrets / name).write_bytes(SECRET)
    swap({"blob": stored, "blobs": stored.parent, "store": hub / "blobs"}[what], secrets)
    with pytest.raises(SourceError):
        hash_content(sources, SLAB_BYTES)


def test_a_blob_that_is_replaced_after_it_was_found(hub: Path) -> None:
    """Another file at the same place is not what was found."""
    sources = collect([hub / "models--org--name" / "snapshots" / A], "refuse")
    blob = hub / "models--org--name" / "blobs" / etag_of(WEIGHTS)
    (hub / "new").write_bytes(WEIGHTS)
    (hub / "new").replace(blob)
    with pytest.raises(SourceError, match="changed after it was found"):
        hash_content(sources, SLAB_BYTES)


def test_a_link_that_changes_while_it_is_read(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words count as they were read: what they name is opened, whatever the link says by then."""
    link, read = hub / "models--org--name" / "snapshots" / A / "config.json", Folder.link

    def read_and_swap(folder: Folder, name: str) -> str:
        words = read(folder, name)
        (folder.path / name).unlink()
        (folder.path / name).symlink_to(hub.parent / "keys" / "service.key")
        return words

    monkeypatch.setattr(Folder, "link", read_and_swap)
    found = contents(collect([link.parents[2]], "refuse"))
    assert digest(SECRET) not in {digest(data) for data in found.values()}
    assert b"{}" == found[f"snapshots/{A}/config.json"]
