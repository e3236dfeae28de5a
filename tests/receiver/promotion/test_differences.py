"""What a rollback shows before it is ordered."""

from hashlib import sha256
from pathlib import Path

import pytest

from receiver.catalogue.card import CardFile, write_card
from receiver.catalogue.difference import Change
from receiver.catalogue.pointer import Pointer, Version
from receiver.catalogue.snapshot import CARDS
from receiver.promotion.differences import what_changes
from tests.published import publish

OLD, NEW = Version("v1", "0" * 15 + "1", 1), Version("v2", "0" * 15 + "2", 2)
POINTER = Pointer("c", "org--name", 1, "newest", (OLD, NEW))
FILES = {"v1": {"a": b"x", "b\\c": b"y", "d": b"z"}, "v2": {"a": b"x2", "d": b"z", "e": b""}}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """An index with the cards of both versions, and an inbox with their data."""
    index, inbox = tmp_path / "index", tmp_path / "inbox"
    (index / CARDS).mkdir(parents=True)
    for version in (OLD, NEW):
        files = FILES[version.version]
        publish(inbox, files, place=("c", "org--name", version.version), sequence=version.sequence)
        table = [CardFile(path, len(data), sha256(data).hexdigest()) for path, data in sorted(files.items())]
        write_card(index / CARDS / f"{version.bundle}.db", table, (), ())
    return index, inbox


def test_by_cards(folders: tuple[Path, Path]) -> None:
    """With the sizes, as the catalogue shows them."""
    index, inbox = folders
    expected = [Change("changed", "a", 2, 1), Change("added", "b\\c", None, 1), Change("removed", "e", 0, None)]
    assert expected == what_changes(index, inbox, POINTER, OLD)


def test_by_sums_where_a_card_is_missing(folders: tuple[Path, Path]) -> None:
    """The same files, without their sizes; then nothing, where the data is gone, too."""
    index, inbox = folders
    (index / CARDS / f"{NEW.bundle}.db").unlink()
    expected = [("changed", "a"), ("added", "b\\c"), ("removed", "e")]
    assert expected == [(one.how, one.path) for one in what_changes(index, inbox, POINTER, OLD)]
    (inbox / "c" / "org--name" / "v1" / "SHA256SUMS").unlink()
    with pytest.raises(FileNotFoundError):
        what_changes(index, inbox, POINTER, OLD)
