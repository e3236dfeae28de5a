"""Finds what of a bundle failed for a reason of this host, and can be tried again; for all else, what to type."""

import shlex
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

from diode.config.receiver import ReceiverConfig
from diode.errors import StorageError, UsageError
from diode.formats.timestamps import now_utc
from diode.trust.keys import maybe_read_service_key
from receiver.ledger.bundles import Row
from receiver.ledger.ledgers import LedgerView
from receiver.ledger.states import State
from receiver.peer.requests import request_bundle
from receiver.promotion.orders import Order, new_id, write_order


class Plan(NamedTuple):
    """What is tried again. ``begin`` starts it, and does not wait for its end."""

    row: Row
    what: str
    begin: Callable[[], None]


def _newer(row: Row) -> str:
    """What to type on the sender."""
    return f"'diode-sender put PATH --channel {row.channel} --name {shlex.quote(row.name)}@VERSION'"


class Scans(Protocol):
    """Scans of held bundles."""

    def has_failed(self, bundle: str) -> bool:
        """Whether its scanner gave no answer, and is not at work."""

    def again(self, bundle: str) -> None:
        """Have it scanned once more."""


class Retrying:
    """Asked by a person about one bundle at a time."""

    def __init__(self, config: ReceiverConfig, ledger: LedgerView, scans: Scans) -> None:
        self._config = config
        self._ledger = ledger
        self._scans = scans

    def find(self, bundle: str) -> Plan:
        """What can be tried again. Raises UsageError when nothing can: it says what to type instead."""
        row = self._ledger.bundles.get(bundle)
        if row is None or row.state == State.EXPIRED:
            raise UsageError(f"nothing of {bundle} is here, so nothing was tried; {self._ask(bundle)}")
        match row.state:
            case State.HELD:
                return self._held(row)
            case State.RECEIVING | State.PUBLISHING:
                raise UsageError(self._on_its_way(row))
            case State.REFUSED:
                raise UsageError(
                    f"{row.label} was refused for good ({row.detail}), also where the reason lay here: when that is "
                    f"mended, put it into the sender's outbox again under a new version, as {_newer(row)}"
                )
        return self._published(row)

    def _published(self, row: Row) -> Plan:
        entry = self._ledger.catalogue.entry(row.id)
        if entry is not None and entry.problem and not entry.removed:
            return Plan(row, "the look into its content", partial(self._describe, row))
        raise UsageError(f"{row.label} is published; {self._not_in_use(row) or 'nothing of it failed'}")

    def _not_in_use(self, row: Row) -> str:
        """What to type where another version is in use; empty: this one is, or its channel has no pointers."""
        pointer = self._ledger.pointers.get(row.channel, row.name)
        if pointer is None or pointer.current is None or pointer.current.bundle == row.id:
            return ""
        typed = f"'diode-receiver promote {row.channel}/{row.name} {shlex.quote(row.version)}'"
        channel = self._config.channels.get(row.channel)
        asks = " and asks the health hook again" if channel is not None and channel.health else ""
        return f"{pointer.current.version} is in use: {typed} puts this one to use{asks}"

    def _describe(self, row: Row) -> None:
        """Have ``store`` look into it. Raises StorageError."""
        order = Order(
            id=new_id(),
            what="describe",
            channel=row.channel,
            name=row.name,
            version=row.version,
            bundles=[row.id],
            at=now_utc(),
        )
        signer = maybe_read_service_key(self._config.service_key)
        if signer is None:
            raise UsageError(f"{self._config.service_key} is gone, and nobody else speaks for the receiver")
        try:
            write_order(self._config.state, order, [signer])
        except OSError as error:
            raise StorageError(f"nothing was tried: {self._config.state} takes no order: {error}") from error

    def _held(self, row: Row) -> Plan:
        channel = self._config.channels.get(row.channel)
        if channel is None or not channel.scan:
            raise UsageError(f"{row.label} waits for people: 'diode-receiver accept {row.id}', or 'reject {row.id}'")
        if not self._scans.has_failed(row.id):
            raise UsageError(f"the scanner of {row.label} is at work, or has answered; 'diode-receiver held' shows it")
        return Plan(row, "the scan", partial(self._scans.again, row.id))

    def _on_its_way(self, row: Row) -> str:
        missing = row.slabs - self._ledger.slabs.count(row.id)
        if missing > 0 and row.state == State.RECEIVING:
            return f"{row.label} lacks {missing} of {row.slabs} slabs; {self._ask(row.id)}"
        return f"{row.label} is whole, and is being published: what the disk refuses is tried again every 5 s"

    def _ask(self, bundle: str) -> str:
        """What to type on the other side."""
        request = request_bundle(self._ledger, bundle)
        code = request.command if request.is_short else "'diode-receiver missing' makes its code"
        return f"on the sender: {code}"
