"""``diode-sender status``: what the daemon does now, what waits for whom, and what became of the newest bundles."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from diode.bundle.ref import label_of
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.console.human import moment_text, size_text, span_text, state_of
from diode.console.terminal import say, say_json
from diode.control.ask import maybe_asking
from diode.storage.locking import is_locked
from sender.commands.opening import maybe_ledger
from sender.control.words import WORDS, Status
from sender.ledger import Row
from sender.outbox.left import Left, as_lines, read_left

MOST_SHOWN: Final = 20
MOST_QUEUED: Final = 10


def show(toml: Path, *, as_json: bool, most: int = MOST_SHOWN, channel: str = "") -> None:
    """Show what the daemon does, and the newest bundles: ``most`` of them, of ``channel`` alone where it is named."""
    config = load(SenderConfig, toml)
    rows: list[Row] = []
    exports: dict[str, list[str]] = {}
    if ledger := maybe_ledger(config):
        with closing(ledger):
            rows = ledger.recent(most, channel=channel)
            exports = {row.id: ledger.exports.of(row.id) for row in rows}
    is_running, left, now = is_locked(config.state), read_left(config.state), _live(config)
    if as_json:
        shown = [row._asdict() | {"exported": exports[row.id]} for row in rows]
        waiting = [{"item": one.item, "why": one.why, "do": one.do, "since": one.since} for one in left]
        say_json({"running": is_running, "now": now, "bundles": shown, "left": waiting})
        return
    if not is_running:
        say("daemon: not running; 'diode-sender run' starts it")
    elif now is None:
        say("daemon: running, and not to be asked: a command works here, or a daemon of an older version")
    else:
        say(*_now(now))
    say(*_waiting(rows, left), *_newest(rows, exports))


def _live(config: SenderConfig) -> dict[str, Any] | None:
    """What the daemon says of itself. None: none runs that can be asked."""
    asking = maybe_asking(config.state, "sender", WORDS)
    if asking is None:
        return None
    with asking:
        return asking.ask(Status(MOST_QUEUED))


def _now(now: dict[str, Any]) -> Iterator[str]:
    line = now["line"]
    rate = f"at {size_text(line['rate'])}/s" if line["rate"] else "without a limit of rate"
    yield f"daemon: running since {moment_text(now['since'], time.time())}, sends to {line['to']} {rate}"
    if line["off"]:
        yield "  the timetable says that nothing is sent now"
    if line["refused"]:
        yield f"  THIS HOST'S KERNEL REFUSES TO SEND ({line['refused']}): mend the route or the interface; all is kept"
    for name, at in now["paused"].items():
        what, option = (f"channel {name}", f" --channel {name}") if name else ("the line", "")
        yield f"  {what} is paused since {moment_text(at, time.time())}; 'diode-sender resume{option}'"
    for one in now.get("packing", ()):
        yield _packing(one)
    for one in now["on_air"]:
        yield _on_air(one)
    shown = now["queue"]
    for one in shown:
        yield f"  queued   {one['id']}  {size_text(one['size']):>8}  {_eta(one):<14}  {one['label']}"
    if now["queued"] > len(shown):
        yield f"  and {now['queued'] - len(shown)} more in the queue"
    if not now["on_air"] and not now["queued"] and not now.get("packing"):
        yield "  nothing is on air, and nothing is queued"


def _packing(one: dict[str, Any]) -> str:
    done, total = one["done_bytes"], one["total_bytes"]
    what = {"hash": "hashing", "pack": "packing"}.get(one["step"], "checking")
    part = "" if what != "checking" else f", {one['step']}"
    held = ", stopped while something more urgent is packed" if one["held"] else ""
    far = f"{100 * done // total} %" if total and done else ""
    return f"  {what:<8} {'':16}  {size_text(total):>8}  {far:<14}  {one['label']}{part}{held}"


def _on_air(one: dict[str, Any]) -> str:
    done = 100 * one["done_bytes"] // one["total_bytes"] if one["total_bytes"] else 100
    passes = f", pass {one['pass']} of {one['passes']}" if one["passes"] > 1 else ""
    what = "resends" if one["resend"] else "on air"
    size = size_text(one["total_bytes"])
    return f"  {what:<8} {one['id']}  {size:>8}  {f'{done} %, {_eta(one)}':<14}  {one['label']}{passes}"


def _eta(one: dict[str, Any]) -> str:
    if one["paused"]:
        return "paused"
    return "" if one["eta_s"] is None else f"{span_text(one['eta_s'])} left"


def _waiting(rows: list[Row], left: list[Left]) -> Iterator[str]:
    for row in rows:
        if row.state == "unapproved":
            yield f"waits for people: {label_of(row)}; 'diode-sender approve {row.id}'"
    for line in as_lines(left):
        yield f"left in the outbox: {line}"


def _newest(rows: list[Row], exports: dict[str, list[str]]) -> Iterator[str]:
    yield "newest bundles:" if rows else "nothing was packed here yet"
    for row in rows:
        more = f"; exported {exports[row.id][-1]}" if exports[row.id] else ""
        packed = moment_text(row.created, time.time())
        yield f"  {row.id}  {size_text(row.size):>8}  {packed:<12}  {label_of(row)}  {state_of(row)}{more}"
