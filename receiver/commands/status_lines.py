"""The lines of ``diode-receiver status``, made of what its JSON says alone."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from diode.console.engines import engine_lines
from diode.console.human import moment_text, size_text
from diode.console.status_lines import bundle_line, ended, hanging, headed, moving_line, wrapped

Said = Mapping[str, Any]

LINKS: Final = {
    "alive": "alive",
    "never_heard": "NEVER HEARD",
    "silent": "SILENT",
    "wrong_key": "ANOTHER LINK KEY",
}
_COMING: Final = "on its way:"


def lines(said: Said, notes: Sequence[str], width: int) -> list[str]:
    """All of it; each line is no longer than ``width``, but for what a person has to type."""
    now_s = time.time()
    return [*_daemon(said, width, now_s), *_waiting(said, width, now_s), *notes, *_newest(said, width, now_s)]


def _daemon(said: Said, width: int, now_s: float) -> Iterator[str]:
    now = said["now"]
    if not said["running"]:
        yield "daemon: not running; 'diode-receiver run' starts it"
    elif now is None:
        yield from wrapped(
            "daemon: running, and not to be asked: it starts or ends, is of an older version, or a command works here",
            width,
            "",
        )
    else:
        text = f"daemon: running since {moment_text(now['since'], now_s)}, listens on {now['listen']}"
        yield from wrapped(text, width, "")
        yield from _link(now["link"], width, now_s)
        yield from _host(now, width, now_s)
        yield from _coming(now, width)


def _link(link: Said, width: int, now_s: float) -> Iterator[str]:
    since = f" since {moment_text(link['since'], now_s)}" if link["since"] else ""
    text = f"link: {LINKS.get(link['state'], link['state'].replace('_', ' ').upper())}{since}"
    if link["got"] and link["state"] != "alive":
        text += "; got instead: " + ", ".join(f"{cause} {count:,}" for cause, count in link["got"].items())
    if link["do"]:
        text += f"; {link['do']}"
    yield from wrapped(text, width)


def _host(now: Said, width: int, now_s: float) -> Iterator[str]:
    clock, workers = now["clock"], now["workers"]
    if clock["jumps"] and not clock["right_again"]:
        at = moment_text(clock["last"], now_s)
        yield from wrapped(
            f"THIS HOST'S CLOCK JUMPED by {clock['seconds']:,} s at {at}; nothing is deleted by age", width
        )
    yield from engine_lines(now.get("engines"), width)
    if not workers["begun"]:
        yield "  the workers have not begun yet; if that lasts, the log says why"
    elif not workers["well"]:
        yield "  THE WORKERS MAKE NO PROGRESS; the log says why"
    if workers["restarts"]:
        times = "once" if workers["restarts"] == 1 else f"{workers['restarts']} times"
        yield f"  workers were started anew {times} since then"


def _coming(now: Said, width: int) -> Iterator[str]:
    shown = [one for one in now["on_the_way"] if one["bytes_per_s"] or not one.get("dismissed")]
    if not shown:
        yield "  nothing is on its way"
        return
    yield _COMING
    for one in shown:
        yield moving_line(one, width)
    if any(one["incomplete"] for one in shown):
        yield "  'diode-receiver missing' makes the codes by which the sender sends the rest"
    if (more := now["coming"] - len(now["on_the_way"])) > 0:
        yield f"  and {more} more"


def _waiting(said: Said, width: int, now_s: float) -> Iterator[str]:
    unanswered = said["now"]["unanswered"] if said["now"] else {}
    held = [line for one in said["held"] for line in _held(one, unanswered, width, now_s)]
    yield from headed("held:", held, len(said["held"]), said["held_count"], "'diode-receiver held'")
    missing = [line for one in said["missing"] for line in (*wrapped(one["what"], width), f"    {one['command']}")]
    yield from headed("missing:", missing, len(said["missing"]), said["missing_count"], "'diode-receiver missing'")
    refused = [line for one in said["quarantined"] for line in _detailed(one, width, now_s)]
    more = "'diode-receiver status --all'"
    yield from headed("quarantined:", refused, len(said["quarantined"]), said["quarantined_count"], more)


def _held(one: Said, unanswered: Said, width: int, now_s: float) -> Iterator[str]:
    since = moment_text(one["changed"], now_s)
    waits = one["still_needed"] or one["waits_for"] or "people"
    begun = f"  {one['id']}  {size_text(one['size']):>8}  {since:<12} "
    yield ended(begun, one["label"], width)
    if why := unanswered.get(one["id"]):
        yield hanging(f"its scanner gave no answer: {why}", width)
        yield f"    'diode-receiver retry {one['id']}' asks it again"
    else:
        if one["accepted"]:
            yield hanging(f"accepted by {', '.join(one['accepted'])}", width)
        yield hanging(f"waits for {waits}; 'diode-receiver accept {one['id']}'", width)


def _detailed(one: Said, width: int, now_s: float) -> Iterator[str]:
    yield bundle_line(one, one["changed"], one["standing"], width, now_s)
    if one["detail"]:
        yield hanging(one["detail"], width)


def _newest(said: Said, width: int, now_s: float) -> Iterator[str]:
    told = {one["id"] for one in said["quarantined"]}
    recalled = {one["bundle"]: one["reason"] for one in said["recalls"] if not one["undone"]}
    yield "newest bundles:" if said["bundles"] else "no bundle has come here yet, or none that was asked for"
    for one in said["bundles"]:
        yield bundle_line(one, one["changed"], one["standing"], width, now_s)
        if one["sender_says"]:
            yield hanging(f"the sender says, unsigned: {one['sender_says']}", width)
        if one["id"] in recalled:
            yield hanging(f"recalled: {recalled[one['id']]}", width)
        elif one["state"] == "receiving":
            yield hanging(f"{one['stored']} of {one['slabs']} slabs stored, {one['parked']} spilled", width)
        elif one["detail"] and one["id"] not in told:
            yield hanging(one["detail"], width)
