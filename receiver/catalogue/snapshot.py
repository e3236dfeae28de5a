"""The index file that the gateway answers from: every published bundle, and whose names there are, at one moment.

``store`` writes a whole new one at each change and puts it in place by one rename. The gateway opens it beside the
cards, and never opens the ledger. Held and quarantined bundles are not in it, but for their names.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self

from diode.layouts.kinds import Kind
from diode.storage.connection import Columns
from diode.storage.index_file import IndexFile, write_index
from receiver.catalogue.card import Card

SNAPSHOT_FILE: Final = "snapshot.db"
CARDS: Final = "cards"  # the folder of the cards, beside the snapshot
MOST_OPEN: Final = 256  # cards at a time
MOST_RENDERED: Final = 16 << 20  # bytes of pages that are kept

SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE bundle (
    id TEXT PRIMARY KEY, channel TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, sequence INTEGER NOT NULL,
    content TEXT NOT NULL, state TEXT NOT NULL, published TEXT NOT NULL, dated TEXT NOT NULL,
    reason TEXT NOT NULL, recalled TEXT NOT NULL,
    is_current INTEGER NOT NULL, is_offered INTEGER NOT NULL, was_current INTEGER NOT NULL, moved TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX by_name ON bundle (channel, name, sequence);
CREATE TABLE claim (
    kind TEXT NOT NULL, normal TEXT NOT NULL, bundle TEXT NOT NULL, spelling TEXT NOT NULL,
    PRIMARY KEY (kind, normal, bundle)
) STRICT, WITHOUT ROWID;
CREATE TABLE waiting (channel TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL) STRICT;
"""

State = Literal["published", "recalled", "removed"]  # removed: by gc, or replaced where nothing goes back


class Listed(NamedTuple):
    """One bundle of a snapshot. ``dated``: its content's own date, or else when it was built.

    ``is_current``: in use. ``is_offered``: lists of versions show it. ``was_current``: it was in use at some time.
    ``recalled``: since when, and ``reason`` says why. ``moved``: when the pointer of its name last moved.
    """

    id: str
    channel: str
    name: str
    version: str
    sequence: int
    content: str
    state: State
    published: str
    dated: str
    reason: str = ""
    recalled: str = ""
    is_current: bool = False
    is_offered: bool = False
    was_current: bool = False
    moved: str = ""

    @property
    def is_servable(self) -> bool:
        """Whether its files may be served: published, and neither recalled nor removed."""
        return self.state == "published"


class Named(NamedTuple):
    """A name that belongs to the channel of a bundle which holds something of it."""

    kind: str
    normal: str
    bundle: str
    spelling: str


class Waiting(NamedTuple):
    """A bundle that is held: nothing of it can be had."""

    channel: str
    name: str
    version: str


def write_snapshot(
    path: Path,
    generation: int,
    at: str,
    bundles: Iterable[Listed],
    names: Iterable[Named],
    waiting: Iterable[Waiting],
    decided: int = 0,
) -> None:
    """Write a snapshot by one rename. ``names``: only those that belong to their bundle's channel.

    ``decided``: how many moves, recalls and removals it shows. Raises StorageError, OSError.
    """
    with write_index(path, SCHEMA) as index:
        numbers = (("generation", str(generation)), ("decided", str(decided)))
        meta = (("format", "diode-snapshot-1"), ("at", at), *numbers)
        index.add_all("INSERT INTO meta VALUES (?, ?)", iter(meta))
        index.add_all(f"INSERT INTO bundle VALUES ({', '.join('?' * len(Listed._fields))})", iter(bundles))
        index.add_all("INSERT OR REPLACE INTO claim VALUES (?, ?, ?, ?)", iter(names))
        index.add_all("INSERT INTO waiting VALUES (?, ?, ?)", iter(waiting))


