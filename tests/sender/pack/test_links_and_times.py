"""Links and times of an item: what the sender keeps of them, what it refuses, and what it packs."""

import os
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from diode.bundle.times import folders_without_lines
from diode.config.init import init_sender
from diode.config.intake import Intake
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.errors import SourceError
from diode.protocol.geometry import PROFILES
from diode.trust.keys import new_link_key
from sender.intake.candidate import Progress
from sender.intake.pipeline import Pipeline
from sender.outbox.folder import Item
from sender.outbox.scan import collect
from sender.pack.hashed import Hashed, Order, collect_and_hash
from sender.pack.packed import Packed, check_packed
from sender.pack.sources import SourceFiles
from sender.pack.writing import Identity, write_packed

CHANNEL = '\n[channels.c]\nlinks = "keep"\ntimes = true\n'


@pytest.fixture
def config(tmp_path: Path) -> SenderConfig:
    """Of a sender whose channel ``c`` carries both."""
    key = new_link_key()
    init_sender(tmp_path / "s", to="127.0.0.1:9", mtu=576, rate=10**8, profile="clean", auth="none", link_key=key)
    with (tmp_path / "s" / "sender.toml").open("a") as file:
        file.write(CHANNEL)
    return load(SenderConfig, tmp_path / "s" / "sender.toml")


@pytest.fixture
def item(tmp_path: Path) -> Path:
    """Two files and a link."""
    (tmp_path / "item" / "b").mkdir(parents=True)
    (tmp_path / "item" / "a").write_bytes(b"a")
    (tmp_path / "item" / "b" / "c").write_bytes(b"c" * 5)
    (tmp_path / "item" / "b" / "l").symlink_to("../a")
    return tmp_path / "item"


def order(item: Path, channel: str = "c") -> Order:
    """To pack it."""
    return Order(Item(item, channel, "item", "1"), [item], 1, 0.0)


def packed(config: SenderConfig, hashed: Hashed) -> Packed:
    """As the packer packs it."""
    identity = Identity("c", "item", "1", 1, None, "2026-01-02T03:04:05Z")
    signer = CryptoSigner.generate_ed25519()
    what = (hashed.sources, hashed.content, [signer])
    return write_packed(config.state, identity, PROFILES["clean"], 448, *what, times=hashed.times)


def test_what_is_packed(config: SenderConfig, item: Path) -> None:
    """A link is a line, each thing has its time, and the stream is read back from the files as ever."""
    hashed = collect_and_hash(config, order(item), Progress())
    one = packed(config, hashed)
    check_packed(config.state, one.id)
    paths = [source.path for source in hashed.sources]
    things = [item / path for path in [*paths, *folders_without_lines(paths)]]
    assert [thing.lstat().st_mtime_ns for thing in things] == list(hashed.times)
    assert ("diode-bundle-2", 1, len(things)) == (one.manifest.format, one.manifest.links, one.manifest.times)
    place = memoryview(bytearray(6))
    SourceFiles(one.folder, one.manifest).read(0, 6, lambda at, length: [place[at : at + length]])
    assert b"accccc" == bytes(place)


def test_a_touch_is_no_other_content(config: SenderConfig, item: Path) -> None:
    """And what a link says is."""
    before = collect_and_hash(config, order(item), Progress())
    os.utime(item / "a", (5, 5))
    touched = collect_and_hash(config, order(item), Progress())
    assert (before.content.content_digest, False) == (touched.content.content_digest, before.times == touched.times)
    (item / "b" / "l").unlink()
    (item / "b" / "l").symlink_to("c")
    assert before.content.content_digest != collect_and_hash(config, order(item), Progress()).content.content_digest


def test_nothing_of_it_is_version_1(config: SenderConfig, item: Path) -> None:
    """A channel that asks for nothing, and one that keeps links of an item that has none."""
    with pytest.raises(SourceError, match="symbolic link"):
        collect_and_hash(config, order(item, "d"), Progress())
    (item / "b" / "l").unlink()
    assert "diode-bundle-1" == packed(config, collect_and_hash(config, order(item, "d"), Progress())).manifest.format
    config.channels["c"] = config.channels["c"].model_copy(update={"times": False})
    assert "diode-bundle-1" == packed(config, collect_and_hash(config, order(item), Progress())).manifest.format


def test_links_that_cannot_cross(config: SenderConfig, item: Path) -> None:
    """All of them are named at once, by what is wrong."""
    bad = {
        "absolute": str(item / "a"),
        "out": "../keys",
        "nowhere": "x",
        "chain": "b/l",
        "through": "b/l/c",
        "self": "self",
        "above": ".",
        "b/lexical": "l/..",
        "long": "./" * 600 + "a",
    }
    for name, text in bad.items():
        (item / name).symlink_to(text)
    with pytest.raises(SourceError) as caught:
        collect_and_hash(config, order(item), Progress())
    assert [] == [name for name in bad if not any(name in detail for detail in caught.value.details)]
    assert len(bad) == len(caught.value.details)


def test_links_of_a_cache_are_followed(config: SenderConfig, tmp_path: Path) -> None:
    """What the enclave serves is files."""
    cache = tmp_path / "cache"
    (cache / "snapshots" / "r").mkdir(parents=True)
    (cache / "blobs").mkdir()
    (cache / "blobs" / "abc").write_bytes(b"weights")
    (cache / "snapshots" / "r" / "model").symlink_to("../../blobs/abc")
    (cache / "current").symlink_to("snapshots/r")
    found = {source.path: source.link for source in collect([cache], "keep")}
    assert {"current": "snapshots/r", "snapshots/r/model": None} == found


def test_a_time_that_not_every_disk_keeps(config: SenderConfig, item: Path) -> None:
    """It is named, before anything is sent."""
    os.utime(item / "a", ns=(0, -4 * 10**18))
    if (item / "a").stat().st_mtime_ns > -4 * 10**18:
        pytest.skip("this file system does not keep such a time")
    with pytest.raises(SourceError, match="before 1902"):
        collect_and_hash(config, order(item), Progress())


def test_a_file_is_judged_by_each_of_its_names(config: SenderConfig, item: Path, tmp_path: Path) -> None:
    """A link is a name, too: what calls itself code is not taken where code is not."""
    (item / "a").write_bytes(b"{}")
    (item / "a").rename(item / "config.json")
    (item / "b" / "l").unlink()
    (item / "b" / "c").write_bytes(b"plain words\n")
    pipeline = Pipeline(Intake.model_validate({"content": "weights"}), tmp_path / "copies")
    for name, is_taken in (("notes.txt", True), ("setup.py", False)):
        (item / name).symlink_to("b/c")
        hashed = collect_and_hash(config, order(item), Progress())
        verdict = pipeline.run(order(item).candidate("1", hashed, Progress("intake")))
        assert is_taken == verdict.accepted, verdict
