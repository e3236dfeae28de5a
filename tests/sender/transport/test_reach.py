"""What ``encode`` may read is what it has to send, and no more."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from diode.config.init import init_pair
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.process.sandbox import landlock_version
from diode.process.vocabulary import Vocabulary
from diode.protocol.sizes import MIN_SYMBOL_BYTES
from sender.messages import EncodeSettings
from sender.outbox.scan import open_places
from sender.transport import reach
from sender.transport.reach import encode_reads, places


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([("a", "/home/u/d/a"), ("b/c", "/home/u/d/b/c"), ("b/d", "/home/u/d/b/d")], ["/home/u/d/a", "/home/u/d/b"]),
        ([("d/a", "/home/u/d/a"), ("e/a", "/srv/e/a")], ["/home/u/d", "/srv/e"]),
        ([("model.bin", "/home/u/model.bin")], ["/home/u/model.bin"]),
        ([("renamed.bin", "/home/u/model.bin")], ["/home/u/model.bin"]),
        ([("empty/", "/home/u/d/empty")], ["/home/u/d/empty"]),
        ([("x/link", "/home/u/d/target")], ["/home/u/d/target"]),
        ([("x", "/x")], ["/x"]),
    ],
    ids=["one folder", "several", "a file", "a renamed file", "an empty folder", "a followed link", "at the root"],
)
def test_places_are_what_was_given(files: list[tuple[str, str]], expected: list[str]) -> None:
    """Of a folder the entries directly in it: never what lies beside them."""
    assert expected == places(files)


def test_many_places_become_their_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of a million files is one rule, and not a million."""
    monkeypatch.setattr(reach, "MAX_PLACES", 3)
    assert ["/srv/d"] == places((f"f{n}", f"/srv/d/f{n}") for n in range(9))


@pytest.fixture
def config(tmp_path: Path) -> SenderConfig:
    """A sender's."""
    options: dict[str, Any] = {"mtu": 1500, "rate": 0, "profile": "standard", "auth": "gmac"}
    init_pair(tmp_path / "pair", to="127.0.0.1:9", listen="127.0.0.1:9", **options)
    return load(SenderConfig, tmp_path / "pair" / "sender" / "sender.toml")


def pack(config: SenderConfig, bundle: str, files: dict[str, str]) -> None:
    """A packed bundle, as far as it is read here."""
    folder = config.state / "bundles" / bundle
    folder.mkdir(parents=True)
    (folder / "files.jsonl").write_text("".join(json.dumps({"path": path}) + "\n" for path in files))
    (folder / "sources.json").write_text(json.dumps(list(files.values())))


def test_what_was_queued_from_elsewhere_is_readable(config: SenderConfig, tmp_path: Path) -> None:
    """Beside the outbox, what was sent, and the packed bundles; neither the ledger nor the keys are."""
    given = tmp_path / "given"
    (given / "sub").mkdir(parents=True)
    (given / "sub" / "a").write_text("x")
    inside = config.outbox.path.resolve() / "c" / "item"
    pack(config, "0" * 16, {"sub/a": str(given / "sub" / "a")})
    pack(config, "1" * 16, {"b": str(inside / "b")})
    outbox = config.outbox
    usual = [config.state / "bundles", *(folder for folder in (outbox.path, outbox.sent) if folder.exists())]
    assert [*map(str, usual), str(given / "sub")] == encode_reads(config)


@pytest.mark.parametrize("damage", ["{", '{"a": 1}', "[1]", "[]"])
def test_a_damaged_bundle_opens_nothing(config: SenderConfig, damage: str) -> None:
    """It cannot be sent, and others can."""
    pack(config, "0" * 16, {"x/shadow": "/etc/shadow"})
    (config.state / "bundles" / ("0" * 16) / "sources.json").write_text(damage)
    assert not [place for place in encode_reads(config) if "shadow" in place]


@pytest.mark.parametrize("key", ["link.key", "signing.key", "service.key"])
def test_a_place_with_a_private_key_in_it_is_not_readable(config: SenderConfig, key: str) -> None:
    """Whoever has our keys' folder sent gets an error, and not keys that a taken-over worker can read."""
    folder = config.link.key.parent
    pack(config, "0" * 16, {f"keys/{key}": str(folder / key)})
    pack(config, "1" * 16, {"sender/x": str(folder.parent.parent / "sender" / "x")})
    assert not [place for place in encode_reads(config) if (folder / key).is_relative_to(place)]


def test_a_link_in_the_place_of_what_was_sent(config: SenderConfig, tmp_path: Path) -> None:
    """Where that lies in the outbox, others may put a link at its name: nothing is read behind it."""
    outbox = config.outbox.path
    outbox.mkdir(exist_ok=True)
    (tmp_path / "private").mkdir()
    (outbox / "sent").symlink_to(tmp_path / "private")
    within = config.model_copy(update={"outbox": config.outbox.model_copy(update={"sent": outbox / "sent"})})
    assert [str(config.state / "bundles"), str(outbox)] == encode_reads(within)


def test_places_are_opened_through_no_link(tmp_path: Path) -> None:
    """What was put at a place, or above it, after it was found is not readable; what is gone is left out."""
    (tmp_path / "given").mkdir()
    (tmp_path / "private" / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to("private")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "file").touch()
    names = ["link", "link/sub", "circle/x", "file/x", "gone", "given"]
    found = list(open_places(str(tmp_path / name) for name in names))
    assert [str(tmp_path / "given")] == [os.readlink(f"/proc/self/fd/{fd}") for fd in found]
    for fd in found:
        os.close(fd)


CONFINED = """
import os, sys
from diode.process.sandbox import READS, confine
from sender.outbox.scan import open_places
*reads, place, private = sys.argv[1:]
assert [] == [line for line in confine(READS, reads=[*reads, *open_places([place])]) if line.startswith("Landlock")]
print(open(os.path.join(place, "a")).read())
try:
    open(private)
except PermissionError:
    print("refused")
"""


@pytest.mark.skipif(not landlock_version(), reason="this kernel has no Landlock")
def test_no_path_of_a_stranger_lifts_the_rules(tmp_path: Path) -> None:
    """A path that became a circle of links, or leads through a file, is out of reach; all else stays so as well."""
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "a").write_text("readable")
    (tmp_path / "private").write_text("mine")
    (tmp_path / "circle").symlink_to("circle")
    paths = [tmp_path / "circle", tmp_path / "private" / "x", tmp_path / "given", tmp_path / "private"]
    command = [sys.executable, "-c", CONFINED, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ["readable", "refused"] == done.stdout.split()


def test_encode_is_told_of_many_places() -> None:
    """Bundles of files from anywhere, kept for months, have hundreds of thousands of them."""
    settings = EncodeSettings(
        arena=0,
        slots=1,
        slot_bytes=1,
        free_read=0,
        ready_write=0,
        state="/state",
        key="/key",
        auth="gmac",
        core="off",
        mac="auto",
        engine="auto",
        symbol_bytes=MIN_SYMBOL_BYTES,
        profile="clean",
        reads=tuple(f"/srv/models/{number}" for number in range(200_000)),
    )
    told = Vocabulary(EncodeSettings, line_bytes=32 << 20)
    assert settings == told.decode(told.encode(settings))
