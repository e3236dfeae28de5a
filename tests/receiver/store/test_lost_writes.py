"""A disk that says once that it lost something, or says it to somebody else: what no good sync covers comes again."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from securesystemslib.signer import CryptoSigner

from diode.errors import LostWritesError, ManifestError, StorageError
from diode.protocol.geometry import object_geometry, slab_at
from diode.protocol.handed_over import SlabKey
from diode.protocol.sizes import Kind, ObjectType
from diode.storage.connection import Connection
from diode.storage.durable import WriteBack
from receiver.ledger.bundles import BundleWriter
from receiver.ledger.ledgers import StoreLedger
from receiver.ledger.slabs import SlabWriter
from receiver.messages.pipeline import Known, Resumed
from receiver.spool.slabs import unpack_mask
from tests.enclave import Enclave
from tests.link import Bundle, make_bundle

SLAB_BYTES = 200 * 64 * 448
FILES = {"model": random.Random(1).randbytes(2 * SLAB_BYTES + 1000)}


@pytest.fixture
def bundle() -> Bundle:
    """Three slabs."""
    return make_bundle(FILES, mtu=576, profile="clean", signer=CryptoSigner.generate_ed25519())


@pytest.fixture
def enclave(tmp_path: Path, bundle: Bundle) -> Enclave:
    """A receiver that trusts its signer."""
    return Enclave(tmp_path / "receiver", {"alice.pub": bundle.signer})


def give(enclave: Enclave, bundle: Bundle, *slabs: int, objects: bool = True) -> None:
    """Hand over the manifest and both tables, and some slabs of data."""
    for kind in ObjectType if objects else ():
        data = bundle.parts[Kind.OBJECT, int(kind)]
        for number in range(-(-len(data) // object_geometry(448).source_bytes)):
            slab = slab_at(object_geometry(448), len(data), number, is_object=True)
            key = SlabKey(bundle.number, Kind.OBJECT, int(kind), number)
            enclave._hand_over(key, data[slab.offset :][: slab.length])
    for number in slabs:
        data = bundle.parts[Kind.DATA, 0][number * SLAB_BYTES :][:SLAB_BYTES]
        enclave._hand_over(SlabKey(bundle.number, Kind.DATA, 0, number), data)


@contextmanager
def failing(*which: int) -> Iterator[list[int]]:
    """The syncs of these numbers say that writes were lost; all others succeed."""
    syncs: list[int] = []
    real = WriteBack.sync

    def sync(self: WriteBack) -> None:
        syncs.append(len(syncs))
        if syncs[-1] in which:
            raise LostWritesError("EIO, once")
        real(self)

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(WriteBack, "sync", sync)
        yield syncs


@contextmanager
def ledger_failing(part: type, method: str) -> Iterator[None]:
    """The disk of the ledger takes nothing of one kind."""

    def fail(*_: object) -> None:
        raise StorageError("it fails as well")

    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(part, method, fail)
        yield


def stored(enclave: Enclave, bundle: Bundle) -> list[int]:
    """What the ledger says is there."""
    return enclave.store.records.ledger.slabs.kept(f"{bundle.number:016x}")[0]


def data_file(enclave: Enclave, bundle: Bundle) -> Path:
    """Where the content lies in the spool."""
    return enclave.config.inbox.path / ".diode" / "spool" / f"{bundle.number:016x}" / "tree" / "data" / "model"


def content(enclave: Enclave, bundle: Bundle) -> bytes:
    """What was published."""
    manifest = bundle.manifest
    folder = enclave.config.inbox.path / manifest.channel / manifest.name / manifest.version
    return (folder / "data" / "model").read_bytes()


def test_what_was_not_synced_is_asked_for_again(enclave: Enclave, bundle: Bundle) -> None:
    """The first sync covers slab 0, the second fails: slab 1 and the tables are forgotten, slab 0 is not."""
    with failing(1):
        give(enclave, bundle, 0)
        enclave.tick()
        give(enclave, bundle, 1, objects=False)
        enclave.tick()
        assert [0] == stored(enclave, bundle)
        known = [message for message in enclave._slabs.sent if isinstance(message, Known)][-1]
        assert [0] == np.flatnonzero(unpack_mask(known.done, 4)).tolist()
        assert 2 == enclave.said(Resumed)[-1].missing
        give(enclave, bundle, 2, objects=False)
        enclave.tick()
        assert not enclave.published(bundle)
        give(enclave, bundle, 1)
        enclave.tick()
    assert FILES["model"] == content(enclave, bundle)


def test_a_complete_bundle_is_not_published_when_its_sync_fails(enclave: Enclave, bundle: Bundle) -> None:
    """Nor at any later sync, however well that goes: all of it comes again."""
    with failing(0):
        give(enclave, bundle, 0, 1, 2)
        enclave.tick()
        enclave.tick()
        assert not enclave.published(bundle)
        assert [] == stored(enclave, bundle)
        give(enclave, bundle, 0, 1, 2)
        enclave.tick()
    assert FILES["model"] == content(enclave, bundle)


def test_others_on_the_same_disk_forget_too(enclave: Enclave, bundle: Bundle) -> None:
    """Nobody says whose write it was."""
    other = make_bundle(FILES, mtu=576, profile="clean", signer=bundle.signer, sequence=2)
    with failing(0):
        give(enclave, bundle, 0)
        give(enclave, other, 0, 1)
        enclave.tick()
    assert ([], []) == (stored(enclave, bundle), stored(enclave, other))
    for each in (bundle, other):
        give(enclave, each, 0, 1, 2)
        enclave.tick()
        assert FILES["model"] == content(enclave, each)


def test_nothing_is_published_while_the_ledger_cannot_forget(enclave: Enclave, bundle: Bundle) -> None:
    """Its disk may fail, too. It is tried until it succeeds."""
    with failing(0):
        give(enclave, bundle, 0, 1, 2)
        with ledger_failing(SlabWriter, "forget_unsynced"):
            enclave.tick()
            enclave.tick()
        assert not enclave.published(bundle)
        enclave.tick()
    assert [] == stored(enclave, bundle)
    give(enclave, bundle, 0, 1, 2)
    enclave.tick()
    assert FILES["model"] == content(enclave, bundle)


def test_what_an_earlier_run_did_not_sync_is_read_from_the_disk(enclave: Enclave, bundle: Bundle) -> None:
    """It was told, and killed before it could forget: only reading shows it."""
    give(enclave, bundle, 0, 1)
    enclave.restart()
    assert [0, 1] == stored(enclave, bundle)
    with data_file(enclave, bundle).open("r+b") as file:
        file.write(bytes(4096))  # what the disk has of it
    give(enclave, bundle, 2, objects=False)
    enclave.tick()
    assert not enclave.published(bundle)
    give(enclave, bundle, 0, 1, 2)
    enclave.tick()
    assert FILES["model"] == content(enclave, bundle)


def test_a_lost_table_is_not_held_against_its_signer(enclave: Enclave, bundle: Bundle) -> None:
    """Its pages read as zeros when a slab comes: the bundle is not refused, it is collected again."""
    give(enclave, bundle, 0)
    table = data_file(enclave, bundle).parents[2] / "files.jsonl"
    with table.open("r+b") as file:
        file.write(bytes(table.stat().st_size))
    with failing(0):
        give(enclave, bundle, 1, objects=False)
    assert [] == enclave.refusals
    give(enclave, bundle, 0, 1, 2)
    enclave.tick()
    assert FILES["model"] == content(enclave, bundle)


def test_the_descriptor_is_older_than_the_first_write(
    enclave: Enclave, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it is not told of what failed before."""
    order: list[str] = []
    opened, made = WriteBack.__init__, os.mkdir

    def init(self: WriteBack, folder: Path) -> None:
        order.append("opened")
        opened(self, folder)

    def mkdir(path: str, *arguments: int, **options: int) -> None:
        order.append("made")
        made(path, *arguments, **options)

    monkeypatch.setattr(WriteBack, "__init__", init)
    monkeypatch.setattr(os, "mkdir", mkdir)
    give(enclave, bundle)
    assert ["opened", "made"] == order[:2]
    assert 1 == order.count("opened")


