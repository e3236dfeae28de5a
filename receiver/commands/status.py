"""``diode-receiver status``: the link, what is on its way, what waits for whom, what is missing, the newest bundles."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.asked import Asked
from diode.console.status_lines import terminal_width
from diode.console.watching import repeat, repeat_json
from diode.control.ask import maybe_asking
from diode.formats.timestamps import now_utc
from diode.storage.locking import is_locked
from receiver.catalogue.lag import State as LagState
from receiver.catalogue.lag import lags, said, worst
from receiver.commands import lag
from receiver.commands.drills_due import due_of, due_said, due_text
from receiver.commands.ingest import undo_lines
from receiver.commands.opening import maybe_ledger
from receiver.commands.status_lines import lines
from receiver.control.words import WORDS, Status
from receiver.ledger.bundles import Row
from receiver.ledger.ledgers import LedgerView
from receiver.ledger.quarantined import Quarantined
from receiver.ledger.standing import QUARANTINED, Standings
from receiver.ledger.states import State
from receiver.peer.link_keys import link_keys
from receiver.peer.requests import request_gaps

MOST_COMING: Final = 50
MOST_WAITING: Final = 5  # held and missing: as many of each
MOST_REFUSED: Final = 3


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of a bundle is here: slabs, of which some wait for room in memory."""

    stored: int
    spilled: int

    @property
    def said(self) -> dict[str, int]:
        """As JSON has it, whose readers know spilled slabs as parked."""
        return {"stored": self.stored, "parked": self.spilled}


class Found(NamedTuple):
    """What is shown: as JSON has it (docs/control.md), and sentences for people alone."""

    said: dict[str, Any]
    notes: list[str]


_NOTHING: Final[dict[str, Any]] = {
    "bundles": [],
    "held": [],
    "held_count": 0,
    "quarantined": [],
    "quarantined_count": 0,
    "missing": [],
    "missing_count": 0,
    "recalls": [],
    "drills": [],
    "worst_lag": None,
}


def show(toml: Path, asked: Asked) -> None:
    """Show what the daemon does, and what became of bundles."""
    config = load(ReceiverConfig, toml)
    if asked.as_json:
        repeat_json(lambda: find(config, toml, asked).said, is_watched=asked.is_watched)
    else:
        repeat(lambda: lines(*find(config, toml, asked), terminal_width()), is_watched=asked.is_watched)


def find(config: ReceiverConfig, toml: Path, asked: Asked) -> Found:
    """Ask the daemon, and read the ledger. Raises DiodeError."""
    now = _live(config)
    begun: dict[str, Any] = {"running": is_locked(config.state), "now": now}
    sessions: Sequence[Sequence[int]] = []
    told, notes = Found(_NOTHING, [])
    if ledger := maybe_ledger(config):
        with closing(ledger):
            sessions = ledger.peer.sessions()
            told, notes = _of_ledger(config, toml, ledger, asked)
            _note_dismissed(now, ledger)
            oldest = now["worst_lag"] if now else _worst_lag(config, ledger)  # the ledger alone takes long for it
            told, notes = told | {"worst_lag": oldest}, [*_lag_notes(oldest), *notes]
    keys = link_keys(config.link, sessions)
    if keys is not None and keys.previous:
        notes = [keys.text, *notes]
    return Found(begun | {"link_keys": None if keys is None else keys._asdict()} | told, notes)


def _live(config: ReceiverConfig) -> dict[str, Any] | None:
    """What the daemon says of itself. None: none runs that can be asked."""
    asking = maybe_asking(config.state, "receiver", WORDS)
    if asking is None:
        return None
    with asking:
        return asking.ask(Status(MOST_COMING))


def _note_dismissed(now: dict[str, Any] | None, ledger: LedgerView) -> None:
    """Note which bundles on their way nobody misses."""
    coming = now.get("on_the_way", ()) if now else ()
    dismissed = {one.bundle for one in ledger.dismissals.all()} if coming else ()
    for one in coming:
        one["dismissed"] = one["id"] in dismissed


def _of_ledger(config: ReceiverConfig, toml: Path, ledger: LedgerView, asked: Asked) -> Found:
    held, held_count = ledger.bundles.unpublished(State.HELD, MOST_WAITING)
    refused, refused_count = ledger.bundles.unpublished(State.REFUSED, MOST_REFUSED)
    strange, standings = ledger.quarantined.all(), Standings(ledger)
    missing, recalls, drills = request_gaps(ledger, config.channels), ledger.pointers.recalls(), due_of(config, ledger)
    shown = {
        "bundles": [_of_row(row, standings) | _progress(ledger, row) for row in _rows(ledger, asked)],
        "held": [_of_row(row, standings) | waits for row, waits in zip(held, _waits(config, held), strict=True)],
        "held_count": held_count,
        "quarantined": [*(_of_row(row, standings) for row in refused), *map(_of_strange, strange[:MOST_REFUSED])],
        "quarantined_count": refused_count + len(strange),
        "missing": [one._asdict() | {"command": one.command} for one in missing[:MOST_WAITING]],
        "missing_count": len(missing),
        "recalls": [one._asdict() for one in recalls],
        "drills": [due_said(one) for one in drills],
    }
    held_by_stores = [one for each in recalls if not each.undone for one in undo_lines(config, toml, each.bundle)]
    notes = [f"a store holds what is recalled: {one}" for one in held_by_stores]
    return Found(shown, notes + [due_text(one) for one in drills if one.due])


def _worst_lag(config: ReceiverConfig, ledger: LedgerView) -> dict[str, Any] | None:
    oldest = worst(lags(ledger.catalogue.arrivals(), config.channels, now_utc()))
    return None if oldest is None else said(oldest)


def _lag_notes(oldest: dict[str, Any] | None) -> list[str]:
    return [] if oldest is None or oldest["state"] == LagState.WITHIN else [lag.text(oldest)]


def _rows(ledger: LedgerView, asked: Asked) -> list[Row]:
    return ledger.bundles.recent(asked.most, asked.channel, asked.since)


def _of_row(row: Row, standings: Standings) -> dict[str, Any]:
    """A bundle as JSON has it: ``state`` is the ledger's word, ``standing`` the one that people are shown."""
    standing = standings.of(row)
    return row._asdict() | {"label": row.label, "standing": standing.word, "sender_says": standing.sender_says}


def _of_strange(one: Quarantined) -> dict[str, Any]:
    """A bundle of which nothing was begun, since its manifest was refused: its size is not known."""
    shown = {"id": one.bundle, "label": one.label or "a manifest", "standing": QUARANTINED, "state": QUARANTINED}
    return one._asdict() | shown | {"detail": f"{one.reason}: {one.detail}", "changed": one.at, "size": 0, "files": 0}


def _progress(ledger: LedgerView, row: Row) -> dict[str, int]:
    """How much of a bundle that is being received is here."""
    if row.state != State.RECEIVING:
        return {}
    return Progress(ledger.slabs.count(row.id), len(ledger.slabs.spilled(row.id))).said


def _waits(config: ReceiverConfig, held: Sequence[Row]) -> list[dict[str, Any]]:
    """For whom held bundles wait, and who has accepted already."""
    if not held:
        return []
    from receiver.commands.accepted import Acceptances  # what verifies, which is seldom needed here

    acceptances = Acceptances(config)
    return [acceptances.of(row).said() for row in held]
