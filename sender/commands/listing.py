"""``diode-sender ls`` and ``log``: which bundles were packed here, and the life of one of them."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from diode.audit.entries_of import entries_of
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.console.life import Life, Step, find_bundle, show_life, step_of
from diode.console.listing import list_bundles, wanted_of
from diode.errors import UsageError
from sender.commands.opening import maybe_ledger
from sender.ledger import Ledger, State


class Filters(NamedTuple):
    """Which bundles are listed, as it was typed."""

    of: str
    channel: str
    state: str
    since: str
    until: str


def ls(toml: Path, filters: Filters, most: int | None, *, as_json: bool) -> None:
    """List the newest bundles, ``most`` of them; None: all."""
    config = load(SenderConfig, toml)
    wanted = wanted_of(filters.of, filters.channel, filters.state, list(State), (filters.since, filters.until))
    ledger = maybe_ledger(config)
    if ledger is None:
        list_bundles(None, wanted, most, as_json=as_json)
        return
    with closing(ledger):
        list_bundles(ledger.listing, wanted, most, as_json=as_json)


def log(toml: Path, bundle: str, *, as_json: bool) -> None:
    """Show one bundle's life."""
    config = load(SenderConfig, toml)
    ledger = maybe_ledger(config)
    if ledger is None:
        raise UsageError(f"nothing was ever sent from {config.state}")
    with closing(ledger):
        found, row = find_bundle(ledger.listing, bundle)
        steps = [step_of(entry) for entry in entries_of(config.audit_folder, found, row.at if row else "")]
        steps += [] if row is None else _of_ledger(ledger, found)
    show_life(Life(found, row, steps), as_json=as_json)


def _of_ledger(ledger: Ledger, bundle: str) -> Iterator[Step]:
    """What only the ledger knows: how far sending has come."""
    row = ledger.get(bundle)
    if row is None:
        return
    if row.state == State.QUEUED:
        place = ledger.progress.of(bundle)
        if place.slab or place.sending_pass:
            detail = f"pass {place.sending_pass + 1} of {row.passes}, the next slab is {place.slab}"
            yield Step("", "on its way", detail=detail, source="ledger")
    if row.passes_over:
        over = "1 pass was" if row.passes_over == 1 else f"{row.passes_over} passes were"
        yield Step("", "passes", detail=f"{over} sent, resends included", source="ledger")
    for resend in ledger.resends.waiting():
        if resend.bundle == bundle:
            yield Step("", "resend waits", detail=f"{len(resend.ranges)} stretches of slabs", source="ledger")