def test_descriptors_are_closed(tmp_path: Path) -> None:
    """By hand, or with the last reference."""
    before = len(os.listdir("/proc/self/fd"))
    one, other = WriteBack(tmp_path), WriteBack(tmp_path)
    one.sync()
    one.close()
    one.close()
    del other
    assert before == len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("fails", ["COMMIT", "INSERT"])
def test_a_commit_that_fails_changes_nothing(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """Nor does it leave a transaction open, in which whatever follows would not count."""
    ledger = StoreLedger(tmp_path / "ledger.db")
    real = Connection.execute

    def execute(self: Connection, statement: str, values: tuple[object, ...] = ()) -> object:
        if statement.startswith(fails):
            raise StorageError("EIO, once")
        return real(self, statement, values)

    with monkeypatch.context() as patches:
        patches.setattr(Connection, "execute", execute)
        with pytest.raises(StorageError):
            ledger.bundles.accept("0" * 16, bundle.manifest, "key")
    assert ledger.bundles.get("0" * 16) is None
    ledger.slabs.stored("1" * 16, 1)
    ledger.close()
    again = StoreLedger(tmp_path / "ledger.db")
    assert (None, 1) == (again.bundles.get("0" * 16), again.slabs.count("1" * 16))


def test_what_is_refused_stays_so_when_writes_are_lost(enclave: Enclave, bundle: Bundle) -> None:
    """Its refusal is said, and the ledger could not take it yet: it is not begun anew meanwhile."""
    give(enclave, bundle, 0)
    store = enclave.store
    with ledger_failing(BundleWriter, "set_state"), store.reports.disk.surviving():
        store.refusing.refuse(store.bundles[bundle.number], ManifestError("wrong"))
    store.lost.forget()
    enclave.tick()
    row = store.records.ledger.bundles.get(f"{bundle.number:016x}")
    assert ("refused", False) == (row and row.state, bundle.number in store.bundles)
