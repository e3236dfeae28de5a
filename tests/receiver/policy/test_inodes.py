"""A bundle is begun only where its files have room as inodes, too; what never completed gives its own back."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from receiver.messages.pipeline import Accepted, Expired, SpaceShort
from receiver.spool.disk import free_inodes
from receiver.store.giving_up import STILL_S
from tests.enclave import Enclave
from tests.link import Bundle, make_bundle

ALICE = CryptoSigner.generate_ed25519()
INODES = 400


@pytest.fixture
def few_inodes(tmp_path: Path) -> Iterator[Path]:
    """A file system that takes few files."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size=48m,nr_inodes={INODES},mode=755", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a tmpfs of few inodes can be mounted by root alone")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def bundle(name: str, sequence: int, files: int) -> Bundle:
    """A bundle of so many small files."""
    content = {f"f{number}": f"{name}{number}".encode() for number in range(files)}
    return make_bundle(content, signer=ALICE, name=name, sequence=sequence)


def ids(messages: list[Accepted] | list[Expired] | list[SpaceShort]) -> list[str]:
    """Which bundles were spoken of."""
    return [message.bundle for message in messages]


def hex_of(one: Bundle) -> str:
    """Its id in messages."""
    return f"{one.number:016x}"


def test_what_has_too_many_files_is_not_begun(few_inodes: Path) -> None:
    """It is said how many are needed, and nothing of it is in the spool."""
    enclave = Enclave(few_inodes, {"alice.pub": ALICE})
    large = bundle("large", 1, 390)
    enclave.take(large)
    (short,) = enclave.said(SpaceShort)
    assert ("inodes", True) == (short.of, short.needed > 390 > short.free)
    assert [] == ids(enclave.said(Accepted))


def test_what_never_completed_gives_its_inodes_back(few_inodes: Path) -> None:
    """When nothing of it came for long enough, and only when that is of use to another one."""
    enclave = Enclave(few_inodes, {"alice.pub": ALICE})
    stale, large, next_one = bundle("stale", 1, 150), bundle("huge", 2, 390), bundle("next", 3, 200)
    enclave.take_manifest(stale, stale.number)
    giving_up = enclave.store.refusing.giving_up
    giving_up.note_progress(0.0)
    enclave.take_manifest(next_one, next_one.number)
    assert ([hex_of(next_one)], []) == (ids(enclave.said(SpaceShort)), ids(enclave.said(Expired)))
    giving_up.note_progress(enclave.store.reports.now - STILL_S)
    for number in giving_up._still:
        giving_up._still[number] = giving_up._still[number][0], enclave.store.reports.now - STILL_S
    enclave.take_manifest(large, large.number)
    assert [] == ids(enclave.said(Expired))
    enclave.take(next_one)
    assert [hex_of(stale)] == ids(enclave.said(Expired))
    assert enclave.published(next_one)


def test_a_file_system_without_a_count_has_enough() -> None:
    """As btrfs has it."""
    disk = os.statvfs("/")
    none = os.statvfs_result((*disk[:5], 0, 0, 0, *disk[8:]))
    assert free_inodes(none) is None
