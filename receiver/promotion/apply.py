"""Moves pointers: the one place where it happens, in one order of writes.

First the audit log, then the ledger in one transaction with what became of the orders, then the pointer's file, then
the link ``current``, then the snapshot. A crash after any of them leaves the old pointer or the new one:
:mod:`receiver.promotion.reconcile` finishes at the next start what the ledger says.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from diode.audit.chain import What
from diode.audit.log import AuditLog
from receiver.catalogue.pointer import Pointer, Version, write_pointer
from receiver.ledger.ledgers import StoreLedger
from receiver.ledger.pointers import Move, Outcome
from receiver.messages.use import NotLinked, PointerMoved
from receiver.promotion.files import PointerFiles
from receiver.promotion.rules import Change
from receiver.promotion.shown import Shown


class By(NamedTuple):
    """Who decided. ``who`` empty: nobody, it followed by itself. ``again``: it may have been written down before."""

    who: str = ""
    key: str = ""
    reason: str = ""
    again: bool = False


class Pointers:
    """The pointers of all names. ``tell`` sends a message to the supervisor.

    What the disk does not take is raised; what the ledger has by then is finished by :meth:`settle`.
    """

    def __init__(
        self,
        ledger: StoreLedger,
        audit: AuditLog,
        files: PointerFiles,
        shown: Shown,
        tell: Callable[[object], None],
    ) -> None:
        self.ledger = ledger
        self.audit = audit
        self.files = files
        self.shown = shown
        self._tell = tell
        self._unsettled: set[tuple[str, str]] = set()
        self._blocked: dict[tuple[str, str], str] = {}  # whose link is not ours, and what was said of it

    def get(self, channel: str, name: str) -> Pointer:
        """The pointer of a name; an empty one where nothing was in use yet."""
        return self.ledger.pointers.get(channel, name) or Pointer(channel, name)

    def move(self, change: Change, by: By, outcomes: Iterable[Outcome] = (), *, at_once: bool = True) -> None:
        """Put a change into effect, and record what became of the orders that asked for it.

        ``at_once``: the snapshot is written now; otherwise with others, soon. Raises StorageError, OSError.
        """
        after = change.after
        before = self.get(after.channel, after.name)
        self.write_down(change.what, after, change.version, by, change.detail)
        self._unsettled.add((after.channel, after.name))
        with self.ledger.pointers.deciding():
            self.ledger.pointers.move(after, _move(before, change, by))
            for outcome in outcomes:
                self.ledger.pointers.conclude(outcome)
        self.shown.change()
        self.settle()
        if at_once:
            self.shown.write()

    def take_up(self, change: Change, by: By) -> None:
        """Record a pointer that its file is ahead with. Raises StorageError."""
        before = self.get(change.after.channel, change.after.name)
        with self.ledger.pointers.deciding():
            self.ledger.pointers.move(change.after, _move(before, change, by))
        self.shown.change()

    def write_down(self, what: What, pointer: Pointer, version: Version | None, by: By, detail: str) -> None:
        """The audit log's entry, before a decision takes effect. Raises StorageError."""
        row = self.ledger.bundles.get(version.bundle) if version else None
        facts = {"channel": pointer.channel, "name": pointer.name}
        if version is not None:
            facts |= {"bundle": version.bundle, "version": version.version}
        if row is not None:
            facts["digest"] = row.content
        if by.who:
            facts |= {"who": by.who, "key": by.key}
        said = ": ".join(filter(None, (detail, by.reason)))
        self.audit.append(what, **facts, detail=said, again=by.again)

    def ask_hook(self, pointer: Pointer) -> None:
        """Tell the supervisor that a version is in use that its hook has to look at, or that a drill has begun."""
        assert pointer.current is not None
        bundle, number = pointer.current.bundle, pointer.number
        self._tell(PointerMoved(bundle, number, "drill" if pointer.drill is not None else "trial"))

    def settle(self) -> None:
        """Let files and links follow the ledger, where that is still to be done. Raises OSError."""
        for place in sorted(self._unsettled):
            pointer = self.ledger.pointers.get(*place)
            if pointer is not None:
                self.follow(pointer)
                if pointer.current is not None and (pointer.on_trial or pointer.drill is not None):
                    self.ask_hook(pointer)
            self._unsettled.discard(place)

    def follow(self, pointer: Pointer) -> None:
        """Let file and link follow their pointer; what is in their way is told of once."""
        place = pointer.channel, pointer.name
        is_written = self.files.read(*place) == write_pointer(pointer)
        blocked = "" if is_written else self.files.write(pointer)
        blocked = "; ".join(filter(None, (blocked, self.files.link(pointer))))
        if blocked and self._blocked.get(place) != blocked and pointer.current is not None:
            self._tell(NotLinked(pointer.current.bundle, blocked[:500]))
        self._blocked.pop(place, None)
        if blocked:
            self._blocked[place] = blocked


def _move(before: Pointer, change: Change, by: By) -> Move:
    after, used = change.after, change.after.current
    old, new = (one.version if one is not None else "" for one in (before.current, used))
    about = change.version or used
    reason = ": ".join(filter(None, (change.detail, by.reason)))
    bundle = about.bundle if about is not None else ""
    return Move(after.changed, after.channel, after.name, str(change.what), old, new, bundle, by.who, reason)
