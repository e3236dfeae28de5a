"""Both ledgers list their bundles, newest first, and find one by how its id begins, without reading all of them."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from diode.console.life import find_bundle
from diode.errors import UsageError
from diode.storage.listing import Listing, Wanted
from receiver.ledger.ledgers import StoreLedger
from sender.ledger import Ledger
from tests.ledger_scale import at, fill_receiver, fill_sender, id_of, place_of

COUNT = 40
FILLS: dict[str, Any] = {"sender": fill_sender, "receiver": fill_receiver}
LEDGERS: dict[str, Any] = {"sender": Ledger, "receiver": StoreLedger}


@pytest.fixture(params=FILLS)
def listing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listing]:
    """Of either side, with bundles in it."""
    path = tmp_path / "ledger.db"
    FILLS[request.param](path, COUNT)
    with closing(LEDGERS[request.param](path, read_only=True)) as ledger:
        yield ledger.listing


def numbers(found: Any) -> list[int]:
    """Which bundles these are."""
    ids = {id_of(n): n for n in range(COUNT)}
    return [ids[one.id] for one in found]


def test_the_newest_come_first(listing: Listing) -> None:
    """So many as are wanted; all below 0."""
    assert [39, 38, 37] == numbers(listing.newest(Wanted(), 3))
    assert list(range(39, -1, -1)) == numbers(listing.newest(Wanted(), -1))


def test_they_are_filtered(listing: Listing) -> None:
    """By channel and name, and by moments: from one on, and before one."""
    channel, name, _, _ = place_of(5)
    assert [37, 33] == numbers(listing.newest(Wanted(channel, name), 2))
    assert [12, 11, 10] == numbers(listing.newest(Wanted(since=at(10), until=at(13)), -1))
    assert [] == numbers(listing.newest(Wanted(state="withdrawn"), -1))


def test_a_bundle_is_found_by_its_beginning_or_its_label(listing: Listing) -> None:
    """Large letters are as small ones. What means several bundles names them."""
    assert id_of(7) == find_bundle(listing, id_of(7)[:7].upper())[0]
    assert id_of(7) == find_bundle(listing, "/".join(place_of(7)[:3]))[0]
    first = next(one for one in "0123456789abcdef" if sum(id_of(n).startswith(one) for n in range(COUNT)) > 1)
    with pytest.raises(UsageError, match="is the beginning of several bundles: "):
        find_bundle(listing, first)


@pytest.mark.parametrize("text", ["", "xyz", "a/b/c", "%", "0123'", "zz" * 8])
def test_what_means_none_is_refused(listing: Listing, text: str) -> None:
    """An empty word means none, and not all."""
    with pytest.raises(UsageError, match="is no bundle here"):
        find_bundle(listing, text)


def test_a_whole_id_needs_no_row(listing: Listing) -> None:
    """The audit log may know what the ledger does not: what was quarantined."""
    assert ("00000000000000ff", None) == find_bundle(listing, "00000000000000FF")
