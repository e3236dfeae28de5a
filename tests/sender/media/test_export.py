"""Bundles on their way to physical media: whole and read back, or not in place; and what is recorded of it."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from diode.audit.verify import entries_of
from diode.bundle import medium
from diode.bundle.medium import MANIFEST_FILE, MOST_PART_BYTES, TOP, UNFINISHED, Part, part_with, parts_of, sizes_of
from diode.errors import FullError, SourceError, StorageError, UsageError
from diode.formats.digest import digest
from diode.protocol.resend_codes import Confirm
from diode.storage.folder import Folder
from diode.storage.uncached import CHUNK_BYTES, read_past_cache
from sender.ledger import State
from sender.media import copying
from sender.media.copying import Copying
from sender.media.export import find
from sender.pack.packed import load_packed
from sender.recovery.resends import find_confirmed
from tests.courier import FILES, SLAB_BYTES, Courier, flip
from tests.faults.replaced import Replacement, replaced


@pytest.fixture
def courier(tmp_path: Path) -> Iterator[Courier]:
    """Staging, and a medium. Each part has one slab."""
    with replaced(Replacement(medium, "MOST_PART_BYTES", SLAB_BYTES), Replacement(copying, "MOVE_S", 0.0)):
        courier = Courier(tmp_path / "courier")
        yield courier
        courier.close()


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(os.listdir(folder))


def test_a_bundle_lies_in_parts_beside_its_signed_tables(courier: Courier) -> None:
    """The parts together are the stream, and nothing else lies there."""
    row = courier.pack()
    exported = courier.export(row)
    assert exported.is_new
    home = courier.on_medium(row)
    parts = ["0001.part", "0002.part", "0003.part"]
    assert [*parts, "files.jsonl", MANIFEST_FILE, "slabs.bin"] == names(home)
    stream = b"".join(FILES[name] for name in sorted(FILES))
    assert stream == b"".join((home / part).read_bytes() for part in parts)
    assert (home / MANIFEST_FILE).read_bytes() == load_packed(courier.state, int(row.id, 16)).sealed
    assert (row.size, [row.id]) == (courier.shown[-1], names(courier.medium / TOP))


def test_it_is_recorded_before_it_is_in_place(courier: Courier) -> None:
    """In the ledger and in the audit log; the state of the bundle stays, since the link may still send it."""
    row = courier.pack()
    courier.export(row)
    (entry,) = [one for one in entries_of(courier.audit.folder) if one.what == "exported"]
    assert (row.id, "on physical media, in 3 parts") == (entry.bundle, entry.detail)
    after = courier.ledger.get(row.id)
    assert after is not None
    assert (State.QUEUED, 1) == (after.state, len(courier.ledger.exports.of(row.id)))


def test_what_is_there_already_is_read_and_not_written(courier: Courier) -> None:
    """A second export proves what lies there, and says when it is something else."""
    row = courier.pack()
    courier.export(row)
    before = courier.on_medium(row, "0001.part").stat().st_ino
    assert not courier.export(row).is_new
    assert (before, 1) == (courier.on_medium(row, "0001.part").stat().st_ino, len(courier.ledger.exports.of(row.id)))
    flip(courier.on_medium(row, "0002.part"), 3)
    with pytest.raises(StorageError, match=r"slab 1 in 0002\.part reads back"):
        courier.export(row)


@pytest.mark.parametrize(("state", "error"), [(State.UNAPPROVED, "waits for signatures"), (State.WITHDRAWN, "is with")])
def test_what_may_not_be_sent_is_not_exported(courier: Courier, state: State, error: str) -> None:
    """People sign first; what was withdrawn never leaves."""
    row = courier.pack(state=state)
    with pytest.raises(UsageError, match=error):
        find(courier.ledger, row.id)


def test_a_bundle_is_named_by_its_id(courier: Courier) -> None:
    """Or by the beginning of it; nothing and anything name none."""
    row = courier.pack()
    assert row == find(courier.ledger, row.id[:9].upper())
    for text in ("", "zz"):
        with pytest.raises(UsageError, match="begin"):
            find(courier.ledger, text)


def test_content_that_changed_withdraws_the_export(courier: Courier) -> None:
    """Nothing of the bundle stays on the medium, and nothing is recorded; the same when only one byte changed."""
    row = courier.pack()
    item = courier.items / "1" / "a" / "model"
    status = item.stat()
    flip(item, 2 * SLAB_BYTES)
    os.utime(item, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(SourceError):
        courier.export(row)
    assert ([], []) == (names(courier.medium / TOP), courier.ledger.exports.of(row.id))


def test_content_is_held_against_its_digest(courier: Courier) -> None:
    """Also where the file looks as it did: a slab with another digest is never written."""
    row = courier.pack()
    real = Copying._fill

    def other(one: Copying, slab: Any) -> None:
        real(one, slab)
        if slab.number == 2:
            one._room[0] ^= 1

    with replaced(Replacement(Copying, "_fill", other)), pytest.raises(SourceError, match=r"slab 2 of .* not what was"):
        courier.export(row)
    assert [] == names(courier.medium / TOP)


def test_a_full_medium_is_refused_before_it_begins(courier: Courier) -> None:
    """No part is written."""
    row = courier.pack()
    real = os.statvfs(courier.medium)
    full = os.statvfs_result((*real[:3], 0, 0, *real[5:]))
    with replaced(Replacement(os, "statvfs", lambda _: full)), pytest.raises(FullError, match="nothing was written"):
        courier.export(row)
    assert [] == names(courier.medium / TOP / f"{row.id}{UNFINISHED}")


def test_a_medium_that_is_not_there_is_named(courier: Courier, tmp_path: Path) -> None:
    """And a bundle that is not kept any more."""
    row = courier.pack()
    with pytest.raises(UsageError, match="nothing was written"):
        courier.export(row, tmp_path / "nowhere")
    (courier.state / "bundles" / row.id / "slabs.bin").unlink()
    with pytest.raises(SourceError, match="not kept any more, or damaged"):
        courier.export(row)


@contextmanager
def failing(name: str, at: int, code: int) -> Iterator[list[int]]:
    """The ``at``-th call of this function of ``os`` fails, once."""
    calls: list[int] = []
    real = getattr(os, name)

    def call(*arguments: Any, **options: Any) -> Any:
        calls.append(len(calls))
        if len(calls) - 1 == at:
            raise OSError(code, os.strerror(code))
        return real(*arguments, **options)

    with replaced(Replacement(os, name, call)):
        yield calls


@pytest.mark.parametrize("name", ["pwrite", "fsync"])
def test_a_failure_at_any_write_leaves_nothing_in_place(courier: Courier, tmp_path: Path, name: str) -> None:
    """Or all of it, when only its last sync failed. The next export to that medium goes on, and ends well."""
    row, at, was_reached = courier.pack(), 0, True
    while was_reached:
        (stick := tmp_path / f"stick {at}").mkdir()
        with failing(name, at, errno.ENOSPC if at % 2 else errno.EIO) as calls, suppress(StorageError):
            courier.export(row, stick)
        is_in_place = (stick / TOP / row.id).exists()
        assert courier.export(row, stick).is_new != is_in_place
        assert not courier.export(row, stick).is_new
        was_reached, at = len(calls) > at, at + 1
    assert at > 3


def test_an_interrupted_export_goes_on(courier: Courier) -> None:
    """Parts that were read back are not written again."""
    row = courier.pack()
    with failing("pwrite", 2, errno.EIO), pytest.raises(StorageError):
        courier.export(row)
    partial = courier.medium / TOP / f"{row.id}{UNFINISHED}"
    kept = [(partial / part).stat().st_ino for part in ("0001.part", "0002.part")]
    courier.export(row)
    assert kept == [courier.on_medium(row, part).stat().st_ino for part in ("0001.part", "0002.part")]


def test_a_medium_that_gives_back_something_else_is_told(courier: Courier) -> None:
    """It was written, and synced, and is not there: that is what reading it back is for."""
    row = courier.pack()
    real = os.fsync
    done: list[int] = []

    def lying(fd: int) -> None:
        real(fd)
        path = Path(os.readlink(f"/proc/self/fd/{fd}"))
        if path.name == "0002.part" and not done:
            done.append(fd)
            flip(path, 9)

    with replaced(Replacement(os, "fsync", lying)), pytest.raises(StorageError, match="reads back from the medium"):
        courier.export(row)
    assert not courier.on_medium(row).exists()
    assert courier.export(row).is_new


def test_a_confirm_code_counts_for_what_left_by_media_alone(courier: Courier) -> None:
    """It never went over the link; and no code counts for what has not left."""
    row = courier.pack()
    code = Confirm(int(row.id, 16), int(row.content[:8], 16))
    with pytest.raises(UsageError, match="is queued"):
        find_confirmed(courier.ledger, code)
    courier.export(row)
    assert row == find_confirmed(courier.ledger, code)
    courier.ledger.set_state(row.id, State.CONFIRMED)


def test_parts_hold_whole_slabs_below_two_gibibytes(courier: Courier) -> None:
    """Each slab lies in one part, and the parts are the stream, for a bundle of terabytes too."""
    manifest = load_packed(courier.state, int(courier.pack().id, 16)).manifest
    slab_bytes = manifest.shape.geometry.source_bytes
    count = 100_000
    large = manifest.model_copy(
        update={
            "stream_bytes": count * slab_bytes - 1,
            "slabs": manifest.slabs.model_copy(update={"entries": count, "size": 32 * count}),
        }
    )
    with replaced(Replacement(medium, "MOST_PART_BYTES", 1 << 31)):
        parts = list(parts_of(large))
        assert [part_with(large, number) for number in (0, 373, 374, count - 1)] == [parts[0], parts[0], *parts[1::266]]
        assert sum(sizes_of(large).values()) == large.stream_bytes + 32 * count + large.files.size
    assert max(part.size for part in parts) <= MOST_PART_BYTES
    assert Part(1, 0, 374, 0, 374 * slab_bytes) == parts[0]
    assert large.stream_bytes == sum(part.size for part in parts)


@pytest.mark.parametrize("size", [0, 1, 4096, CHUNK_BYTES, CHUNK_BYTES + 4097])
def test_files_are_read_past_the_cache(tmp_path: Path, size: int) -> None:
    """Whole, whatever their length is."""
    (tmp_path / "file").write_bytes(bytes(size))
    with Folder.open(tmp_path) as folder:
        found = b"".join(bytes(chunk) for chunk in read_past_cache(folder, "file"))
    assert digest(bytes(size)) == digest(found)
