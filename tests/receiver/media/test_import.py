"""Bundles from physical media: published whole or not at all, by the same checks as over the link."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from diode.bundle import medium
from diode.bundle.medium import MANIFEST_FILE, TOP
from diode.errors import (
    FullError,
    IncompleteError,
    IntegrityError,
    ManifestError,
    RefusedError,
    ReplayError,
    StorageError,
    TrustError,
    UsageError,
)
from diode.protocol.handed_over import SlabKey
from diode.protocol.resend_codes import ResendSlabs, decode
from diode.protocol.sizes import Kind
from receiver.media import bringing
from receiver.media.medium import Medium, OnMedium
from receiver.messages.pipeline import Published
from receiver.peer.requests import request_bundle
from sender.pack.packed import load_packed
from tests.courier import FILES, SLAB_BYTES, Courier, Gate, copy_of, flip
from tests.enclave import public_pem
from tests.faults.replaced import Replacement, replaced

SMALL_PARTS = Replacement(medium, "MOST_PART_BYTES", SLAB_BYTES)


@pytest.fixture
def courier(tmp_path: Path) -> Iterator[Courier]:
    """Staging, and a medium. Each part has one slab."""
    with replaced(SMALL_PARTS):
        courier = Courier(tmp_path / "courier")
        yield courier
        courier.close()


@pytest.fixture
def gate(tmp_path: Path, courier: Courier) -> Iterator[Gate]:
    """A receiver that trusts Alice."""
    gate = Gate(tmp_path / "receiver")
    yield gate
    gate.close()


def test_links_and_times_are_brought(courier: Courier, tmp_path: Path) -> None:
    """A bundle of version 2 lies on a medium as any other: its table of times is in the file of the files table."""
    gate = Gate(tmp_path / "receiver", '[channels.test]\nlinks = "keep"\n')
    row = courier.pack(links={"a/l": "../note"}, times=list(range(6)))
    courier.export(row)
    gate.bring(courier.medium, row.id)
    data = gate.config.inbox.path / "test" / "bundle" / "1" / "data"
    paths = ("a/empty", "a/l", "a/model", "note", "", "a")
    assert ("../note", list(range(6))) == (
        os.readlink(data / "a" / "l"),
        [(data / path).lstat().st_mtime_ns for path in paths],
    )
    gate.close()


def test_what_was_exported_is_published(courier: Courier, gate: Gate) -> None:
    """Its files are there, there is one receipt, and nothing stays between."""
    row = courier.pack()
    courier.export(row)
    outcome = gate.bring(courier.medium, row.id)
    assert ("published", True) == (outcome.state, outcome.is_new)
    assert (FILES, []) == (gate.content(row), gate.handed())
    assert (gate.config.inbox.path / "test" / "bundle" / "1" / "receipt.json").exists()


def test_the_second_import_says_that_it_is_there(courier: Courier, gate: Gate) -> None:
    """Also from another medium: a bundle is published once, by its id."""
    row = courier.pack()
    courier.export(row)
    gate.bring(courier.medium, row.id)
    outcome = gate.bring(copy_of(courier.medium, courier.medium.parent / "other"), row.id)
    assert ("published", False) == (outcome.state, outcome.is_new)
    assert 1 == len(gate.enclave.said(Published))


def test_numbers_may_come_in_any_order(courier: Courier, gate: Gate) -> None:
    """A medium may bring number 2 before number 1, as the link may."""
    rows = [courier.pack(number, {"n": bytes([number])}) for number in (1, 2)]
    for row in reversed(rows):
        courier.export(row)
        assert "published" == gate.bring(courier.medium, row.id).state


def test_one_byte_is_named_and_all_else_is_kept(courier: Courier, gate: Gate) -> None:
    """A code asks for that slab alone; a second medium brings it, and only its part is read."""
    row = courier.pack()
    courier.export(row)
    second = copy_of(courier.medium, courier.medium.parent / "second")
    flip(courier.on_medium(row, "0002.part"), 77)
    with pytest.raises(IncompleteError, match="slabs 1; all others are kept") as refused:
        gate.bring(courier.medium, row.id)
    assert 16 == refused.value.exit_code
    assert ("receiving", ((1, 2),)) == (gate.state_of(row.id), gate.missing(row))
    request = request_bundle(gate.enclave.store.records.ledger, row.id)
    assert ResendSlabs(int(row.id, 16), ((1, 2),)) == decode(request.code)
    for part in ("0001.part", "0003.part"):
        (second / TOP / row.id / part).unlink()
    assert "published" == gate.bring(second, row.id).state
    assert FILES == gate.content(row)


def test_a_missing_part_is_named(courier: Courier, gate: Gate) -> None:
    """What the other parts hold is kept, and what was kept is not read again."""
    row = courier.pack()
    courier.export(row)
    part = courier.on_medium(row, "0001.part")
    kept = part.rename(courier.medium.parent / "kept")
    with pytest.raises(IncompleteError, match=r"missing or too short: 0001\.part"):
        gate.bring(courier.medium, row.id)
    assert ((0, 1),) == gate.missing(row)
    shutil.copy(kept, part)
    read: list[int] = []
    real = OnMedium.read

    def counted(one: OnMedium, where: object, offset: int, data: memoryview) -> int:
        read.append(where.number)  # type: ignore[attr-defined]
        return real(one, where, offset, data)  # type: ignore[arg-type]

    with replaced(Replacement(OnMedium, "read", counted)):
        assert "published" == gate.bring(courier.medium, row.id).state
    assert [1] == read


def test_it_joins_what_the_link_is_bringing(courier: Courier, gate: Gate) -> None:
    """A slab that the link has brought is not taken twice, and there is one receipt."""
    row = courier.pack()
    courier.export(row)
    part = courier.on_medium(row, "0003.part")
    kept = part.rename(courier.medium.parent / "kept")
    with pytest.raises(IncompleteError):
        gate.bring(courier.medium, row.id)
    gate.enclave._hand_over(SlabKey(int(row.id, 16), Kind.DATA, 0, 2), kept.read_bytes())
    gate.enclave.tick()
    assert "published" == gate.state_of(row.id)
    assert not gate.bring(courier.medium, row.id).is_new
    assert 1 == len(gate.enclave.said(Published))


def test_a_restart_of_the_daemon_loses_nothing(courier: Courier, gate: Gate) -> None:
    """What it had not taken is handed over once more."""
    row = courier.pack()
    courier.export(row)
    kept = courier.on_medium(row, "0002.part").rename(courier.medium.parent / "kept")
    with pytest.raises(IncompleteError):
        gate.bring(courier.medium, row.id)
    gate.enclave.restart()
    kept.rename(courier.on_medium(row, "0002.part"))
    assert "published" == gate.bring(courier.medium, row.id).state


def link_in_place(home: Path) -> None:
    """A link to the very content."""
    part = home / "0001.part"
    part.symlink_to(part.rename(home.parent.parent / "elsewhere"))


def folder_in_place(home: Path) -> None:
    """A folder under the name of a part."""
    (home / "0001.part").unlink()
    (home / "0001.part").mkdir()


def pipe_in_place(home: Path) -> None:
    """A pipe, which would wait for ever."""
    (home / "0001.part").unlink()
    os.mkfifo(home / "0001.part")


STRANGE: dict[str, Callable[[Path], object]] = {
    "a file more": lambda home: (home / "0004.part").write_bytes(b""),
    "a link": link_in_place,
    "a folder": folder_in_place,
    "a pipe": pipe_in_place,
    "a huge file": lambda home: os.truncate(home / "0001.part", 1 << 40),
    "a hostile name": lambda home: (home / "a\x1b[31m\nb").write_bytes(b""),
    "no manifest": lambda home: (home / MANIFEST_FILE).unlink(),
    "a huge manifest": lambda home: (home / MANIFEST_FILE).write_bytes(bytes(1 << 22)),
    "a damaged manifest": lambda home: flip(home / MANIFEST_FILE, 60),
    "a damaged table of slabs": lambda home: flip(home / "slabs.bin", 5),
    "no table of files": lambda home: (home / "files.jsonl").unlink(),
}


@pytest.mark.parametrize("what", STRANGE)
def test_what_does_not_belong_is_refused_before_anything_begins(courier: Courier, gate: Gate, what: str) -> None:
    """The ledger knows nothing of the bundle afterwards, and nothing was handed over."""
    row = courier.pack()
    courier.export(row)
    STRANGE[what](courier.on_medium(row))
    with pytest.raises((ManifestError, IntegrityError, TrustError)) as refused:
        gate.bring(courier.medium, row.id)
    assert refused.value.exit_code in (12, 13)
    assert (None, []) == (gate.state_of(row.id), gate.handed())


def test_a_manifest_of_another_bundle_is_refused(courier: Courier, gate: Gate) -> None:
    """A folder is named by the digest of its manifest."""
    row, other = courier.pack(), courier.pack(2, {"n": b"other"})
    for one in (row, other):
        courier.export(one)
    shutil.copy(courier.on_medium(other, MANIFEST_FILE), courier.on_medium(row))
    with pytest.raises(ManifestError, match=f"is that of {other.id}"):
        gate.bring(courier.medium, row.id)


def test_parts_of_another_bundle_are_no_content(courier: Courier, gate: Gate) -> None:
    """Under the right names they have the wrong digests: each slab is named, and nothing is published."""
    row, other = courier.pack(), courier.pack(2, {name: data[::-1] for name, data in FILES.items()})
    courier.export(row)
    courier.export(other)
    shutil.copy(courier.on_medium(other, "0001.part"), courier.on_medium(row))
    with pytest.raises(IncompleteError, match="slabs 0; all others"):
        gate.bring(courier.medium, row.id)


def test_a_damaged_table_of_files_keeps_nothing(courier: Courier, gate: Gate) -> None:
    """Its slabs have no digests of their own; a second medium brings it."""
    row = courier.pack()
    courier.export(row)
    second = copy_of(courier.medium, courier.medium.parent / "second")
    flip(courier.on_medium(row, "files.jsonl"), 9)
    with pytest.raises(IntegrityError, match=r"files\.jsonl on this medium is not what was signed"):
        gate.bring(courier.medium, row.id)
    assert "published" == gate.bring(second, row.id).state


def test_who_is_not_trusted_is_refused(courier: Courier, tmp_path: Path) -> None:
    """The receiver's own keys decide, whatever the medium says."""
    row = courier.pack()
    courier.export(row)
    gate = Gate(tmp_path / "other")
    signers = gate.config.signers
    (signers / "alice.pub").write_text(public_pem(CryptoSigner.generate_ed25519()))
    with pytest.raises(TrustError):
        gate.bring(courier.medium, row.id)
    assert None is gate.state_of(row.id)
    gate.close()


