"""When the next drill of each name is due, as commands say it."""

from typing import Any

from diode.config.receiver import ReceiverConfig
from diode.formats.timestamps import now_utc
from receiver.ledger.drills import Drill
from receiver.ledger.ledgers import LedgerView
from receiver.promotion.drill_due import Due, due_drills


def due_of(config: ReceiverConfig, ledger: LedgerView) -> list[Due]:
    """When the next drill of each name is due."""
    days = {name: channel.drill_days for name, channel in config.channels.items()}
    return due_drills(ledger, days, now_utc())


def due_said(one: Due) -> dict[str, Any]:
    """The same as JSON has it."""
    last = None if one.last is None else one.last.ended
    passed = None if one.last is None else bool(one.last.passed)
    place = {"channel": one.channel, "name": one.name}
    return place | {"last": last, "passed": passed, "due": one.due or None, "overdue": one.is_overdue}


def due_text(one: Due) -> str:
    """The same in words."""
    last = "never held" if one.last is None else f"last {one.last.ended}, {outcome_of(one.last)}"
    when = f"OVERDUE since {one.due}" if one.is_overdue else f"due {one.due}"
    return f"drill of {one.channel}/{one.name}: {when} ({last}); diode-receiver drill rollback {one.channel}/{one.name}"


def outcome_of(drill: Drill) -> str:
    """What became of a drill."""
    if not drill.ended:
        return "under way"
    return "passed" if drill.passed else drill.detail or "failed"
