"""``diode-receiver log``: the life of one bundle, as this side knows it, and what the sender says of it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from diode.audit.entries_of import entries_of
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.life import Life, Step, find_bundle, show_life, step_of
from diode.console.moments import whole_time
from receiver.catalogue.takers import last_taken
from receiver.commands.opening import open_ledger
from receiver.ledger.ledgers import LedgerView
from receiver.ledger.standing import Standings
from receiver.ledger.states import State


def log(toml: Path, bundle: str, *, as_json: bool) -> None:
    """Show one bundle's life."""
    config = load(ReceiverConfig, toml)
    with closing(open_ledger(config)) as ledger:
        found, row = find_bundle(ledger.listing, bundle)
        steps = [step_of(entry) for entry in entries_of(config.audit_folder, found)]
        steps += [*_of_ledger(ledger, found), *_of_sender(ledger, found), *_of_gateway(config, found)]
        standing = Standings(ledger).of(row).text if row else ""
    show_life(Life(found, row, steps, standing), as_json=as_json)


def _of_ledger(ledger: LedgerView, bundle: str) -> Iterator[Step]:
    """What only the ledger knows: how much is here, what a description says, and whether it is in use."""
    row = ledger.bundles.get(bundle)
    if row is None:
        return
    if row.state == State.RECEIVING:
        spilled = len(ledger.slabs.spilled(bundle))
        waits = f", {spilled} wait for room in memory" if spilled else ""
        detail = f"{ledger.slabs.count(bundle)} of {row.slabs} slabs are here{waits}"
        yield Step(row.changed, "arriving", detail=detail, source="ledger")
    entry = ledger.catalogue.entry(bundle)
    if entry is not None:
        by = "when it was packed" if entry.dated_by == "built" else f"by {entry.dated_by}"
        detail = f"its content is of {whole_time(entry.dated)}, {by}" if entry.dated else ""
        yield Step("", "described", detail=entry.problem or detail, source="ledger")
    pointer = ledger.pointers.get(row.channel, row.name)
    if pointer is not None and pointer.current is not None and pointer.current.bundle == bundle:
        yield Step("", "in use", source="ledger")


def _of_sender(ledger: LedgerView, bundle: str) -> Iterator[Step]:
    """What heartbeats say of it. Nobody signed that, so it decides nothing."""
    if ledger.peer.was_heard(bundle):
        yield Step("", "announced", detail="it is among what its heartbeats name", source="peer")
    if bundle in ledger.peer.cancelled():
        yield Step("", "cancelled", detail="no more of it comes", source="peer")


def _of_gateway(config: ReceiverConfig, bundle: str) -> Iterator[Step]:
    """When a client last took something of it."""
    try:
        at = last_taken(config.gateway.log).get(bundle)
    except (OSError, ValueError) as error:
        yield Step("", "taken", detail=f"nobody knows: {error}", source="gateway")
        return
    if at is not None:
        detail = "a client last took something of it; 'diode-receiver recall ID' shows who did"
        yield Step(at, "taken", detail=detail, source="gateway")