class Snapshot:
    """One snapshot, opened. It never changes, so what was made of it once is kept with it: open cards, lists, pages.

    Any number of threads may use it.
    """

    def __init__(self, folder: Path) -> None:
        """``folder``: where the snapshot and the cards lie. Raises StorageError when there is none."""
        self.folder = folder
        self._cards = folder / CARDS
        self._index = IndexFile(folder / SNAPSHOT_FILE)
        self._lock = threading.Lock()
        self._open: dict[str, Card] = {}
        self._names: dict[Kind, Sequence[tuple[str, str, str]]] = {}
        self._rendered: OrderedDict[Hashable, bytes] = OrderedDict()
        meta = {row["key"]: row["value"] for row in self._index.rows("SELECT key, value FROM meta")}
        self.generation = int(meta["generation"])
        self.decided = int(
            meta.get("decided", -1)
        )  # moves, recalls and removals that it shows; -1: an earlier version's
        self.at = meta["at"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the snapshot and its cards. Without it they are closed when nobody uses the snapshot any more."""
        self._open.clear()
        self._index.close()

    def get(self, bundle: str) -> Listed | None:
        """A bundle by id."""
        row = self._index.row("SELECT * FROM bundle WHERE id = ?", (bundle,))
        return None if row is None else _listed(row)

    def named(self, channel: str, name: str) -> list[Listed]:
        """All versions of a bundle's name, newest first by sequence number."""
        query = "SELECT * FROM bundle WHERE channel = ? AND name = ? ORDER BY sequence DESC"
        return [_listed(row) for row in self._index.rows(query, (channel, name))]

    def holding(self, kind: Kind, normal: str) -> list[Listed]:
        """All bundles that hold something of a name, newest first by sequence number."""
        query = (
            "SELECT bundle.* FROM claim JOIN bundle ON bundle.id = claim.bundle "
            "WHERE kind = ? AND normal = ? ORDER BY sequence DESC"
        )
        return [_listed(row) for row in self._index.rows(query, (kind, normal))]

    def names(self, kind: Kind) -> Sequence[tuple[str, str, str]]:
        """(normal form, a spelling, channel) of each name of a kind, sorted, of which a list of versions shows any."""
        found = self._names.get(kind)
        if found is None:
            found = self._names[kind] = tuple(self._found_names(kind))
        return found

    def _found_names(self, kind: Kind) -> Iterator[tuple[str, str, str]]:
        query = (
            "SELECT normal, min(spelling) AS spelling, channel FROM claim JOIN bundle ON bundle.id = claim.bundle "
            "WHERE kind = ? AND (is_offered OR (was_current AND state = 'recalled')) GROUP BY normal ORDER BY normal"
        )
        for row in self._index.rows(query, (kind,)):
            yield row["normal"], row["spelling"], row["channel"]

    def rendered(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """A page of this snapshot; made where it is not kept. ``key``: all that the page depends on beside it."""
        with self._lock:
            if (found := self._rendered.get(key)) is not None:
                self._rendered.move_to_end(key)
                return found
        page = make()
        with self._lock:
            self._rendered[key] = page
            while sum(map(len, self._rendered.values())) > MOST_RENDERED:
                self._rendered.popitem(last=False)
        return page

    def bundles(self) -> Iterator[Listed]:
        """Every bundle."""
        return map(_listed, self._index.rows("SELECT * FROM bundle ORDER BY channel, name, sequence"))

    def present(self) -> Iterator[tuple[str, str]]:
        """(id, channel) of every bundle that is not removed."""
        query = "SELECT id, channel FROM bundle WHERE state != 'removed' ORDER BY id"
        return ((row["id"], row["channel"]) for row in self._index.rows(query))

    def any_recalled(self) -> bool:
        """Whether any bundle is recalled."""
        return self._index.row("SELECT 1 FROM bundle WHERE state = 'recalled' LIMIT 1") is not None

    def is_waiting(self, channel: str, name: str, version: str) -> bool:
        """Whether a bundle of this place is held."""
        query = "SELECT 1 FROM waiting WHERE channel = ? AND name = ? AND version = ?"
        return self._index.row(query, (channel, name, version)) is not None

    def card(self, bundle: str) -> Card:
        """The card of a bundle. Raises StorageError when it is not there: nothing of it can be served."""
        with self._lock:
            found = self._open.pop(bundle, None) or self.open_card(bundle)
            self._open[bundle] = found
            if len(self._open) > MOST_OPEN:
                del self._open[next(iter(self._open))]  # whoever still reads it keeps it open
        return found

    def open_card(self, bundle: str) -> Card:
        """A card that is not kept open here: closing it is the caller's. Raises StorageError when it is not there."""
        return Card(self._cards / f"{bundle}.db")


def _listed(row: Columns) -> Listed:
    fields = {name: row[name] for name in Listed._fields}
    for name in ("is_current", "is_offered", "was_current"):
        fields[name] = bool(fields[name])
    return Listed(**fields)