def test_a_number_waits_for_a_person(courier: Courier, gate: Gate) -> None:
    """As over the link; the command says what to type."""
    first, far = courier.pack(1, {"n": b"1"}), courier.pack(90_000, {"n": b"2"})
    for row in (first, far):
        courier.export(row)
    gate.bring(courier.medium, first.id)
    with pytest.raises(ReplayError, match="channel begin test 90000") as refused:
        gate.bring(courier.medium, far.id)
    assert (15, None) == (refused.value.exit_code, gate.state_of(far.id))


def test_what_was_refused_stays_refused(courier: Courier, gate: Gate) -> None:
    """The medium changes nothing of that: the same rules, the same end."""
    first = courier.pack(1, {"n": b"1"})
    courier.export(first)
    gate.bring(courier.medium, first.id)
    again = courier.pack(2, {"n": b"2"})
    courier.export(again)
    manifest = load_packed(courier.state, int(again.id, 16)).manifest
    gate.enclave.store.records.ledger.bundles.refuse(again.id, manifest, "alice", "not here")
    with pytest.raises(RefusedError, match="is refused: not here"):
        gate.bring(courier.medium, again.id)


@pytest.mark.parametrize("of", ["bytes", "inodes"])
def test_a_full_disk_is_refused_before_anything_begins(courier: Courier, gate: Gate, of: str) -> None:
    """Room is looked at first, in bytes and in inodes."""
    row = courier.pack()
    courier.export(row)
    real = os.statvfs(gate.config.inbox.path)
    left = {"bytes": (0, real.f_ffree, real.f_favail), "inodes": (real.f_bavail, 0, 0)}[of]
    full = os.statvfs_result((*real[:4], left[0], real.f_files, *left[1:], real.f_flag, real.f_namemax))
    with replaced(Replacement(os, "statvfs", lambda _: full)), pytest.raises(FullError, match=of) as refused:
        gate.bring(courier.medium, row.id)
    assert (17, None) == (refused.value.exit_code, gate.state_of(row.id))


