"""``diode-receiver ls``: lists the bundles that came here."""

from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.listing import list_bundles, wanted_of
from receiver.commands.opening import maybe_ledger
from receiver.ledger.standing import QUARANTINED, Standings
from receiver.ledger.states import State


class Filters(NamedTuple):
    """Which bundles are listed, as it was typed."""

    of: str
    channel: str
    state: str
    since: str
    until: str


def ls(toml: Path, filters: Filters, most: int | None, *, as_json: bool) -> None:
    """List the newest bundles, ``most`` of them; None: all."""
    config = load(ReceiverConfig, toml)
    state = State.REFUSED if filters.state == QUARANTINED else filters.state
    wanted = wanted_of(filters.of, filters.channel, state, list(State), (filters.since, filters.until))
    ledger = maybe_ledger(config)
    if ledger is None:
        list_bundles(None, wanted, most, lambda one: one.state, as_json=as_json)
        return
    with closing(ledger):
        standings = Standings(ledger)
        list_bundles(ledger.listing, wanted, most, lambda one: standings.of(one).word, as_json=as_json)
