"""``diode-sender status``: what the daemon does now, what waits for whom, and what became of the newest bundles."""

from contextlib import closing
from pathlib import Path
from typing import Any, Final

from diode.bundle.ref import label_of
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.console.asked import Asked
from diode.console.status_lines import terminal_width
from diode.console.watching import repeat, repeat_json
from diode.control.ask import maybe_asking
from diode.storage.locking import is_locked
from sender.commands.opening import maybe_ledger
from sender.commands.status_lines import lines
from sender.control.words import WORDS, Status
from sender.ledger import Ledger, Row, State
from sender.outbox.aside import read_aside
from sender.outbox.left import read_left

MOST_QUEUED: Final = 10
MOST_WAITING: Final = 5
MOST_ASIDE: Final = 3


def show(toml: Path, asked: Asked) -> None:
    """Show what the daemon does, and what became of bundles."""
    config = load(SenderConfig, toml)
    if asked.as_json:
        repeat_json(lambda: find(config, asked), is_watched=asked.is_watched)
    else:
        repeat(lambda: lines(find(config, asked), terminal_width()), is_watched=asked.is_watched)


def find(config: SenderConfig, asked: Asked) -> dict[str, Any]:
    """All that is shown, as JSON has it (docs/control.md). Raises DiodeError."""
    left = [{"item": one.item, "why": one.why, "do": one.do, "since": one.since} for one in read_left(config.state)]
    said: dict[str, Any] = {"running": is_locked(config.state), "now": _live(config)}
    told: dict[str, Any] = {"bundles": [], "unapproved": [], "unapproved_count": 0, "held": []}
    if ledger := maybe_ledger(config):
        with closing(ledger):
            told = _of_ledger(ledger, asked)
    aside, count = read_aside(config.outbox.failed, MOST_ASIDE)
    set_aside = {"set_aside": [one._asdict() for one in aside], "set_aside_count": count}
    return said | told | {"left": left} | set_aside


def _live(config: SenderConfig) -> dict[str, Any] | None:
    """What the daemon says of itself. None: none runs that can be asked."""
    asking = maybe_asking(config.state, "sender", WORDS)
    if asking is None:
        return None
    with asking:
        return asking.ask(Status(MOST_QUEUED))


def _of_ledger(ledger: Ledger, asked: Asked) -> dict[str, Any]:
    waiting = ledger.unapproved()
    held = ((ledger.get(bundle), since) for bundle, since in ledger.kept_back.all().items())
    return {
        "bundles": [
            _of_row(row) | {"exported": ledger.exports.of(row.id)}
            for row in ledger.recent(asked.most, channel=asked.channel, since=asked.since)
        ],
        "unapproved": [_of_row(row) for row in waiting[:MOST_WAITING]],
        "unapproved_count": len(waiting),
        "held": [
            _of_row(row) | {"since": since} for row, since in held if row is not None and row.state == State.QUEUED
        ],
    }


def _of_row(row: Row) -> dict[str, Any]:
    return row._asdict() | {"label": label_of(row)}
