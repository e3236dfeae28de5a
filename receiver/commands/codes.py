"""``diode-receiver missing`` and ``receipt``: codes that a person carries to the sender."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Final

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.terminal import say, say_json, say_ours
from diode.errors import UsageError
from receiver.commands.opening import open_ledger
from receiver.peer.requests import confirm_code, qr_text, request_bundle, request_gaps

MOST_MISSING: Final = 10_000  # requests of a kind


def missing(toml: Path, *, as_json: bool) -> None:
    """Show resend codes for what has not arrived whole; as QR codes on a terminal."""
    config = load(ReceiverConfig, toml)
    with closing(open_ledger(config)) as ledger:
        cancelled = ledger.peer.cancelled()
        rows = [row for row in ledger.bundles.in_progress() if row.state == "receiving"]
        rows.sort(key=lambda row: row.id in cancelled)
        requests = [request_bundle(ledger, row.id) for row in rows]
        requests += request_gaps(ledger, config.channels, most_signed=MOST_MISSING, most=MOST_MISSING)
    if as_json:
        say_json([request._asdict() for request in requests])
        return
    for request in requests:
        say(request.what)
        say(f"  {request.command}")
        if request.is_short and sys.stdout.isatty():
            say_ours(qr_text(request.code))
    if not requests:
        say("nothing is missing", file=sys.stderr)


def receipt(toml: Path, bundle: str, *, as_code: bool) -> None:
    """Show what became of a bundle, or the code that tells the sender that it was published."""
    with closing(open_ledger(load(ReceiverConfig, toml))) as ledger:
        row = ledger.bundles.get(bundle)
    if row is None:
        raise UsageError(f"no bundle {bundle} is known here; 'diode-receiver status' lists the newest")
    if not as_code:
        say_json(row._asdict())
    elif row.state != "published":
        raise UsageError(f"bundle {bundle} is {row.state}: there is nothing to confirm")
    else:
        text = confirm_code(row)
        say(text)
        if sys.stdout.isatty():
            say_ours(qr_text(text))
