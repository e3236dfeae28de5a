"""Bundles of version 2 through the real store: links that stay within, and times as they were signed."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner

from diode.bundle.times import folders_without_lines
from diode.errors import StorageError
from diode.protocol.sizes import Kind, ObjectType
from diode.storage.folder import Folder
from diode.trust.published import examine
from receiver.catalogue.card import CardFile
from receiver.describe.table import signed_entries, signed_table
from receiver.gateway.answers import BundleFile
from receiver.gateway.server.stored import Stored
from receiver.release.decisions import write_decision
from receiver.release.held import decide
from tests.enclave import Enclave, public_pem
from tests.link import Bundle, make_bundle
from tests.trusted import anyone

ALICE, CAROL = (CryptoSigner.generate_ed25519() for _ in range(2))
FILES = {"a": b"one", "b/c": b"two" * 1000, "b/d/e": b"", "z": b"\0" * 300_000}
LINKS = {"b/d/up": "../../a", "b/here": "./c", "lib": "b/", "y": "b/d/../c"}
KEEP = '[channels.test]\nlinks = "keep"\n'


def bundle_of(links: Mapping[str, str] = LINKS, *, timed: bool = True, **fields: object) -> Bundle:
    """Four files and these links; each has a time of its own, folders too."""
    paths = sorted([*FILES, *links], key=str.encode)
    count = len(paths) + len(list(folders_without_lines(paths))) if timed else 0
    times = [10**18 + number * 111_111_111_111 for number in range(count)]
    return make_bundle(FILES, links=links, times=times, signer=ALICE, **fields)  # type: ignore[arg-type]


def published(enclave: Enclave) -> Path:
    """Where its data lies."""
    return enclave.config.inbox.path / "test" / "bundle" / "1" / "data"


def looks(top: Path) -> dict[str, tuple[str, int]]:
    """What each thing is, and when it was changed, by path."""
    paths = [top, *top.rglob("*")]
    return {
        "" if path == top else str(path.relative_to(top)): (
            os.readlink(path) if path.is_symlink() else "folder" if path.is_dir() else "file",
            path.lstat().st_mtime_ns,
        )
        for path in paths
    }


def signed(bundle: Bundle) -> dict[str, tuple[str, int]]:
    """What it should look like."""
    paths = sorted([*FILES, *LINKS], key=str.encode)
    folders = list(folders_without_lines(paths))
    raw = bundle.parts[Kind.OBJECT, int(ObjectType.FILES)][bundle.manifest.lines_bytes :]
    times = [int.from_bytes(raw[at : at + 8], "big") for at in range(0, len(raw), 8)]
    kinds = [LINKS.get(path, "file") for path in paths] + ["folder"] * len(folders)
    return {path: (kind, time) for path, kind, time in zip([*paths, *folders], kinds, times, strict=True)}


@pytest.mark.parametrize("verify", ["slabs", "at-rest"])
def test_they_arrive_as_signed(tmp_path: Path, verify: str) -> None:
    """Links say what they said, and files, links and folders have their times; the folder passes as published."""
    enclave = Enclave(tmp_path, {"alice.pub": ALICE}, f'{KEEP}verify = "{verify}"\n')
    bundle = bundle_of()
    enclave.take(bundle)
    assert [] == enclave.refusals
    assert signed(bundle) == looks(published(enclave))
    with Folder.open(published(enclave).parent) as folder:
        assert ([], bundle.manifest) == (
            (found := examine(folder, anyone([ALICE.public_key]))).findings,
            found.opened.manifest,
        )
        entries = list(signed_entries(folder, bundle.manifest.content_digest))
    assert list(LINKS.values()) == [entry.link for entry in entries if entry.link is not None]


def test_readers_are_given_files_alone(tmp_path: Path) -> None:
    """The table of a card has no links, and the gateway opens none, whatever it is asked for."""
    enclave = Enclave(tmp_path, {"alice.pub": ALICE}, KEEP)
    bundle = bundle_of()
    enclave.take(bundle)
    with Folder.open(published(enclave).parent) as folder:
        files = list(signed_table(folder, bundle.manifest.content_digest))
    assert sorted(FILES) == [file.path for file in files]
    stored = Stored(enclave.config.inbox.path)
    place: Any = SimpleNamespace(channel="test", name="bundle", version="1")
    for path in ("y", "lib/c", "b/d/up", "b/here"):
        with pytest.raises(StorageError):
            stored.open(BundleFile(place, CardFile(path, 6000, "")))


def test_times_alone(tmp_path: Path) -> None:
    """They ask for no consent; neither is the bundle another one for what is compared by content."""
    enclave = Enclave(tmp_path, {"alice.pub": ALICE})
    bundle = bundle_of({})
    enclave.take(bundle)
    assert 10**18 == (published(enclave) / "a").stat().st_mtime_ns
    assert make_bundle(FILES, signer=ALICE).manifest.files.blake3 == bundle.manifest.content_digest


def test_a_channel_that_takes_no_links(tmp_path: Path) -> None:
    """It is refused before its data comes, and the reason says what to type."""
    enclave = Enclave(tmp_path, {"alice.pub": ALICE})
    bundle = bundle_of()
    enclave.take(bundle)
    assert ([("policy", 14)], False) == (enclave.refusals, enclave.published(bundle))
    aside = enclave.config.inbox.path / ".diode" / "quarantine" / f"{bundle.number:016x}"
    assert 'links = "keep" in [channels.test]' in json.loads((aside / "reason.json").read_text())["detail"]


HOSTILE = {
    "through a link": {"x": "b/d", "y": "x/../../../../etc"},
    "lexically within": {"b/d/l": "../..", "m": "b/d/l/.."},
    "out": {"m": "../receipt.json"},
    "to nothing": {"m": "n"},
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_links(tmp_path: Path, case: str) -> None:
    """Well signed, and refused; nothing of it is published."""
    enclave = Enclave(tmp_path, {"alice.pub": ALICE}, KEEP)
    bundle = bundle_of(HOSTILE[case], timed=False)
    enclave.take(bundle)
    assert ([("path", 13)], False) == (enclave.refusals, published(enclave).exists())


def test_held_and_released(tmp_path: Path) -> None:
    """What waited for people is verified once more, with its links, and has its times after both moves."""
    enclave = Enclave(tmp_path, {"alice.pub": ALICE}, f"{KEEP}hold = 1\n")
    (tmp_path / "keys" / "releasers").mkdir()
    (tmp_path / "keys" / "releasers" / "carol.pub").write_text(public_pem(CAROL))
    enclave.restart()
    bundle = bundle_of()
    enclave.take(bundle)
    enclave.restart()
    decision = decide(f"{bundle.number:016x}", bundle.manifest.content_digest, "accept", "", "2026-06-01T00:00:00Z")
    write_decision(enclave.config.state, decision, [CAROL])
    enclave.tick()
    assert signed(bundle) == looks(published(enclave))


def test_a_link_that_was_changed_while_it_waited(tmp_path: Path) -> None:
    """It is not what was signed: the bundle is set aside."""
    enclave = Enclave(tmp_path, {"alice.pub": ALICE}, f"{KEEP}hold = 1\n")
    bundle = bundle_of()
    enclave.take(bundle)
    link = enclave.config.inbox.path / ".diode" / "held" / f"{bundle.number:016x}" / "data" / "y"
    link.unlink()
    link.symlink_to("/etc/passwd")
    decision = decide(f"{bundle.number:016x}", bundle.manifest.content_digest, "accept", "", "2026-06-01T00:00:00Z")
    write_decision(enclave.config.state, decision, [])
    enclave.tick()
    assert (False, [("integrity", 13)]) == (published(enclave).exists(), enclave.refusals)


def test_finished_again_after_a_crash(tmp_path: Path) -> None:
    """Links and times of an earlier attempt are made anew, also where somebody put something else."""
    enclave = Enclave(tmp_path, {"alice.pub": ALICE}, KEEP)
    bundle = bundle_of()
    inbox = enclave.store.records.inbox
    moved, inbox.publish = inbox.publish, lambda *_: (_ for _ in ()).throw(OSError(5, "no"))  # type: ignore[method-assign]
    enclave.take(bundle)
    tree = enclave.config.inbox.path / ".diode" / "spool" / f"{bundle.number:016x}" / "tree"
    assert signed(bundle) == looks(tree / "data")
    (tree / "receipt.json").unlink()
    (tree / "data" / "y").unlink()
    (tree / "data" / "y").symlink_to("/etc")
    shutil.rmtree(tree / "data" / "lib") if not (tree / "data" / "lib").is_symlink() else (
        tree / "data" / "lib"
    ).unlink()
    (tree / "data" / "lib").mkdir()
    inbox.publish = moved  # type: ignore[method-assign]
    enclave.restart()
    enclave.tick()
    assert signed(bundle) == looks(published(enclave))
