"""``diode-receiver catalogue history``: what was in use when, proven by the audit log, compared with the ledger."""

import re
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from diode.audit.chain import Entry, LogCheckpoint, What, field
from diode.audit.find import find
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.terminal import say, say_json
from diode.errors import IntegrityError, UsageError
from diode.formats.timestamps import check_moment
from receiver.commands.opening import open_ledger
from receiver.ledger.pointers import PUT_TO_USE, Move

ABOUT: Final = frozenset(PUT_TO_USE) | {
    *(What.PUBLISHED, What.PINNED, What.UNPINNED, What.REMOVED, What.RECALLED, What.RECALL_UNDONE, What.HEALTHY),
    *(What.NAME_REFUSED, What.HELD, What.RELEASED, What.REJECTED),
}
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def history(toml: Path, of: str, day: str, *, as_json: bool) -> None:
    """Show what the audit log says of a name, or what was in use on a day. Raises IntegrityError for a broken chain."""
    channel, slash, name = of.partition("/")
    if not slash or not name:
        raise UsageError(f"{of!r} is no CHANNEL/NAME")
    config = load(ReceiverConfig, toml)
    with closing(open_ledger(config)) as ledger:
        moves = ledger.pointers.moves(channel, name)
    marks = field("channel", channel), field("name", name)
    found = find(config.audit_folder, lambda line: all(mark in line for mark in marks))
    entries = [one for one in found.entries if (one.channel, one.name) == (channel, name) and one.what in ABOUT]
    differs = disagreement(entries, moves)
    shown = on_day(entries, _checked(day)) if day else {"entries": [_entry(one) for one in entries]}
    if as_json:
        say_json({"name": of, **shown, "head": found.head._asdict(), "ledger": differs or "agrees"})
    else:
        _tell(of, day, shown, found.head)
    if differs:
        raise IntegrityError(f"the ledger does not say the same as the audit log: {differs}; the audit log counts")


def on_day(entries: list[Entry], day: str) -> dict[str, Any]:
    """What was in use when a day (UTC) began, and what was put to use on it, each with the entry that says so."""
    moves = [one for one in entries if one.what in PUT_TO_USE]
    before = [one for one in moves if one.at[:10] < day]
    during = [_entry(one) for one in moves if one.at[:10] == day]
    return {"day": day, "at_its_begin": _entry(before[-1]) if before else None, "changes": during}


def disagreement(entries: list[Entry], moves: list[Move]) -> str:
    """Where the ledger's moves are not those of the audit log; empty: nowhere.

    A move that is written twice in the log was interrupted by a crash, and one at its very end may be under way.
    """
    logged = _steps([(str(one.what), one.version or "") for one in entries if one.what in PUT_TO_USE])
    kept = _steps([(move.what, move.after) for move in moves if move.what in PUT_TO_USE])
    if kept in (logged, logged[:-1]):
        return ""
    at = next((n for n, pair in enumerate(zip(logged, kept, strict=False)) if pair[0] != pair[1]), len(kept))
    told = [f"{what} {version}" for what, version in (logged[at : at + 1] + kept[at : at + 1])]
    return f"move {at + 1} ({' and '.join(told) or 'missing'})"


def _steps(moves: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Moves, but for those that only repeat the one before."""
    return [one for n, one in enumerate(moves) if n == 0 or one != moves[n - 1]]


def _entry(entry: Entry) -> dict[str, Any]:
    fields = ("n", "at", "what", "version", "bundle", "who", "detail")
    return {name: getattr(entry, name) for name in fields if getattr(entry, name) is not None}


def _checked(day: str) -> str:
    try:
        check_moment(f"{day}T00:00:00Z")
    except ValueError:
        raise UsageError(f"{day!r} is no day: type it as 2026-11-28") from None
    return day


def _tell(of: str, day: str, shown: dict[str, Any], head: LogCheckpoint) -> None:
    if day:
        begin = shown["at_its_begin"]
        say(f"when {day} began: {_told(begin) if begin else f'nothing of {of} was in use'}")
        changes = [_told(one) for one in shown["changes"]] or ["no change"]
        say(*(f"on {day}: {change}" for change in changes))
    else:
        for one in shown["entries"]:
            say(_told(one))
    say(
        f"by {head.n} entries of the audit log, which follow from one another up to {head.hash}; their signatures are "
        "checked by: diode audit verify",
        file=sys.stderr,
    )


def _told(entry: dict[str, Any]) -> str:
    detail = f": {entry['detail']}" if entry.get("detail") else ""
    version = f" {entry['version']}" if entry.get("version") else ""
    return f"entry {entry['n']}, {entry['at']}: {entry['what']}{version} by {entry['who']}{detail}"
