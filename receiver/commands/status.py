"""``diode-receiver status``: a table of the newest bundles and their states."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.bundles import Listed, show_status
from diode.console.terminal import say_json
from diode.formats.timestamps import now_utc
from diode.storage.locking import is_locked
from receiver.catalogue.lag import State as LagState
from receiver.catalogue.lag import lags, worst
from receiver.commands import lag
from receiver.commands.drill import due_of, due_said, due_text
from receiver.commands.ingest import undo_lines
from receiver.commands.opening import maybe_ledger
from receiver.ledger.bundles import Row
from receiver.ledger.quarantined import Quarantined
from receiver.ledger.standing import RECALLED, Standing, Standings
from receiver.peer.link_keys import link_keys

MOST_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of a bundle is here: slabs, of which some wait for room in memory."""

    stored: int
    spilled: int

    @property
    def said(self) -> dict[str, int]:
        """As JSON has it, whose readers know spilled slabs as parked."""
        return {"stored": self.stored, "parked": self.spilled}


def show(toml: Path, *, as_json: bool) -> None:
    """Show the newest bundles and what became of them."""
    config = load(ReceiverConfig, toml)
    rows, progress, sessions, recalls, drills, oldest = [], {}, [], [], [], None
    standing: dict[str, Standing] = {}
    quarantined: list[Quarantined] = []
    if ledger := maybe_ledger(config):
        with closing(ledger):
            rows, sessions = ledger.bundles.recent(MOST_SHOWN), ledger.peer.sessions()
            recalls, drills = ledger.pointers.recalls(), due_of(config, ledger)
            oldest = worst(lags(ledger.catalogue.arrivals(), config.channels, now_utc()))
            progress = {
                row.id: Progress(ledger.slabs.count(row.id), len(ledger.slabs.spilled(row.id)))
                for row in rows
                if row.state == "receiving"
            }
            standings = Standings(ledger)
            standing, quarantined = {row.id: standings.of(row) for row in rows}, ledger.quarantined.all()
    is_running = is_locked(config.state)
    keys = link_keys(config.link, sessions)
    if as_json:
        bundles = [_fields(row, standing[row.id], progress.get(row.id)) for row in rows]
        said = {"running": is_running, "link_keys": None if keys is None else keys._asdict(), "bundles": bundles}
        said |= {"recalls": [one._asdict() for one in recalls], "drills": [due_said(one) for one in drills]}
        said |= {"quarantined": [one._asdict() for one in quarantined]}
        say_json(said | {"worst_lag": None if oldest is None else lag.said(oldest)})
        return
    notes = [keys.text] if keys is not None and keys.previous else []
    notes += [] if oldest is None or oldest.state == LagState.WITHIN else [lag.text(oldest)]
    recalled = {one.bundle: one.reason for one in recalls if not one.undone}
    held = [one for bundle in recalled for one in undo_lines(config, toml, bundle)]
    notes += [f"a store holds what is recalled: {one}" for one in held]
    notes += [_refused(one) for one in quarantined[:MOST_SHOWN]]
    note = "\n".join([*notes, *(due_text(one) for one in drills if one.due)])
    states = {row.id: _state(row, standing[row.id], progress.get(row.id), recalled.get(row.id, "")) for row in rows}
    listed = [Listed.of(row, states[row.id]) for row in rows]
    show_status(listed, is_running=is_running, note=note)


def _fields(row: Row, standing: Standing, progress: Progress | None) -> dict[str, Any]:
    """A bundle as JSON has it: ``state`` is the ledger's word, ``standing`` the one that people are shown."""
    shown = {"standing": standing.word, "sender_says": standing.sender_says}
    return row._asdict() | shown | (progress.said if progress is not None else {})


def _state(row: Row, standing: Standing, progress: Progress | None, recalled: str) -> str:
    text = standing.text + (f": {row.detail}" if row.detail else "")
    if recalled:
        text = f"{text}: {recalled}" if standing.word == RECALLED else f"{text}, recalled: {recalled}"
    if progress is None:
        return text
    return f"{text} ({progress.stored} of {row.slabs} slabs stored, {progress.spilled} spilled)"


def _refused(one: Quarantined) -> str:
    """A bundle of which nothing was begun, since its manifest was refused."""
    return f"quarantined: {one.label or 'a manifest'} ({one.bundle}): {one.reason}: {one.detail}"
