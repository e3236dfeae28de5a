"""Finds what of a bundle or an item failed and can be tried again; for all else, what to type."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from diode.bundle.ref import label_of
from diode.config.sender import Outbox
from diode.errors import UsageError
from sender.ledger import Ledger, Row, State
from sender.outbox.folder import OutboxFolder, printable


class Plan(NamedTuple):
    """What is tried again. ``facts`` name it in the audit log. ``begin`` starts it, and does not wait for its end."""

    what: str
    facts: dict[str, str]
    begin: Callable[[], object]


class Retrying:
    """Asked by a person. ``look`` has the outbox looked at now, and an item of it handled anew."""

    def __init__(self, outbox: Outbox, folder: OutboxFolder, ledger: Ledger, look: Callable[[Path], None]) -> None:
        self._outbox = outbox
        self._folder = folder
        self._ledger = ledger
        self._look = look

    def bundle(self, bundle: str) -> Plan:
        """What can be tried again of a bundle. Raises UsageError when nothing can: it says what to type instead."""
        row = self._ledger.get(bundle)
        if row is None:
            raise UsageError(f"no bundle {bundle} is known here; nothing was tried")
        match row.state:
            case State.UNAPPROVED:
                raise UsageError(f"{label_of(row)} waits for people: 'diode-sender approve {row.id}'")
            case State.QUEUED | State.APPROVED:
                raise UsageError(f"{label_of(row)} has not failed: it is {row.state}; 'diode-sender status' shows why")
            case State.SENT | State.CONFIRMED:
                raise UsageError(
                    f"{label_of(row)} was sent; what is missing of it in the enclave is sent again by a code: there "
                    "'diode-receiver missing', here 'diode-sender resend CODE'"
                )
        return self._withdrawn(row)

    def _withdrawn(self, row: Row) -> Plan:
        item = Path(row.origin)
        if not row.origin or item.parent.parent != self._outbox.path:
            raise UsageError(f"{label_of(row)} was withdrawn ({row.detail}); have it packed anew: 'diode-sender send'")
        return self.item("failed", item.parent.name, item.name)

    def item(self, place: str, channel: str, name: str) -> Plan:
        """What can be tried again of an item. Raises UsageError when nothing can."""
        if name.startswith(".") or "/" in name or "\0" in name or not name:
            raise UsageError(f"{name!a} is no item's name")
        entry = self._outbox.path / channel / name
        facts = {"channel": channel, "name": printable(Path(name))}
        if place == "outbox":
            if not self._folder.has(entry):
                raise UsageError(f"{printable(entry)} does not lie in the outbox")
            return Plan("the item in the outbox", facts, partial(self._look, entry))
        self._check_aside(entry)
        return Plan("the item that was set aside", facts, partial(self._bring_back, entry))

    def _check_aside(self, entry: Path) -> None:
        """Raise UsageError unless the item lies in ``failed``, and can be what it was before."""
        channel, name = entry.parent.name, entry.name
        aside = printable(self._outbox.failed / channel / name)
        if not self._folder.is_set_aside(channel, name):
            raise UsageError(f"{aside} is not there: drop the item into the outbox again")
        if self._folder.has(entry):
            raise UsageError(f"another item lies at {printable(entry)}; move one of them away")
        stem, at, version = name.rpartition("@")
        known = self._ledger.find(channel, stem, version=version) if at else None
        if known is not None:
            raise UsageError(
                f"version {version} of {channel}/{stem} is spent: {known.id} had it, and the enclave may know of it; "
                f"give it a new one: mv {aside} {printable(entry.parent / stem)}@VERSION"
            )

    def _bring_back(self, entry: Path) -> None:
        """Raises UsageError."""
        try:
            self._folder.bring_back(entry)
        except OSError as error:
            raise UsageError(f"{printable(entry)}: {error.strerror}; it stays where it was") from error
        self._look(entry)
