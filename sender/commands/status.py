"""``diode-sender status``: a table of the newest bundles and their states."""

from contextlib import closing
from pathlib import Path
from typing import Final

from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.console.bundles import Listed, show_status, state_of
from diode.console.terminal import say_json
from diode.storage.locking import is_locked
from sender.commands.opening import maybe_ledger
from sender.ledger import Row

MOST_SHOWN: Final = 20


def show(toml: Path, *, as_json: bool) -> None:
    """Show the newest bundles and what became of them."""
    config = load(SenderConfig, toml)
    rows: list[Row] = []
    if ledger := maybe_ledger(config):
        with closing(ledger):
            rows = ledger.recent(MOST_SHOWN)
    is_running = is_locked(config.state)
    if as_json:
        say_json({"running": is_running, "bundles": [row._asdict() for row in rows]})
    else:
        show_status([Listed.of(row, state_of(row)) for row in rows], is_running=is_running)
