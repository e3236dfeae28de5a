"""The lines of ``diode-sender status``, made of what its JSON says alone."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from diode.console.engines import engine_lines
from diode.console.human import moment_text, shortened, size_text
from diode.console.status_lines import bundle_line, ended, hanging, headed, moving_line, wrapped

Said = Mapping[str, Any]

MOST_LEFT: Final = 10
MOST_REASON: Final = 240  # places of a text; the whole stands in ``failed/.reasons``
KEPT_BACK: Final = "kept back"  # of a queued bundle, until a person lets it go


def lines(said: Said, width: int) -> list[str]:
    """All of it; each line is no longer than ``width``, but for what a person has to type."""
    now_s = time.time()
    return [*_daemon(said, width, now_s), *_waiting(said, width, now_s), *_newest(said, width, now_s)]


def _daemon(said: Said, width: int, now_s: float) -> Iterator[str]:
    now = said["now"]
    if not said["running"]:
        yield "daemon: not running; 'diode-sender run' starts it"
    elif now is None:
        yield from wrapped(
            "daemon: running, and not to be asked: it starts or ends, is of an older version, or a command works here",
            width,
            "",
        )
    else:
        yield from _line(now, width, now_s)
        yield from _on_air(now, width)


def _line(now: Said, width: int, now_s: float) -> Iterator[str]:
    line = now["line"]
    rate = f"at {size_text(line['rate'])}/s" if line["rate"] else "without a limit of rate"
    yield from wrapped(
        f"daemon: running since {moment_text(now['since'], now_s)}, sends to {line['to']} {rate}", width, ""
    )
    yield from engine_lines(now.get("engines"), width)
    if line["off"]:
        yield "  the timetable says that nothing is sent now"
    if line["refused"]:
        text = f"THIS HOST'S KERNEL REFUSES TO SEND ({line['refused']}): mend the route or the interface; all is kept"
        yield from wrapped(text, width)
    for name, at in now["paused"].items():
        what, option = (f"channel {name}", f" --channel {name}") if name else ("the line", "")
        yield from wrapped(f"{what} is paused since {moment_text(at, now_s)}; 'diode-sender resume{option}'", width)


def _on_air(now: Said, width: int) -> Iterator[str]:
    for one in now["packing"]:
        yield _packing(one, width)
    if now["on_air"]:
        yield "on air:"
    for one in now["on_air"]:
        passes = f", pass {one['pass']}/{one['passes']}" if one["passes"] > 1 else ""
        yield moving_line(one, width, ", resend" if one["resend"] else passes)
    if now["queue"]:
        yield "queued:"
    for one in now["queue"]:
        yield moving_line(one | {"done_bytes": 0, "total_bytes": one["size"]}, width)
    if now["queued"] > len(now["queue"]):
        yield f"  and {now['queued'] - len(now['queue'])} more in the queue"
    if not now["on_air"] and not now["queued"] and not now["packing"]:
        yield "  nothing is on air, and nothing is queued"


def _packing(one: Said, width: int) -> str:
    """An item that is being packed: which step, how far, and whether it is stopped for another."""
    done, total = one["done_bytes"], one["total_bytes"]
    what = {"hash": "hashing", "pack": "packing"}.get(one["step"], f"checking, {one['step']}")
    held = ", stopped while something more urgent is packed" if one["held"] else ""
    far = f"{100 * done // total} %" if total and done else ""
    return ended(f"  {what:<16}  {size_text(total):>8}  {far:>5} ", one["label"], width, held)


def _waiting(said: Said, width: int, now_s: float) -> Iterator[str]:
    held = [line for one in said["held"] for line in _held(one, width, now_s)]
    yield from headed("kept back:", held, len(said["held"]), len(said["held"]), "")
    waiting = [line for one in said["unapproved"] for line in _unapproved(one, width, now_s)]
    shown, count = len(said["unapproved"]), said["unapproved_count"]
    yield from headed("waits for people:", waiting, shown, count, "'diode-sender waiting'")
    left = [line for one in said["left"][:MOST_LEFT] for line in _left(one, width)]
    yield from headed("left in the outbox:", left, min(MOST_LEFT, len(said["left"])), len(said["left"]), "with --json")
    aside = [line for one in said["set_aside"] for line in _aside(one, width, now_s)]
    shown, count = len(said["set_aside"]), said["set_aside_count"]
    yield from headed("set aside, and not sent:", aside, shown, count, "in the folder 'failed'")


def _aside(one: Said, width: int, now_s: float) -> Iterator[str]:
    at = f"{moment_text(one['at'], now_s):<12}" if one["at"] else ""
    yield ended(f"  {at}", one["item"], width)
    if one["detail"]:
        yield from wrapped(shortened(one["detail"], MOST_REASON), width, "    ")


def _held(one: Said, width: int, now_s: float) -> Iterator[str]:
    yield bundle_line(one, one["since"], KEPT_BACK, width, now_s)
    yield f"    'diode-sender hold --off {one['id']}' lets it go"


def _unapproved(one: Said, width: int, now_s: float) -> Iterator[str]:
    yield bundle_line(one, one["created"], one["state"], width, now_s)
    yield f"    'diode-sender approve {one['id']}'"


def _left(one: Said, width: int) -> Iterator[str]:
    yield ended(" ", one["item"], width)
    yield from wrapped(f"{one['why']}; {one['do']}", width, "    ")


def _standing(said: Said) -> dict[str, str]:
    """In which word a bundle stands that is queued by the ledger, and held up or on air as well."""
    now = said["now"] or {"on_air": (), "queue": ()}
    moving = {one["id"]: "paused" if one["paused"] else "on air" for one in now["on_air"]}
    paused = {one["id"]: "paused" for one in now["queue"] if one["paused"]}
    return {**paused, **moving, **{one["id"]: KEPT_BACK for one in said["held"]}}


def _newest(said: Said, width: int, now_s: float) -> Iterator[str]:
    yield "newest bundles:" if said["bundles"] else "nothing was packed here yet, or nothing that was asked for"
    standing = _standing(said)
    for one in said["bundles"]:
        yield bundle_line(one, one["created"], standing.get(one["id"], one["state"]), width, now_s)
        exported = [f"exported {moment_text(at, now_s)}" for at in one["exported"][-1:]]
        if more := [*filter(None, [one["detail"]]), *exported]:
            yield hanging("; ".join(more), width)