def test_another_medium_in_the_middle_is_noticed(courier: Courier, gate: Gate) -> None:
    """The manifest is read again at each part, and must be the one that was begun."""
    row = courier.pack()
    courier.export(row)
    manifest = courier.on_medium(row, MANIFEST_FILE)
    real = OnMedium.read

    def swapped(one: OnMedium, *arguments: object) -> int:
        flip(manifest, 60)
        return real(one, *arguments)  # type: ignore[arg-type]

    with replaced(Replacement(OnMedium, "read", swapped)), pytest.raises(UsageError, match="another medium"):
        gate.bring(courier.medium, row.id)
    flip(manifest, 60)
    assert "published" == gate.bring(courier.medium, row.id).state


def test_without_a_daemon_it_says_so(courier: Courier, gate: Gate) -> None:
    """Nothing is handed over that nobody would take."""
    row = courier.pack()
    courier.export(row)
    os.close(gate._lock)
    with pytest.raises(UsageError, match="no daemon runs"):
        gate.bring(courier.medium, row.id)


def test_a_daemon_that_takes_nothing_is_noticed(courier: Courier, gate: Gate) -> None:
    """The command ends after a while; what was taken is kept."""
    row = courier.pack()
    courier.export(row)

    def wait(_: float) -> None:
        gate.enclave._now += 10.0

    with replaced(Replacement(Gate, "work", lambda _, s: wait(s))), pytest.raises(StorageError, match="taken nothing"):
        gate.bring(courier.medium, row.id)
    assert "published" == gate.bring(courier.medium, row.id).state


