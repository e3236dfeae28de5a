"""From files to tables and a signed manifest; what cannot cross is named and refused."""

import hashlib
import json
import os
import random
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from diode.bundle.files import parse_files
from diode.bundle.manifest import bundle_id
from diode.errors import LimitError, SourceError
from diode.formats.digest import digest
from diode.formats.dsse import load_public_key
from diode.protocol.geometry import PROFILES, stream_geometry
from diode.trust.roles import open_manifest
from sender.outbox import scan as sources_module
from sender.outbox.hashing import hash_content
from sender.outbox.scan import Source, collect, open_origin
from sender.pack import packed as packing
from sender.pack.packed import Packed, load_packed
from sender.pack.writing import Identity, write_packed
from tests.trusted import anyone

SYMBOL_BYTES = 448
STANDARD = PROFILES["standard"]
SLAB_BYTES = stream_geometry(SYMBOL_BYTES, STANDARD).source_bytes
IDENTITY = Identity("cve", "feed", "1", 7, "00000000000000ff", "2026-01-02T03:04:05Z")


def paths(sources: list[Source]) -> list[str]:
    """What the bundle calls them."""
    return [source.path for source in sources]


def pack(state: Path, root: Path, signer: CryptoSigner) -> Packed:
    """Pack one directory or file."""
    sources = collect([root], "refuse")
    return write_packed(state, IDENTITY, STANDARD, SYMBOL_BYTES, sources, hash_content(sources, SLAB_BYTES), [signer])


def test_a_directory_gives_its_contents_in_table_order(tmp_path: Path) -> None:
    """Paths are relative to the directory and sorted by their bytes, not as a tree is walked."""
    for name in ("a/b", "a.txt", "a-", "Z", "é"):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_bytes(b"")
    assert ["Z", "a-", "a.txt", "a/b", "é"] == paths(collect([tmp_path / "root"], "refuse"))


def test_only_empty_directories_have_a_line(tmp_path: Path) -> None:
    """A directory with something in it is implied by that."""
    (tmp_path / "root" / "full" / "empty").mkdir(parents=True)
    (tmp_path / "root" / "also empty").mkdir()
    assert ["also empty/", "full/empty/"] == paths(collect([tmp_path / "root"], "refuse"))


def test_an_empty_directory_alone_is_a_bundle_of_nothing(tmp_path: Path) -> None:
    """The item itself needs no line: its data folder always exists."""
    assert [] == collect([tmp_path], "refuse")


def test_one_file_keeps_its_name_or_takes_the_items(tmp_path: Path) -> None:
    """``model.bin@1`` in an outbox becomes ``model.bin``."""
    file = tmp_path / "model.bin@1"
    file.write_bytes(b"x")
    assert ["model.bin@1"] == paths(collect([file], "refuse"))
    assert ["model.bin"] == paths(collect([file], "refuse", "model.bin"))


def test_several_roots_lie_under_their_own_names(tmp_path: Path) -> None:
    """Files and directories together keep their names beside each other."""
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "inner").write_bytes(b"")
    (tmp_path / "file").write_bytes(b"")
    assert ["dir/inner", "file"] == paths(collect([tmp_path / "file", tmp_path / "dir"], "refuse"))


def test_two_roots_of_one_name_are_refused(tmp_path: Path) -> None:
    """Neither may hide the other, not even on a file system that ignores case."""
    for folder, name in (("one", "Same"), ("two", "same")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(b"")
    with pytest.raises(SourceError, match="case"):
        collect([tmp_path / "one" / "Same", tmp_path / "two" / "same"], "refuse")


def test_links_are_refused_by_default(tmp_path: Path) -> None:
    """A symbolic link is named, with the setting that would allow it."""
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(SourceError, match=r"link' is a symbolic link .*follow"):
        collect([tmp_path], "refuse")


def test_followed_links_give_what_they_point_to(tmp_path: Path) -> None:
    """Files and directories inside the item are taken once more under the link's name."""
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "file").write_bytes(b"x")
    (tmp_path / "to-dir").symlink_to("dir")
    (tmp_path / "to-file").symlink_to("dir/file")
    sources = collect([tmp_path], "follow")
    assert ["dir/file", "to-dir/file", "to-file"] == paths(sources)
    assert {os.path.realpath(tmp_path / "dir" / "file")} == {os.path.realpath(source.origin) for source in sources}


