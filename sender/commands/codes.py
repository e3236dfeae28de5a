"""``diode-sender resend`` and ``confirm``: a person types a code that the receiver has shown.

A resend code asks for slabs of a bundle once more. A confirm code says that a bundle was published.
"""

import sys
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path

from diode.audit.chain import What
from diode.bundle.ref import label_of
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.console.logs import configure
from diode.console.terminal import say
from diode.errors import UsageError
from diode.protocol.resend_codes import LONGEST_TEXT, decode, decode_file
from diode.storage.locking import is_locked, locked
from sender.commands.opening import open_audit, open_ledger
from sender.commands.sending import FAILED, session
from sender.ledger import State, named
from sender.pack.retention import prune
from sender.recovery.resends import find_asked, find_confirmed, note_resend


def resend(toml: Path, code: Sequence[str], missing: Path | None, *, as_json: bool, quiet: bool) -> None:
    """Have the running daemon send again what a code names, or send it here if there is none."""
    config = load(SenderConfig, toml)
    asked = decode("".join(code)) if code else decode_file(_read_code(missing))
    with closing(open_ledger(config, read_only=False)) as ledger:
        row, ranges = find_asked(ledger, config.state, asked)
        say(f"{label_of(row)}: {asked}", file=sys.stderr)
        if is_locked(config.state):
            note_resend(open_audit(config), row, ranges)
            ledger.resends.ask(row.id, ranges)
            say("queued; the running daemon sends it", file=sys.stderr)
            return
    with session(toml, as_json=as_json, quiet=quiet) as one:
        one.finish(one.sender.resend(row, ranges), failed_code=FAILED)


def confirm(toml: Path, code: Sequence[str]) -> None:
    """Record that a bundle was published, as a confirm code says."""
    config = load(SenderConfig, toml)
    configure(config.log.level, json=config.log.as_json)
    confirmed = decode("".join(code))
    with closing(open_ledger(config, read_only=False)) as ledger:
        row = find_confirmed(ledger, confirmed)
        with nullcontext() if row.state in ("sent", "confirmed") else locked(config.state):  # the daemon may send it
            open_audit(config).append(What.CONFIRMED, **named(row))
            ledger.set_state(row.id, State.CONFIRMED)
        prune(config.outbox, config.state, ledger, now=None)  # one look at a clock is not enough to delete by age
    say(f"{label_of(row)} ({row.id}) is confirmed", file=sys.stderr)


def _read_code(path: Path | None) -> str:
    if path is None:
        raise UsageError("give a resend code, or --missing FILE with one in it")
    try:
        with path.open("rb") as file:
            return file.read(LONGEST_TEXT + 1).decode("ascii", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
