"""The receiver's disk: what is published is there, and one bundle's trouble is not the others'."""

import os
from pathlib import Path

import pytest

from diode.bundle.checksums import sum_lines
from diode.bundle.opened import Opened
from diode.errors import FullError, IntegrityError, StorageError
from diode.formats.canonical import canonical
from diode.process.memory import Counters
from diode.protocol.sizes import ObjectType
from diode.storage.folder import Folder
from receiver.inbox.facts import ref_of
from receiver.ledger.ledgers import StoreLedger
from receiver.spool.bundle import SpoolBundle
from receiver.spool.spilled import SpilledSlabs
from receiver.store.receiving import Receiving
from tests.link import DATA, OBJECT, Bundle, make_bundle

SLAB_BYTES = 200 * 64 * 1408


def spooled(folder: Path, bundle: Bundle, slabs: bool = True) -> Receiving:
    """The bundle in a spool, with its tables and (all or none of) its slabs."""
    folder.mkdir(exist_ok=True)
    opened = Opened(bundle.manifest, canonical(bundle.manifest.model_dump()), ())
    spool, hex_id = Folder.open(folder), f"{bundle.number:016x}"
    spool.folder(hex_id, create=True)
    spilled = SpilledSlabs(spool, ref_of(opened), StoreLedger(folder / "ledger.db"))
    receiving = Receiving(SpoolBundle(spool, hex_id, opened, b""), spilled)
    for kind in (ObjectType.FILES, ObjectType.SLABS):
        receiving.put_table(kind, 0, memoryview(bundle.parts[OBJECT, int(kind)]))
    assert receiving.maybe_read_tables()
    stream = memoryview(bundle.parts[DATA, 0])
    for number in range(len(receiving.judge.stored) if slabs else 0):
        receiving.put_slab(number, stream[number * SLAB_BYTES : (number + 1) * SLAB_BYTES])
    return receiving


FILES = {"a": b"x" * 1000, "b/c": b"y" * 10, "empty": b""}


def test_a_stored_bundle_is_complete_and_its_tree_is_as_signed(tmp_path: Path) -> None:
    """Every file, empty ones too, with its content."""
    receiving = spooled(tmp_path / "spool", make_bundle(FILES))
    assert receiving.judge.is_complete
    receiving.finish_tree(at_rest=True)
    assert FILES == {
        str(p.relative_to(receiving.spool.path / "data")): p.read_bytes()
        for p in receiving.spool.path.rglob("*")
        if p.is_file()
    }
    assert 3 == len(list(sum_lines(receiving.spool.tree.entries(), "sha256")))


@pytest.mark.parametrize("harm", ["remove", "shorten", "link"])
def test_a_file_that_was_taken_away_is_noticed_before_anything_is_published(tmp_path: Path, harm: str) -> None:
    """At the end, and after a restart slab by slab."""
    receiving = spooled(tmp_path / "spool", make_bundle(FILES))
    assert receiving.is_there(0)
    path = receiving.spool.path / "data" / "a"
    if harm == "shorten":
        os.truncate(path, 999)
    else:
        path.unlink()
    if harm == "link":
        path.symlink_to("/etc/hostname")
    assert not receiving.is_there(0)
    with pytest.raises(IntegrityError, match="'a'"):
        receiving.finish_tree(at_rest=False)


def test_counters_off_the_wire_cannot_overflow(tmp_path: Path) -> None:
    """A sender may claim any count below 2^63; the sum of two stays a number."""
    counters = Counters(Counters.create(["a"]), ["a"])
    counters["a"] = 1 << 63
    counters.add("a", 1 << 63)
    assert (1 << 63) - 1 == counters["a"]


def test_a_ledger_on_a_full_or_broken_disk_says_so(tmp_path: Path) -> None:
    """One line and code 17, not a traceback."""
    ledger = StoreLedger(tmp_path / "ledger.db")
    ledger._connection._db.execute("PRAGMA max_page_count = 1")

    def fill() -> None:
        for number in range(100_000):
            ledger.slabs.stored("b" * 16, number)

    with pytest.raises(FullError) as full:
        fill()
    assert 17 == full.value.exit_code
    ledger.close()
    (tmp_path / "garbage.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(StorageError, match="not a database"):
        StoreLedger(tmp_path / "garbage.db")