@pytest.mark.parametrize("target", ["../outside", "/etc/hostname", "..", "loop", "missing"])
def test_followed_links_may_not_leave_circle_or_dangle(tmp_path: Path, target: str) -> None:
    """Only what lies in the item itself can be taken through a link."""
    (tmp_path / "outside").write_bytes(b"secret")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "loop").symlink_to(target if target != "loop" else ".")
    with pytest.raises(SourceError):
        collect([tmp_path / "root"], "follow")


def test_an_item_that_is_itself_a_link_is_not_followed_outside(tmp_path: Path) -> None:
    """Whoever may write to the outbox must not have the daemon fetch files that he cannot read."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_bytes(b"")
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox" / "item").symlink_to(tmp_path / "secret")
    for links in ("refuse", "follow"):
        with pytest.raises(SourceError, match="link"):
            collect([tmp_path / "outbox" / "item"], links)


def test_devices_pipes_and_sockets_are_refused(tmp_path: Path) -> None:
    """What is no file cannot cross, and is never opened."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "socket"))
    for path in (tmp_path / "pipe", tmp_path / "socket", Path("/dev/null")):
        with pytest.raises(SourceError, match="neither a file nor a directory"):
            collect([path], "refuse")


@pytest.mark.parametrize("name", [b"\xff", b"new\nline", b"del\x7f", b"tab\t"])
def test_unusable_names_are_refused(tmp_path: Path, name: bytes) -> None:
    """Names that are not UTF-8, or hold control characters, are refused in words that can be printed."""
    (tmp_path / os.fsdecode(name)).write_bytes(b"")
    with pytest.raises(SourceError) as raised:
        collect([tmp_path], "refuse")
    assert str(raised.value).isprintable()


HIDDEN = (
    *("a\u202egpj", "a\u2066b", "zero\u200bwidth", "\ufefftext", "soft\u00adhyphen", "\U0001f468\u200d\U0001f4bb.png"),
    *(
        "tag\U000e0041",
        "line\u2028end",
        "paragraph\u2029",
        "unassigned\u0378",
        "\U0003fffe",
        "private\ue000",
        "\U0010fffd",
    ),
)


@pytest.mark.parametrize("name", HIDDEN)
def test_names_that_hide_something_are_refused(tmp_path: Path, name: str) -> None:
    """As a file's and a folder's name, in words that name the character and can be printed."""
    for place in (
        tmp_path / "one" / name,
        tmp_path / "two" / name / "file",
        tmp_path / "three" / "deep" / name / "x" / "y",
    ):
        place.parent.mkdir(parents=True)
        place.write_bytes(b"")
    for root in ("one", "two", "three"):
        with pytest.raises(SourceError, match=r"\(U\+[0-9A-F]{4,6}\).*rename it") as raised:
            collect([tmp_path / root], "refuse")
        assert str(raised.value).isprintable()
    with pytest.raises(SourceError, match="rename it"):
        collect([tmp_path / "one" / name], "refuse")


@pytest.mark.parametrize("name", ["größe", "模型", "☺", "❤\ufe0f.png", "[x]", "a b", "e\u0301"])
def test_names_in_any_writing_are_taken(tmp_path: Path, name: str) -> None:
    """Letters, marks and symbols."""
    (tmp_path / "item" / name).mkdir(parents=True)
    (tmp_path / "item" / name / "x").write_bytes(b"")
    assert [f"{name}/x"] == [source.path for source in collect([tmp_path / "item"], "refuse")]


