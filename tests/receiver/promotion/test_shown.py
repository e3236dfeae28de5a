"""The snapshot's rows, made of what the ledger has; and that many of them take no time."""

import time
from pathlib import Path

from receiver.catalogue.pointer import Pointer, Version
from receiver.catalogue.snapshot import write_snapshot
from receiver.ledger.bundles import Row
from receiver.ledger.catalogue import Entry, NameClaim
from receiver.ledger.pointers import Recall
from receiver.ledger.states import State
from receiver.promotion.shown import listed, named

AT = "2026-11-28T12:00:00Z"


def row(number: int, channel: str = "c") -> Row:
    """A published bundle."""
    return Row(f"{number:016x}", channel, f"n{number // 10}", f"v{number}", number, 1, 1, 1, "0" * 64, "k",
               State.PUBLISHED, "", AT)  # fmt: skip


def test_each_bundle_says_what_it_is() -> None:
    """In use, offered, recalled, removed, never in use; channels without pointers are not in it."""
    rows = [row(n) for n in range(1, 6)] + [row(7, "trust"), row(8, "recall")]
    deployed = tuple(Version(one.version, one.id, one.sequence) for one in rows[:3])
    entries = {rows[1].id: Entry(rows[1].id, "", "2020-01-01T00:00:00Z", "source.json", "{}", removed=AT)}
    recalls = [Recall(rows[0].id, "c", "n0", "v1", AT, "a", "bad"), Recall(rows[2].id, "", "", "", AT, "a", "", AT)]
    found = list(listed(rows, entries, [Pointer("c", "n0", 1, deployed=deployed)], recalls, {rows[3].id}))
    assert ["recalled", "removed", "published", "published", "published"] == [one.state for one in found]
    assert [(0, 0, 1), (0, 0, 1), (1, 1, 1), (0, 0, 1), (0, 0, 0)] == [
        (one.is_current, one.is_offered, one.was_current) for one in found
    ]
    assert ("bad", AT, "2020-01-01T00:00:00Z") == (found[0].reason, found[0].recalled, found[1].dated)


def test_a_name_that_belongs_to_another_channel_is_not_shown() -> None:
    """Whatever a bundle claims."""
    claims = [NameClaim("pypi", "numpy", "a", "numpy", "c", holder) for holder in ("c", "other")]
    assert ["a"] == [one.bundle for one in named(claims)]


def test_ten_thousand_bundles_are_written(tmp_path: Path) -> None:
    """All of them, of 1,000 names; how long it took is printed."""
    rows = [row(n) for n in range(10_000)]
    pointers = [
        Pointer("c", f"n{n}", 1, deployed=tuple(Version(f"v{k}", f"{k:016x}", k) for k in range(n * 10, n * 10 + 10)))
        for n in range(1000)
    ]
    begun = time.monotonic()
    write_snapshot(tmp_path / "snapshot.db", 1, AT, listed(rows, {}, pointers, [], set()), [], [])
    print(f"{time.monotonic() - begun:.2f} s")
    assert (tmp_path / "snapshot.db").stat().st_size > 1 << 20
