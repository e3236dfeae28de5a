"""``diode-sender ls``: lists the bundles that were packed here."""

from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.console.listing import list_bundles, wanted_of
from sender.commands.opening import maybe_ledger
from sender.commands.status_lines import KEPT_BACK
from sender.ledger import State


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
        list_bundles(None, wanted, most, lambda one: one.state, as_json=as_json)
        return
    with closing(ledger):
        kept = ledger.kept_back.all()
        list_bundles(
            ledger.listing,
            wanted,
            most,
            lambda one: KEPT_BACK if one.state == State.QUEUED and one.id in kept else one.state,
            as_json=as_json,
        )