def test_names_that_differ_only_in_case_or_form_are_refused(tmp_path: Path) -> None:
    """The enclave's file system may not tell them apart."""
    for one, other in (("readme", "README"), ("caf\u00e9", "cafe\u0301"), ("a/x", "A/y")):
        root = tmp_path / one.encode().hex()
        for name in (one, other):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"")
        with pytest.raises(SourceError, match="case or form"):
            collect([root], "refuse")


def test_what_vanishes_is_named(tmp_path: Path) -> None:
    """A source that is gone is a clear error when it is collected, and when it is hashed."""
    with pytest.raises(SourceError, match="cannot be read"):
        collect([tmp_path / "gone"], "refuse")
    (tmp_path / "gone").write_bytes(b"")
    sources = collect([tmp_path / "gone"], "refuse")
    (tmp_path / "gone").unlink()
    with pytest.raises(SourceError, match="cannot be read"):
        hash_content(sources, SLAB_BYTES)


def test_too_many_files_are_noticed_while_they_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links that multiply themselves end at the limit, not when memory does."""
    monkeypatch.setattr(sources_module, "MAX_FILES", 1000)
    for level in range(40):  # 2^40 paths, if all were walked
        (tmp_path / str(level)).mkdir()
        for name in "ab":
            (tmp_path / str(level) / name).symlink_to(f"../{level + 1}")
    (tmp_path / "40").mkdir()
    with pytest.raises(LimitError):
        collect([tmp_path], "follow")


def test_digests_are_those_of_files_and_slabs(tmp_path: Path) -> None:
    """Each file has its BLAKE3 and SHA-256; each slab of the stream, whatever files it spans, its BLAKE3."""
    rng = random.Random(4)
    content = [rng.randbytes(size) for size in (0, 1, SLAB_BYTES - 1, SLAB_BYTES + 1, 5)]
    for number, data in enumerate(content):
        (tmp_path / str(number)).write_bytes(data)
    (tmp_path / "3").chmod(0o755)
    hashed = hash_content(collect([tmp_path], "refuse"), SLAB_BYTES)
    assert [(digest(d).hex(), hashlib.sha256(d).hexdigest(), len(d)) for d in content] == [
        (entry.blake3, entry.sha256, entry.size) for entry in hashed.entries
    ]
    assert [False, False, False, True, False] == [entry.executable for entry in hashed.entries]
    stream = b"".join(content)
    slabs = [digest(stream[at : at + SLAB_BYTES]) for at in range(0, len(stream), SLAB_BYTES)]
    assert b"".join(slabs) == hashed.slabs


def test_a_file_that_changes_while_it_is_hashed_is_refused(tmp_path: Path) -> None:
    """Nothing is signed that was not one state of the file."""
    file = tmp_path / "file"
    file.write_bytes(b"x" * (3 << 20))

    def append(_: int) -> None:
        with file.open("ab") as opened:
            opened.write(b"more")

    with pytest.raises(SourceError, match="changed while it was hashed"):
        hash_content(collect([file], "refuse"), SLAB_BYTES, append)


def test_a_pipe_or_link_put_in_a_files_place_is_neither_waited_for_nor_followed(tmp_path: Path) -> None:
    """Between finding and hashing, anything may happen to a name."""
    file = tmp_path / "file"
    file.write_bytes(b"found")
    sources = collect([file], "refuse")
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(SourceError, match="no longer a file"):
        hash_content(sources, SLAB_BYTES)
    file.unlink()
    file.symlink_to("/etc/hostname")
    for read in (sources[0].open, lambda: open_origin(str(file))):
        with pytest.raises(OSError, match="symbolic links"):
            read()


def test_progress_adds_up_to_the_stream(tmp_path: Path) -> None:
    """Whoever watches the hashing sees every byte once."""
    (tmp_path / "a").write_bytes(b"x" * 2_500_000)
    (tmp_path / "b").write_bytes(b"y")
    counts: list[int] = []
    hash_content(collect([tmp_path], "refuse"), SLAB_BYTES, counts.append)
    assert 2_500_001 == sum(counts)


def test_a_packed_bundle_is_what_the_enclave_will_accept(
    tmp_path: Path, signer: CryptoSigner, signing_key: tuple[bytes, bytes]
) -> None:
    """The envelope verifies, pins both tables, and names the bundle; reading it back gives the same."""
    (tmp_path / "root" / "hollow").mkdir(parents=True)
    (tmp_path / "root" / "file").write_bytes(b"content")
    packed = pack(tmp_path / "state", tmp_path / "root", signer)
    opened = open_manifest(packed.sealed, anyone([load_public_key(signing_key[1])]))
    manifest = opened.manifest
    assert (packed.manifest, signer.public_key.keyid) == (manifest, opened.signer)
    assert bundle_id(opened.payload) == packed.id
    files = (packed.folder / packing.FILES_FILE).read_bytes()
    slabs = (packed.folder / packing.SLABS_FILE).read_bytes()
    assert (digest(files).hex(), digest(slabs).hex()) == (manifest.files.blake3, manifest.slabs.blake3)
    assert ["file", "hollow/"] == [entry.path for entry in parse_files(files.splitlines(keepends=True), manifest)]
    assert (7, "00000000000000ff", "feed") == (manifest.sequence, manifest.previous, manifest.name)
    assert load_packed(tmp_path / "state", packed.id) == packed
    assert 0 == packed.travelling_bytes % SYMBOL_BYTES


def test_packing_leaves_nothing_half_written(tmp_path: Path, signer: CryptoSigner) -> None:
    """What an interrupted run left is written over, and only complete folders have a bundle's name."""
    (tmp_path / "file").write_bytes(b"content")
    packed = pack(tmp_path / "state", tmp_path / "file", signer)
    partial = packed.folder.rename(packed.folder.with_suffix(".partial"))
    (partial / packing.SOURCES_FILE).write_text("[")
    again = pack(tmp_path / "state", tmp_path / "file", signer)
    assert [packed.folder] == list((tmp_path / "state" / "bundles").iterdir())
    assert [str(tmp_path / "file")] == json.loads((again.folder / packing.SOURCES_FILE).read_text())


