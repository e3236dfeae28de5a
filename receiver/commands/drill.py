"""``diode-receiver drill``: rehearses a rollback and waits for its report; shows reports, and when the next is due."""

import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.columns import say_columns
from diode.console.prompts import confirm
from diode.console.terminal import say, say_json
from diode.errors import FindingsError, UsageError
from diode.formats.timestamps import now_utc
from diode.storage.locking import is_locked
from receiver.catalogue.pointer import Pointer, drill_begun
from receiver.commands.drills_due import due_of, due_said, due_text, outcome_of
from receiver.commands.opening import maybe_ledger, open_ledger
from receiver.commands.ordering import How, give, place_of, tell
from receiver.ledger.drills import Drill
from receiver.ledger.ledgers import LedgerView
from receiver.promotion.drill_due import Due
from receiver.promotion.orders import Order, new_id
from receiver.promotion.report_page import seconds
from receiver.promotion.rules import check_goes_back

LOOK_EVERY_S: Final = 0.2
SAY_EVERY_S: Final = 10.0


def rollback(toml: Path, place: str, how: How) -> None:
    """Go back to the version before, have it verified, and return. Raises FindingsError when that failed."""
    config = load(ReceiverConfig, toml)
    with closing(open_ledger(config)) as ledger:
        pointer = ledger.pointers.get(*place_of(place)) or Pointer(*place_of(place))
        recalled = {one.bundle for one in ledger.pointers.recalls() if not one.undone}
    channel = config.channels.get(pointer.channel)
    check_goes_back(pointer.label, only_forward=channel is not None and channel.identity is not None)
    there = drill_begun(pointer, "", recalled).current
    assert there is not None
    assert pointer.current is not None
    path = f"{pointer.current.version}, {there.version}, {pointer.current.version}"
    confirm(f"{pointer.label}: go {path}, with clients being served meanwhile?", yes=how.yes)
    order = Order(
        id=new_id(),
        what="drill",
        channel=pointer.channel,
        name=pointer.name,
        version=there.version,
        expects=pointer.number,
        reason=how.reason[:500],
        at=now_utc(),
    )
    outcome = give(config, order, how)
    if outcome is None or outcome.outcome != "applied":
        tell(outcome, order, how)
        return
    try:
        ended = _await(config, order, how)
    except KeyboardInterrupt:
        say(
            f"the drill goes on, and returns to {pointer.current.version} by itself: diode-receiver drill ls",
            file=sys.stderr,
        )
        raise
    _show_end(config, ended, how)


def ls(toml: Path, *, as_json: bool) -> None:
    """Show the reports of drills, and when the next one of each name is due."""
    config = load(ReceiverConfig, toml)
    drills, due = _look(config)
    if as_json:
        said = [_said(config, one) for one in drills]
        say_json({"drills": said, "due": [due_said(one) for one in due]})
        return
    say_columns(("name", "began", "outcome", "took", "report"), [_row(config, one) for one in drills])
    say(*(due_text(one) for one in due if one.due))


def _row(config: ReceiverConfig, one: Drill) -> tuple[str, ...]:
    report = str(page_of(config, one)) if one.report else ""
    return one.label, one.began, outcome_of(one), seconds(one.ms) if one.ms else "", report


def page_of(config: ReceiverConfig, drill: Drill) -> Path:
    """The page to print of a drill's report."""
    path = config.state / drill.report
    return path.with_name(path.name.removesuffix(".dsse.json") + ".html")


def _look(config: ReceiverConfig) -> tuple[list[Drill], list[Due]]:
    ledger = maybe_ledger(config)
    if ledger is None:
        return [], []
    with closing(ledger):
        return ledger.drills.all(), due_of(config, ledger)


def _await(config: ReceiverConfig, order: Order, how: How) -> Drill:
    """Wait until the drill is over, however long reading its files takes. Raises UsageError when the daemon ended."""
    began = said = time.monotonic()
    with closing(open_ledger(config)) as ledger:
        while (drill := _of(ledger, order)) is None or not drill.ended:
            if not is_locked(config.state):
                raise UsageError(
                    f"the daemon ended during the drill of {order.channel}/{order.name}; when it runs again, the "
                    "pointer returns, and a report says so"
                )
            if time.monotonic() - said >= SAY_EVERY_S and not how.as_json:
                said = time.monotonic()
                say(f"{order.version} is in use and being verified, for {said - began:.0f} s ...", file=sys.stderr)
            time.sleep(LOOK_EVERY_S)
    return drill


def _of(ledger: LedgerView, order: Order) -> Drill | None:
    """The drill that an order led to; where several people had to order it, it has the id of the first one's."""
    place = order.channel, order.name
    found = [one for one in ledger.drills.all() if (one.channel, one.name) == place]
    return ledger.drills.get(order.id) or (found[-1] if found else None)


def _show_end(config: ReceiverConfig, drill: Drill, how: How) -> None:
    if how.as_json:
        say_json(_said(config, drill))
    else:
        path = f"{drill.start_version} to {drill.rehearsed_version} and back"
        say(f"drill of {drill.label}, {path}: {outcome_of(drill)}, {seconds(drill.ms)}")
        say(f"report: {config.state / drill.report}", f"page to print: {page_of(config, drill)}")
    if not drill.passed:
        raise FindingsError(f"the drill of {drill.label} did not pass: {drill.detail}")


def _said(config: ReceiverConfig, drill: Drill) -> dict[str, Any]:
    files = {"report": str(config.state / drill.report), "page": str(page_of(config, drill))} if drill.report else {}
    return drill._asdict() | {"passed": bool(drill.passed)} | files
