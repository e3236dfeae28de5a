"""``diode-receiver missing`` and ``receipt``: codes that a person carries to the sender."""

import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from diode.bundle.beginning import find_bundle
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.moments import whole_time
from diode.console.terminal import say, say_json, say_ours
from diode.errors import UsageError
from receiver.commands.opening import open_ledger
from receiver.ledger.dismissals import Dismissal
from receiver.peer.requests import Missing, Request, confirm_code, qr_text, request_begun, request_gaps

MOST_MISSING: Final = 10_000  # requests of a kind
CANCELLED: Final = "the sender says, unsigned, that it withdrew these; the codes stay until a person dismisses them:"
APART: Final = {
    Missing.QUARANTINED: "quarantined: these came, and were refused; a resend helps when the reason is mended:",
    Missing.RECALLED: "recalled: nothing of these would be served:",
    Missing.EXPIRED: "given up here, since they stayed incomplete for too long:",
}


def missing(toml: Path, *, as_json: bool, dismissed: bool = False) -> None:
    """Show resend codes for what has not arrived whole, as QR codes on a terminal; or what people dismissed."""
    config = load(ReceiverConfig, toml)
    with closing(open_ledger(config)) as ledger:
        said = ledger.dismissals.all()
        if dismissed:
            _show_dismissed(said, as_json=as_json)
            return
        requests = request_begun(ledger, MOST_MISSING)
        requests += request_gaps(ledger, config.channels, most_signed=MOST_MISSING, most=MOST_MISSING)
    if as_json:
        say_json([request._asdict() for request in _ordered(requests)])
        return
    _show("", [request for request in requests if _section(request) == ""])
    for title in (*APART.values(), CANCELLED):
        _show(title, [request for request in requests if _section(request) == title])
    if not requests:
        say("nothing is missing", file=sys.stderr)
    elif any(_section(request) for request in requests):
        say("nobody misses it? diode-receiver dismiss ID --reason TEXT", file=sys.stderr)
    if said:
        say(f"{len(said)} dismissed: 'diode-receiver missing --dismissed' shows them", file=sys.stderr)


def _section(request: Request) -> str:
    """Under which words it stands; "": it is missing, and nothing else is known of it."""
    return APART.get(request.state, CANCELLED if request.sender_says else "")


def _ordered(requests: Iterable[Request]) -> list[Request]:
    titles = ["", *APART.values(), CANCELLED]
    return sorted(requests, key=lambda request: titles.index(_section(request)))


def _show(title: str, requests: list[Request]) -> None:
    if title and requests:
        say(title)
    for request in requests:
        say(request.what if _section(request) == CANCELLED else request.text, f"  {request.command}")
        if request.is_short and sys.stdout.isatty():
            say_ours(qr_text(request.code))


def _show_dismissed(dismissed: list[Dismissal], *, as_json: bool) -> None:
    if as_json:
        say_json([one._asdict() for one in dismissed])
        return
    for one in dismissed:
        place = f" (channel {one.channel}, sequence {one.sequence})" if one.bundle and one.channel else ""
        say(f"{one.subject}{place}: {one.reason}; {one.who}, {whole_time(one.at)}")
    if not dismissed:
        say("nothing is dismissed", file=sys.stderr)


def receipt(toml: Path, bundle: str, *, as_code: bool) -> None:
    """Show what became of a bundle, or the code that tells the sender that it was published."""
    with closing(open_ledger(load(ReceiverConfig, toml))) as ledger:
        row = find_bundle(ledger.bundles, bundle, "'diode-receiver status' shows them")
    if not as_code:
        say_json(row._asdict())
    elif row.state != "published":
        raise UsageError(f"bundle {row.id} is {row.state}: there is nothing to confirm")
    else:
        text = confirm_code(row)
        say(text)
        if sys.stdout.isatty():
            say_ours(qr_text(text))
