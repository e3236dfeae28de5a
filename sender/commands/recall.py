"""``diode-sender recall``: says to the enclave that a bundle must not be used any more."""

import sys
from contextlib import closing
from pathlib import Path

from diode.bundle.recall import RECALL_CHANNEL
from diode.bundle.ref import label_of
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.console.logs import configure
from diode.console.prompts import confirm, print_fields
from diode.console.terminal import say
from diode.formats.timestamps import now_utc
from diode.storage.locking import is_locked
from diode.trust.keys import read_any_signer
from sender.commands.opening import open_audit, open_ledger
from sender.ledger import Row
from sender.pack.recalls import Recalls, Signed, find_recallable


def recall(toml: Path, bundle: str, reason: str | None, key: str | None, public: Path | None, *, yes: bool) -> None:
    """Sign the recall of a bundle, after showing what it is. It is sent when enough people have signed it."""
    config = load(SenderConfig, toml)
    configure(config.log.level, json=config.log.as_json)
    recalls = Recalls(config, open_audit(config))
    with closing(open_ledger(config)) as ledger:
        row = find_recallable(ledger, bundle)
    proposed = recalls.propose(row, reason, now_utc())
    _show(row, proposed)
    signer = None if key is None else read_any_signer(key, public)
    by = "the daemon's key" if signer is None else f"key {signer.public_key.keyid[:16]}"
    confirm(f"recall it, signed with {by}?", yes=yes)
    signed = recalls.sign(row, proposed.statement, signer)
    _say_what_follows(config, row, signed)


def _show(row: Row, proposed: Signed) -> None:
    fields = {"recall": row.id, "bundle": label_of(row), "packed": row.created, "state": row.state}
    print_fields(fields | {"files": row.files, "bytes": row.size, "reason": proposed.statement.reason})
    if proposed.persons:
        print_fields({"signed by": ", ".join(proposed.persons), "needed": proposed.needed})


def _say_what_follows(config: SenderConfig, row: Row, signed: Signed) -> None:
    if not signed.is_enough:
        missing = signed.needed - len(signed.persons)
        text = (
            f"signed by {', '.join(signed.persons)}; {missing} more must sign: diode-sender recall {row.id} --key KEY"
        )
        say(text, file=sys.stderr)
        return
    when = "the running daemon sends it" if is_locked(config.state) else "the next run sends it"
    say(f"the recall of {label_of(row)} lies in the outbox, channel {RECALL_CHANNEL}; {when}", file=sys.stderr)
    if people := config.approvals(RECALL_CHANNEL):
        text = f"the bundle that carries it waits for {people} signatures of its own: see diode-sender waiting"
        say(f"{text}; with [channels.{RECALL_CHANNEL}] approvals = 0 the daemon signs such bundles", file=sys.stderr)
