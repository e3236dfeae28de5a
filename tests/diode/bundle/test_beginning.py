"""A bundle is found by the beginning of its id: the same on both sides, and nothing is guessed."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import pytest

from diode.bundle.beginning import find_bundle, pick_from
from diode.errors import UsageError

ROOT = Path(__file__).parents[3]


class Row(NamedTuple):
    """As ledgers have them."""

    id: str
    state: str
    channel: str = "cve"
    name: str = "feed"
    version: str = "1"


ROWS = [Row("aa00000000000001", "held"), Row("aa00000000000002", "published"), Row("ab00000000000003", "held")]
ROWS += [Row(f"cc{n:014x}", "held") for n in range(20)]


class Ledger:
    """A ledger's query, plainly."""

    def beginning(self, beginning: str, most: int, states: Collection[str] = ()) -> list[Row]:
        return [row for row in ROWS if row.id.startswith(beginning) and (not states or row.state in states)][:most]


@pytest.mark.parametrize(
    ("typed", "states", "found"),
    [
        ("ab", (), ROWS[2]),
        ("AB0", (), ROWS[2]),
        ("aa00000000000001", (), ROWS[0]),
        ("aa", ("held",), ROWS[0]),
    ],
)
def test_one_is_found(typed: str, states: tuple[str, ...], found: Row) -> None:
    """By its id or the beginning of it, in either case, among those meant."""
    assert found == find_bundle(Ledger(), typed, "see", states)
    if not states:
        assert found == pick_from(ROWS, typed, "see")


@pytest.mark.parametrize(
    ("typed", "states", "said"),
    [
        ("", (), "none was typed: see"),
        ("xyz", (), "'xyz' is no beginning of one: see"),
        ("a%", (), "no beginning"),
        ("0" * 17, (), "no beginning"),
        ("\u0660", (), "no beginning"),
        ("a\n", (), "no beginning"),
        ("ff", (), "no bundle's id begins with 'ff'; nothing was done: see"),
        ("aa", (), "several bundles: aa00000000000001 (cve/feed/1), aa00000000000002 (cve/feed/1); nothing was done"),
        ("cc", (), "cc00000000000007 (cve/feed/1) and more; nothing was done, type more"),
        ("aa00000000000002", ("held",), "aa00000000000002 (cve/feed/1) is published; nothing was done: see"),
        ("ff", ("held",), "no bundle's id begins with"),
    ],
)
def test_what_names_no_single_one(typed: str, states: tuple[str, ...], said: str) -> None:
    """It is refused, and says why, and where the ids are."""
    with pytest.raises(UsageError, match=re.escape(said)):
        find_bundle(Ledger(), typed, "see", states)


def test_nothing_else_finds_bundles_so() -> None:
    """There is one function for it; ``examine`` of decisions goes by whole ids."""
    places = [*ROOT.glob("sender/**/*.py"), *ROOT.glob("receiver/**/*.py"), *ROOT.glob("diode/**/*.py")]
    found = [str(path) for path in places if re.search(r"\b(id|bundle)\.startswith\(", path.read_text())]
    assert [str(ROOT / "diode/bundle/beginning.py")] == found
