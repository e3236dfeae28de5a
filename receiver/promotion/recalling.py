"""Recalls take effect here: those that staging signed, and those that people of the enclave order and take back.

First the audit log, then the ledger in one transaction, then the snapshot. Nothing of a recalled bundle is served, and
no pointer moves: where the recalled version is in use, clients are told so until a person decides. Published files stay
where they are.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from diode.audit.chain import What
from diode.bundle.manifest import Manifest
from diode.bundle.recall import NOT_RECALLED, RecallStatement, check_reason
from diode.errors import PolicyError, StorageError, UsageError
from receiver.ledger.bundles import Row
from receiver.ledger.ledgers import StoreLedger
from receiver.ledger.pointers import Outcome, Recall
from receiver.messages.use import Recalled
from receiver.promotion.apply import By, Pointers
from receiver.promotion.obey import Wanted

BY_STAGING = "staging"  # before the names of those who signed there


class Heard(NamedTuple):
    """A statement of staging whose signatures are enough. ``digest``: its own; ``carrier``: the bundle it came in."""

    statement: RecallStatement
    digest: str
    carrier: str
    people: str
    keys: str


class Recalling:
    """Puts recalls into effect. ``follow`` is told the id of a bundle that may be used again."""

    def __init__(
        self, pointers: Pointers, tell: Callable[[object], None], follow: Callable[[str], None] = lambda _: None
    ) -> None:
        self._pointers = pointers
        self._tell = tell
        self._follow = follow

    @property
    def _ledger(self) -> StoreLedger:
        return self._pointers.ledger

    def hear(self, heard: Heard, at: str) -> None:
        """A statement of staging. One that had its effect already has no other. ``at``: this host's time.

        Raises PolicyError when it contradicts what is known of the bundle, StorageError, OSError.
        """
        if self._ledger.recalls.has_heard(heard.digest):
            return
        statement = heard.statement
        row = self._ledger.bundles.get(statement.bundle)
        if row is not None and (known := _place(row)) != statement.place:
            raise PolicyError(
                f"it recalls {statement.bundle} as {statement.label}, and that bundle is {'/'.join(known[1:])} here"
            )
        who = f"{BY_STAGING}: {heard.people}"
        recall = Recall(*statement.place, at, who, statement.reason)
        by = By(who, heard.keys, f"signed {statement.at}, in bundle {heard.carrier}")
        self._take_effect(recall, row, by, heard=heard)

    def order(self, wanted: Wanted) -> None:
        """A person recalls a bundle that arrived. Raises UsageError with the reason why not."""
        row = self._ordered(wanted)
        before = self._ledger.recalls.of(*_place(row))
        if before is not None and not before.undone:
            raise UsageError(f"{row.label} is recalled already, since {before.at}: {before.reason}")
        try:
            reason = check_reason(wanted.order.reason)
        except ValueError as error:
            raise UsageError(str(error)) from None
        recall = Recall(*_place(row), wanted.at, wanted.by.who, reason)
        by = wanted.by._replace(reason="")
        self._take_effect(recall, row, by, wanted.outcomes("applied", f"recalled: {reason}"))

    def undo(self, wanted: Wanted) -> None:
        """A person takes a recall back. Raises UsageError when there is none that counts."""
        row = self._ordered(wanted)
        before = self._ledger.recalls.of(*_place(row))
        if before is None or before.undone:
            raise UsageError(f"{row.label} is not recalled")
        self._write_down(What.RECALL_UNDONE, before, row, wanted.by, f"recalled {before.at} by {before.who}")
        with self._ledger.pointers.deciding():
            self._ledger.recalls.put(before._replace(undone=wanted.at))
            for outcome in wanted.outcomes("applied", "the recall is taken back"):
                self._ledger.pointers.conclude(outcome)
        self._show()
        self._tell(Recalled(row.id))
        self._follow(row.id)

    def arrived(self, bundle: str, manifest: Manifest) -> None:
        """A bundle is complete: recalls that named its id, and another place, are about no bundle and are dropped.

        Whoever may sign for one channel cannot take another channel's bundles back before they arrive. Raises
        StorageError.
        """
        place = (bundle, manifest.channel, manifest.name, manifest.version)
        for recall in self._ledger.recalls.about(bundle):
            named = (recall.bundle, recall.channel, recall.name, recall.version)
            if named != place:
                detail = f"it named {'/'.join(named[1:])}; the bundle that has arrived is {'/'.join(place[1:])}"
                self._write_down(What.RECALL_UNDONE, recall, None, By(), detail)
                with self._ledger.pointers.deciding():
                    self._ledger.recalls.drop(recall)

    def _ordered(self, wanted: Wanted) -> Row:
        """The bundle that an order is about. Its giver may decide about the channel that the order names."""
        order = wanted.order
        row = self._ledger.bundles.get(order.bundles[0]) if len(order.bundles) == 1 else None
        if row is None:
            raise UsageError("a recall is about one bundle that arrived here")
        if row.channel in NOT_RECALLED:
            raise UsageError(f"bundles of channel {row.channel} cannot be recalled")
        if _place(row)[1:] != (order.channel, order.name, order.version):
            raise UsageError(f"{row.id} is {row.label}, and not what the order says")
        return row

    def _take_effect(
        self,
        recall: Recall,
        row: Row | None,
        by: By,
        outcomes: list[Outcome] | None = None,
        heard: Heard | None = None,
    ) -> None:
        detail = recall.reason if row is not None else f"{recall.reason} (it has not arrived yet)"
        self._write_down(What.RECALLED, recall, row, by, detail)
        with self._ledger.pointers.deciding():
            self._ledger.recalls.put(recall)
            if heard is not None:
                self._ledger.recalls.hear(heard.digest, heard.carrier, recall.at)
            for outcome in outcomes or ():
                self._ledger.pointers.conclude(outcome)
        self._show()
        self._tell(Recalled(recall.bundle))

    def _write_down(self, what: What, recall: Recall, row: Row | None, by: By, detail: str) -> None:
        facts = {"bundle": recall.bundle, "channel": recall.channel, "name": recall.name, "version": recall.version}
        if row is not None:
            facts["digest"] = row.content
        if by.who:
            facts["who"] = by.who
        if by.key:
            facts["key"] = by.key
        said = ": ".join(filter(None, (detail, by.reason)))
        self._pointers.audit.append(what, **facts, detail=said, again=by.again)

    def _show(self) -> None:
        """Show it to the gateway. What the disk does not take now is tried again, soon."""
        self._pointers.shown.change()
        with suppress(OSError, StorageError):
            self._pointers.shown.write()


def _place(row: Row) -> tuple[str, str, str, str]:
    return row.id, row.channel, row.name, row.version
