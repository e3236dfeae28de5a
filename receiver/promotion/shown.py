"""What the gateway is shown: the snapshot, made of the ledger. The rows are made by pure functions."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from diode.bundle.recall import NOT_RECALLED
from diode.errors import StorageError
from diode.storage.folder import Folder
from receiver.catalogue.pointer import Pointer
from receiver.catalogue.snapshot import CARDS, SNAPSHOT_FILE, Listed, Named, Snapshot, State, Waiting, write_snapshot
from receiver.ledger.bundles import Row
from receiver.ledger.catalogue import Entry, NameClaim
from receiver.ledger.ledgers import LedgerView
from receiver.ledger.pointers import Recall

WITHOUT_POINTERS: Final = NOT_RECALLED  # what counts once is not put to use by a pointer, either
PAUSE_S: Final = 0.5  # at least, between two snapshots that nobody waits for
REST: Final = 10  # and so many times as long as one takes, since bundles are being received meanwhile


class Shown:
    """Writes the snapshot: at once after an order, and soon after what happens by itself."""

    def __init__(
        self, ledger: LedgerView, folder: Path, now_utc: Callable[[], str], forward: Collection[str] = ()
    ) -> None:
        """``folder``: where snapshot and cards lie; it is made. ``forward``: channels that never go back.

        Raises OSError.
        """
        self._forward = frozenset(forward)
        self._ledger = ledger
        self._folder = folder
        self._now_utc = now_utc
        self._is_due = True
        self._next_at = 0.0
        with Folder.open(folder, create=True, mode=0o755) as made:
            made.folder(CARDS, create=True, mode=0o755).close()
        self._generation, self._decided = _numbers_of(folder)

    def change(self) -> None:
        """Something changed: the snapshot does not say so yet."""
        self._is_due = True

    def write_decided(self) -> None:
        """Write it now if a move, a recall or a removal is not in it. Whatever else it may lack, it is told soon.

        Raises StorageError, OSError; then it is tried again.
        """
        if self._ledger.pointers.generation() != self._decided:
            self.write()

    def maybe_write(self, now: float) -> None:
        """Write it if something changed and the last one is long enough ago. ``now``: of a monotonic clock.

        Raises StorageError, OSError; then it is tried again.
        """
        if self._is_due and now >= self._next_at:
            begun = time.monotonic()
            self._next_at = now + PAUSE_S
            self.write()
            self._next_at = now + max(PAUSE_S, REST * (time.monotonic() - begun))

    def write(self) -> None:
        """Write it now. Raises StorageError, OSError; then it is tried again."""
        self._is_due = True
        ledger = self._ledger
        pointers = list(ledger.pointers.all())
        bundles = listed(
            ledger.bundles.all_published(),
            {entry.bundle: entry for entry in ledger.catalogue.entries()},
            pointers,
            ledger.pointers.recalls(),
            ledger.pointers.were_current(),
            self._forward,
        )
        decided = ledger.pointers.generation()
        generation = max(self._generation + 1, decided)
        names, waiting = named(ledger.catalogue.claims()), waiting_of(ledger.bundles.held())
        write_snapshot(self._folder / SNAPSHOT_FILE, generation, self._now_utc(), bundles, names, waiting, decided)
        self._generation, self._decided = generation, decided
        self._is_due = False


def listed(
    rows: Iterable[Row],
    entries: Mapping[str, Entry],
    pointers: Collection[Pointer],
    recalls: Iterable[Recall],
    moved_to: Collection[str],
    forward: Collection[str] = (),
) -> Iterator[Listed]:
    """The bundles of a snapshot. ``rows``: what is published; ``moved_to``: ids that were in use at some time.

    In the channels ``forward`` nothing older than the version in use can be had any more.
    """
    used = {(one.channel, one.name): one.current for one in pointers if one.current and one.channel in forward}
    current = {pointer.current.bundle for pointer in pointers if pointer.current is not None}
    offered = {one.bundle for pointer in pointers for one in pointer.offered()}
    was = set(moved_to) | {one.bundle for pointer in pointers for one in pointer.deployed}
    recalled = {one.bundle: one for one in recalls if not one.undone}
    for row in rows:
        if row.channel in WITHOUT_POINTERS:
            continue
        state, reason, recalled_at = _state_of(entries.get(row.id), recalled.get(row.id))
        newer = used.get((row.channel, row.name))
        if state == "published" and newer is not None and row.sequence < newer.sequence:
            state, reason = "removed", f"replaced by {newer.version}, and identity material never goes back"
        yield Listed(
            *(row.id, row.channel, row.name, row.version, row.sequence, row.content, state, row.changed),
            dated=_dated(row, entries.get(row.id)),
            reason=reason,
            recalled=recalled_at,
            is_current=row.id in current,
            is_offered=row.id in offered and state == "published",
            was_current=row.id in was,
        )


def named(claims: Iterable[NameClaim]) -> Iterator[Named]:
    """The names of a snapshot: those that belong to the channel of the bundle that claims them."""
    return (Named(one.kind, one.normal, one.bundle, one.spelling) for one in claims if one.is_lawful)


def waiting_of(rows: Iterable[Row]) -> Iterator[Waiting]:
    """The bundles that are held."""
    return (Waiting(row.channel, row.name, row.version) for row in rows)


def _state_of(entry: Entry | None, recall: Recall | None) -> tuple[State, str, str]:
    """State, the reason of it, and since when it is recalled."""
    if recall is not None:
        return "recalled", recall.reason, recall.at
    if entry is not None and entry.removed:
        return "removed", f"removed from the inbox {entry.removed}", ""
    return "published", "", ""


def _dated(row: Row, entry: Entry | None) -> str:
    return entry.dated if entry is not None and entry.dated else row.changed


def _numbers_of(folder: Path) -> tuple[int, int]:
    """Generation, and moves and recalls, of the snapshot that lies there; 0 and -1 where none can be read."""
    try:
        with Snapshot(folder) as snapshot:
            return snapshot.generation, snapshot.decided
    except (StorageError, KeyError, ValueError):
        return 0, -1