def test_equal_content_has_an_equal_digest(tmp_path: Path) -> None:
    """Times and places of the files do not matter, names and the executable bit do."""

    def content(folder: str, mode: int, name: str = "file") -> str:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(b"x")
        (tmp_path / folder / name).chmod(mode)
        return hash_content(collect([tmp_path / folder], "refuse"), SLAB_BYTES).content_digest

    first = content("a", 0o644)
    assert first == content("b", 0o600)
    assert 3 == len({first, content("c", 0o755), content("d", 0o644, "other")})


def test_a_link_put_into_the_path_of_a_found_file_is_not_followed(tmp_path: Path) -> None:
    """Not only in the file's own place: in that of every folder above it."""
    (tmp_path / "root" / "sub").mkdir(parents=True)
    (tmp_path / "root" / "sub" / "passwd").write_bytes(b"harmless")
    sources = collect([tmp_path / "root"], "refuse")
    (tmp_path / "root" / "sub").rename(tmp_path / "moved")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "passwd").write_bytes(b"secret")
    (tmp_path / "root" / "sub").symlink_to(tmp_path / "secret")
    with pytest.raises(SourceError, match="links"):
        hash_content(sources, SLAB_BYTES)


@pytest.mark.parametrize(
    ("change", "said"),
    [(Path.unlink, "was removed"), (lambda file: file.rename(file.with_name("elsewhere")), "changed")],
    ids=["removed", "moved"],
)
def test_a_file_that_is_taken_away_is_not_hashed_to_its_end(
    tmp_path: Path, change: Callable[[Path], object], said: str
) -> None:
    """The person who took it away does not wait for an hour of hashing."""
    file, done = tmp_path / "file", []
    file.write_bytes(b"x" * (3 << 20))

    def remove(count: int) -> None:
        done.append(count)
        change(file)

    with pytest.raises(SourceError, match=f"{said} while it was hashed"):
        hash_content(collect([file], "refuse"), SLAB_BYTES, remove)
    assert [1 << 20] == done
