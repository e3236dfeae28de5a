"""Searching: what a card holds is found, whether the index knows of that card or not."""

import hashlib
import os
from contextlib import closing
from pathlib import Path

import pytest

from diode.errors import StorageError
from diode.storage.index_file import IndexFile
from receiver.catalogue.card import CardFile, Claim, Fact, write_card
from receiver.catalogue.search import MOST_FOUND, MOST_NEW, SEARCH, SEARCH_FILE, TERM, Search, write_search
from receiver.catalogue.snapshot import CARDS

A, B = "a" * 16, "b" * 16
FLAW = "CVE-2024-3094"


def digest(path: str) -> str:
    """Of a file with its own path as content."""
    return hashlib.sha256(path.encode()).hexdigest()


def card(index: Path, bundle: str, paths: list[str], claims: list[Claim], terms: list[str]) -> None:
    """Write a card."""
    facts = [Fact(TERM, term, b"") for term in terms]
    write_card(index / CARDS / f"{bundle}.db", [CardFile(p, 1, digest(p)) for p in sorted(paths)], facts, claims)


def told(index: Path, text: str) -> list[tuple[str, str, str]]:
    """What is found."""
    return [(hit.bundle, hit.what, hit.text) for hit in Search(index).find(text).hits]


@pytest.fixture(params=["in the index", "newer"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two bundles."""
    (tmp_path / CARDS).mkdir()
    (tmp_path / SEARCH).mkdir()
    card(tmp_path, A, ["model.safetensors", "sub/Config.json"], [Claim("hub", "models/org/m", "models/Org/M")], [])
    card(tmp_path, B, ["numpy-1.whl", "a%b_c"], [Claim("pypi", "num-py", "Num.Py")], [f"flaw {FLAW}", "purl pkg:x/y@1"])
    if request.param == "in the index":
        assert write_search(tmp_path, tmp_path / SEARCH / SEARCH_FILE)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model.safetensors", [(A, "file", "model.safetensors")]),
        ("config.JSON", [(A, "file", "sub/Config.json")]),
        ("sub/config.json", [(A, "file", "sub/Config.json")]),
        (digest("numpy-1.whl"), [(B, "file", "numpy-1.whl")]),
        (f"sha256:{digest('numpy-1.whl')[:9].upper()}", [(B, "file", "numpy-1.whl")]),
        (FLAW, [(B, "flaw", FLAW)]),
        (FLAW.lower(), [(B, "flaw", FLAW)]),
        ("pkg:x/y@1", [(B, "purl", "pkg:x/y@1")]),
        ("num-py", [(B, "pypi", "num-py")]),
        ("models/org/m", [(A, "hub", "models/Org/M")]),
        ("num.py", [(B, "pypi", "Num.Py")]),
        ("safetens", [(A, "file", "model.safetensors")]),
        ("ub/con", [(A, "file", "sub/Config.json")]),
        ("%", [(B, "file", "a%b_c")]),
        ("b_", [(B, "file", "a%b_c")]),
        ("nothing like it", []),
        ("x' OR 1=1 --", []),
    ],
)
def test_what_a_bundle_holds_is_found(index: Path, text: str, expected: list[tuple[str, str, str]]) -> None:
    """By name, path, digest and its beginning, claim in any spelling, id; else by a part of it."""
    assert expected == told(index, text)


def test_a_card_that_changed_is_found_by_what_it_holds_now(index: Path) -> None:
    """And not by what it held when the index was written."""
    card(index, A, ["new.bin"], [], [])
    os.utime(index / CARDS / f"{A}.db", ns=(1, 1))
    assert [(A, "file", "new.bin")] == told(index, "new.bin")
    assert [] == told(index, "model.safetensors")
    (index / CARDS / f"{B}.db").unlink()
    assert [] == told(index, FLAW)


def test_the_index_is_written_anew_when_many_cards_are_newer(tmp_path: Path) -> None:
    """Not for each of them: it takes long, and they can be looked through."""
    (tmp_path / CARDS).mkdir()
    (tmp_path / SEARCH).mkdir()
    path = tmp_path / SEARCH / SEARCH_FILE
    for n in range(MOST_NEW + 2):
        card(tmp_path, f"{n:016x}", [f"file-{n}"], [], [])
        if n == 0:
            assert write_search(tmp_path, path)
        if n == MOST_NEW:
            assert not write_search(tmp_path, path)
    assert write_search(tmp_path, path)
    with closing(IndexFile(path)) as written:
        assert MOST_NEW + 2 == len(list(written.rows("SELECT id FROM bundle")))


@pytest.mark.parametrize("damage", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_hides_nothing_else(index: Path, damage: bytes) -> None:
    """Neither a card, nor the index: what it would say is read from the cards."""
    (index / CARDS / f"{'c' * 16}.db").write_bytes(damage)
    (index / SEARCH / SEARCH_FILE).write_bytes(damage)
    assert [(B, "flaw", FLAW)] == told(index, FLAW)
    assert write_search(index, index / SEARCH / SEARCH_FILE)
    assert [(B, "flaw", FLAW)] == told(index, FLAW)


def test_what_is_found_is_bounded(tmp_path: Path) -> None:
    """And said to be cut."""
    (tmp_path / CARDS).mkdir()
    card(tmp_path, A, [f"dir-{n}/same.txt" for n in range(MOST_FOUND + 5)], [], [])
    found = Search(tmp_path).find("same.txt")
    assert (MOST_FOUND, True) == (len(found.hits), found.is_cut)


def test_without_any_card_nothing_can_be_searched(tmp_path: Path) -> None:
    """And that is said."""
    with pytest.raises(StorageError, match="cannot be read"):
        Search(tmp_path)
