"""Empties bundles that gc was told to remove: ``data/`` goes, receipts, manifest and sums stay.

The hard rules are looked at once more. Audit log, ledger and snapshot say first that a bundle is removed; then its
``data/`` is renamed to ``inbox/.diode/removed/<id>``, and deleted from there in a thread. What a crash leaves is
finished at the next start.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from typing import Final, NamedTuple

from diode.audit.chain import What
from diode.audit.log import MOST_AT_ONCE
from diode.errors import UsageError
from diode.formats.timestamps import moment
from diode.process.clock import DOUBTED
from diode.storage.folder import Folder
from receiver.catalogue.pointer import never_removed
from receiver.inbox.folder import Inbox
from receiver.ledger.bundles import Row
from receiver.ledger.pointers import Outcome
from receiver.ledger.states import State
from receiver.promotion.apply import By, Pointers
from receiver.promotion.facts import DATA, Known
from receiver.promotion.obey import Wanted
from receiver.promotion.shown import WITHOUT_POINTERS

REMOVED: Final = "removed"  # the folder, below .diode
# When clients last took something of a bundle, by its id. Raises OSError, ValueError when that cannot be told.
Taken = Callable[[], Mapping[str, str]]


def unknown_takers(error: Exception) -> str:
    """What is said when nobody can tell what clients took."""
    why = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else f"damaged: {str(error)[:200]}"
    return (
        f"nothing was removed: what clients took lately cannot be read from the gateway's log folder ({why}). Let the "
        "receiver's user read it, and start the receiver anew if the folder is newer than its start"
    )


class Deleting(NamedTuple):
    """What a thread deletes. ``number``: no bundle has it."""

    name: str
    number: int = -1


Start = Callable[[Deleting, Callable[[], object]], None]


class Removal:
    """Applies the order ``remove``. ``start`` runs a piece of work in a thread; ``taken``: see :data:`Taken`.

    ``clock``: seconds since 1970; ``is_doubted``: that jumped, so nobody can tell what was taken lately.
    """

    def __init__(
        self,
        inbox: Inbox,
        pointers: Pointers,
        known: Known,
        start: Start,
        taken: Taken,
        clock: Callable[[], float],
        is_doubted: Callable[[], bool],
    ) -> None:
        self._inbox = inbox
        self._pointers = pointers
        self._known = known
        self._start = start
        self._taken = taken
        self._clock = clock
        self._is_doubted = is_doubted
        self._removed = inbox.ours.folder(REMOVED, create=True)
        self._to_empty: dict[str, Row] = {}

    def resume(self) -> None:
        """Take up what an earlier run left: emptied half-way, or forgotten by the ledger. Raises StorageError."""
        ledger = self._pointers.ledger
        removed = set(ledger.catalogue.removed())
        rows = [row for row in map(ledger.bundles.get, removed) if row is not None and _has_pointer(row)]
        self._to_empty = {row.id: row for row in rows if self._known.has_data(row)}
        forgotten = [row for row in ledger.bundles.from_receipts() if row.id not in removed and _has_pointer(row)]
        lost = [row for row in forgotten if self._is_empty(row)]
        if lost:
            self._note(lost, moment(self._clock()), [])
        self.go_on()

    def remove(self, wanted: Wanted) -> None:
        """Empty the bundles that an order names, but for those that must stay. Raises UsageError when none is left."""
        rows, kept = self._judge(wanted)
        if not rows:
            raise UsageError(f"nothing was removed: {kept[0] if kept else 'the order names no bundle'}")
        by = wanted.by
        for first in range(0, len(rows), MOST_AT_ONCE):
            self._pointers.audit.append_all(
                [(What.REMOVED, _audited(row, by)) for row in rows[first : first + MOST_AT_ONCE]]
            )
        detail = f"{len(rows)} removed"
        if kept:
            detail += f"; {len(kept)} stay, since {kept[0]}"
        self._to_empty |= {row.id: row for row in rows}
        self._note(rows, wanted.at, wanted.outcomes("applied", detail[:500]))
        self._pointers.shown.write()
        self.go_on()

    def go_on(self) -> None:
        """Do what is still to be done: rename what is to be emptied, and delete what was. Raises OSError."""
        for row in list(self._to_empty.values()):
            self._empty(row)
            del self._to_empty[row.id]
        if names := self._removed.names():
            self._start(Deleting(names[0]), lambda: self._removed.remove(names[0]))

    def _judge(self, wanted: Wanted) -> tuple[list[Row], list[str]]:
        """The bundles that may go, and why others may not."""
        taken, rows, kept = self._lately(wanted.order.channel), [], []
        for bundle in dict.fromkeys(wanted.order.bundles):
            row = self._pointers.ledger.bundles.get(bundle)
            reason = f"bundle {bundle} is not published here"
            if row is not None and row.state == State.PUBLISHED:
                reason = self._why_not(row, wanted.order.channel, taken.get(bundle, ""))
            if row is not None and not reason:
                rows.append(row)
            else:
                kept.append(reason)
        return rows, kept

    def _lately(self, channel: str) -> Mapping[str, str]:
        """What clients took so lately that it stays, and when. Raises UsageError: nobody can tell."""
        lately_s = self._known.taken_s(channel)
        if not lately_s:
            return {}
        if self._is_doubted():
            raise UsageError(f"nothing was removed: {DOUBTED}; set it right, or give the order again then")
        since = moment(self._clock() - lately_s)
        try:
            return {bundle: at for bundle, at in self._taken().items() if at > since}
        except (OSError, ValueError) as error:
            raise UsageError(unknown_takers(error)) from None

    def _why_not(self, row: Row, channel: str, taken: str) -> str:
        """Why a bundle must stay; empty: it may go."""
        if row.channel != channel or channel in WITHOUT_POINTERS:
            return f"{row.label} is not of channel {channel}"
        entry = self._pointers.ledger.catalogue.entry(row.id)
        if entry is not None and entry.removed:
            return f"{row.label} was removed before"
        pointer = self._pointers.get(row.channel, row.name)
        facts = self._known.of(pointer, pointer.changed)
        if row.version in pointer.pinned:
            return f"{row.label} is pinned"
        if row.id in never_removed(pointer, facts.unusable, only_forward=facts.only_forward):
            return f"{row.label} is in use, or is where a rollback leads"
        if taken:
            return f"{row.label} was taken by a client {taken}"
        return ""

    def _note(self, rows: Iterable[Row], at: str, outcomes: Iterable[Outcome]) -> None:
        with self._pointers.ledger.pointers.deciding():
            for row in rows:
                self._pointers.ledger.catalogue.note_removed(row.id, at)
            for outcome in outcomes:
                self._pointers.ledger.pointers.conclude(outcome)
        self._pointers.shown.change()

    def _empty(self, row: Row) -> None:
        """Rename a bundle's ``data``; a reader may have taken the bundle away meanwhile."""
        with suppress(FileNotFoundError), self._version(row) as folder:
            if folder.has(DATA):
                self._removed.remove(row.id)  # of a bundle of that id that a person has put there
                folder.move(DATA, self._removed, row.id)
                folder.sync()
                self._removed.sync()

    def _is_empty(self, row: Row) -> bool:
        """Whether a bundle's folder is there, without its ``data``."""
        with suppress(OSError), closing(self._version(row)) as folder:
            return not folder.has(DATA)
        return False

    def _version(self, row: Row) -> Folder:
        return self._inbox.top.folders(f"{row.channel}/{row.name}/{row.version}")


def _has_pointer(row: Row) -> bool:
    """Whether it is a published bundle of a channel whose names have pointers."""
    return row.state == State.PUBLISHED and row.channel not in WITHOUT_POINTERS


def _audited(row: Row, by: By) -> dict[str, object]:
    place = {"bundle": row.id, "channel": row.channel, "name": row.name, "version": row.version}
    return place | {"digest": row.content, "who": by.who, "key": by.key, "detail": by.reason, "again": by.again}