def test_store_waits_for_no_slab_that_lies_there(courier: Courier, gate: Gate) -> None:
    """After a slab it looks again at once; where none lies there, it waits."""
    row = courier.pack()
    courier.export(row)
    importing, seen = gate.enclave.store.importing, []
    real = type(importing)._take_file

    def noted(*arguments: object) -> None:
        real(*arguments)  # type: ignore[arg-type]
        seen.append(arguments)

    def work(gate: Gate, _: float) -> None:
        before = len(seen)
        gate.enclave._now += 0.6
        gate.enclave._step()
        assert (len(seen) == before) == (importing.patience_s(gate.enclave._now) > 0.0)

    with replaced(Replacement(type(importing), "_take_file", noted), Replacement(Gate, "work", work)):
        gate.bring(courier.medium, row.id)
    assert 6 == len(seen)  # the manifest, both tables, three slabs


def test_a_few_files_carry_all_slabs(courier: Courier, gate: Gate) -> None:
    """A file is written again once its slab was taken, and never before."""
    row = courier.pack()
    courier.export(row)
    inodes: list[int] = []
    real = os.link

    def noted(*arguments: object, **options: object) -> None:
        real(*arguments, **options)  # type: ignore[arg-type]
        status = os.stat(arguments[1], dir_fd=options["dst_dir_fd"])  # type: ignore[arg-type]
        inodes.append(status.st_ino)
        assert 2 == status.st_nlink

    with replaced(Replacement(os, "link", noted)):
        assert "published" == gate.bring(courier.medium, row.id).state
    assert len(inodes) > len(set(inodes))


def test_a_medium_without_bundles_is_named(tmp_path: Path) -> None:
    """A folder that is no medium, and things on one that are no bundles."""
    with pytest.raises(UsageError, match=TOP):
        Medium(tmp_path)
    for name in ("0123456789abcdef.partial", "README", "0123456789ABCDEF"):
        (tmp_path / TOP / name).mkdir(parents=True)
    (tmp_path / TOP / "0123456789abcdef").symlink_to(tmp_path)
    listed = Medium(tmp_path).listed()
    assert ([], 4) == (listed.bundles, len(listed.strange))


def test_torn_files_of_a_crash_are_no_slabs(courier: Courier, gate: Gate) -> None:
    """Names that are none, files that are too long or of no bundle: nothing of it counts, and all of it goes."""
    row = courier.pack()
    courier.export(row)
    kept = courier.on_medium(row, "0002.part").rename(courier.medium.parent / "kept")
    with pytest.raises(IncompleteError):
        gate.bring(courier.medium, row.id)
    folder = gate.config.state / "import"
    (folder / f"{row.id}.data.1").write_bytes(kept.read_bytes()[:-1])
    (folder / f"{row.id}.data.7").write_bytes(b"beyond")
    (folder / f"{'f' * 16}.data.0").write_bytes(b"of nobody")
    for _ in range(5):
        gate.work(0.0)
    assert ([], ((1, 2),)) == (gate.handed(), gate.missing(row))


def test_errors_are_of_the_medium_until_it_is_gone(courier: Courier, gate: Gate) -> None:
    """A slab that cannot be read is named; a medium that is gone ends the command."""
    row = courier.pack()
    courier.export(row)
    real = OnMedium.read

    def failing(number: int, code: int) -> Replacement:
        def read(one: OnMedium, part: object, offset: int, data: memoryview) -> int:
            if part.number == number:  # type: ignore[attr-defined]
                raise OSError(code, os.strerror(code), "part")
            return real(one, part, offset, data)  # type: ignore[arg-type]

        return Replacement(OnMedium, "read", read)

    with replaced(failing(2, 5)), pytest.raises(IncompleteError, match="slabs 1;"):
        gate.bring(courier.medium, row.id)
    with replaced(failing(2, 19)), pytest.raises(StorageError, match="Put it back"):
        gate.bring(courier.medium, row.id)
    assert 19 in bringing.GONE
    assert "published" == gate.bring(courier.medium, row.id).state
