"""The spool folder of one bundle: manifest and tables as files, written slab by slab, and removed as a whole."""

from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from diode.bundle.files import MAX_LINE_BYTES
from diode.bundle.opened import Opened
from diode.errors import ManifestError
from diode.protocol.geometry import object_geometry, slab_at
from diode.protocol.sizes import ObjectType
from diode.storage.folder import Folder
from receiver.spool.bundle import (
    MANIFEST_FILE,
    SpoolBundle,
    begin_folder,
    read_manifest_file,
    write_manifest_again,
)
from receiver.spool.tables import TableFile
from tests.link import make_bundle

BUNDLE = make_bundle({"a": b"1"}, signer=CryptoSigner.generate_ed25519())
ID = f"{BUNDLE.number:016x}"


@pytest.fixture
def spool(tmp_path: Path) -> Folder:
    """An empty spool."""
    return Folder.open(tmp_path)


@pytest.fixture
def table(spool: Folder) -> TableFile:
    """One table in the folder of a bundle."""
    begin_folder(spool, ID, b"sealed")
    return TableFile(spool, f"{ID}/files.jsonl")


def test_a_folder_begins_with_the_manifest_alone(spool: Folder) -> None:
    """What an earlier attempt left there is gone."""
    (spool.path / ID / "tree").mkdir(parents=True)
    begin_folder(spool, ID, b"sealed").close()
    assert (b"sealed", [MANIFEST_FILE]) == (read_manifest_file(spool, ID), spool.folder(ID).names())


def test_a_manifest_is_written_again_in_its_place(spool: Folder) -> None:
    """Its pages may be lost; what lies beside it stays."""
    begin_folder(spool, ID, b"sealed").close()
    (spool.path / ID / "tree").mkdir()
    (spool.path / ID / MANIFEST_FILE).write_bytes(bytes(6))
    write_manifest_again(spool, ID, b"sealed")
    assert (b"sealed", {MANIFEST_FILE, "tree"}) == (read_manifest_file(spool, ID), set(spool.folder(ID).names()))


@pytest.mark.parametrize("order", [1, -1])
def test_a_table_is_what_its_slabs_are(table: TableFile, order: int) -> None:
    """In whatever order they come, each cut to its signed length."""
    shape = object_geometry(448)
    content = bytes(range(256)) * (shape.source_bytes // 256) + b"and a tail"
    for number in (0, 1)[::order]:
        slab = slab_at(shape, len(content), number, is_object=True)
        table.put(slab, memoryview(content[slab.offset :][: slab.length] + b"padding"[: number * 7]))
    assert (content, content, len(content)) == (table.read(), b"".join(table.chunks()), table.maybe_size())
    assert content == bytes(table.map())
    assert content == b"".join(table.chunks(from_disk=True))


def test_a_table_without_lines(table: TableFile) -> None:
    """It is not there, and then a file all the same."""
    assert table.maybe_size() is None
    table.make_empty()
    assert (0, b"", [], b"") == (table.maybe_size(), table.read(), list(table.lines(0)), bytes(table.map()))


def test_a_line_that_never_ends(table: TableFile, spool: Folder) -> None:
    """It is refused after as many bytes as a line may have, however long it is."""
    (spool.path / ID / "files.jsonl").write_bytes(b"fine\n" + b"x" * (3 * MAX_LINE_BYTES))
    lines = table.lines(4 * MAX_LINE_BYTES)
    assert b"fine\n" == next(lines)
    with pytest.raises(ManifestError, match="too long"):
        next(lines)


def test_a_bundle_is_removed_as_a_whole(spool: Folder) -> None:
    """Twice is no error."""
    write_back = begin_folder(spool, ID, b"sealed")
    bundle = SpoolBundle(spool, ID, Opened(BUNDLE.manifest, b"", ()), b"sealed", write_back)
    assert {ObjectType.FILES, ObjectType.SLABS} == bundle.tables.keys()
    assert (True, False) == (bundle.has(MANIFEST_FILE), bundle.has("tree/receipt.json"))
    for _ in range(2):
        bundle.remove()
    assert [] == spool.names()
