"""``diode-receiver backup``, ``restore``, ``rebaseline``: a person prepares for the loss of a ledger, or mends it."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Final

from diode.audit.chain import What
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.logs import configure
from diode.console.terminal import say, say_json
from diode.storage.backup import describe_backup, describe_restore, describe_taken
from diode.storage.backup_seal import Contents
from diode.trust.backup_keys import keys_of, signer_of
from receiver.commands.opening import open_audit, open_ledger
from receiver.ledger.ledgers import LedgerView
from receiver.recovery.backup import back_up
from receiver.recovery.backup import restore as restore_backup
from receiver.recovery.rebaseline import Rebaselined, reset_order
from receiver.recovery.rebaseline import rebaseline as rebaseline_ledger

MOST_SHOWN: Final = 20  # stretches of numbers of one channel


def backup(toml: Path, folder: Path) -> None:
    """Copy the ledger to ``folder``."""
    config = load(ReceiverConfig, toml)
    configure(config.log.level, json=config.log.as_json)
    with closing(open_ledger(config)) as ledger:
        back_up(ledger, folder, signer_of(config.service_key))
        say(describe_backup(ledger, folder), file=sys.stderr)


def restore(toml: Path, folder: Path, signed_by: Path | None, *, force: bool, is_unsigned: bool) -> None:
    """Put the backup in ``folder`` back."""
    config = load(ReceiverConfig, toml)
    configure(config.log.level, json=config.log.as_json)
    audit = open_audit(config)

    def note(ledger: LedgerView, contents: Contents | None) -> None:
        audit.append(What.RESTORED, detail=describe_taken(ledger, folder, contents))

    keys = keys_of(config.service_key, signed_by)
    kept = restore_backup(
        folder, config.state, config.audit_folder, force=force, keys=keys, is_unsigned=is_unsigned, note=note
    )
    say(describe_restore(kept, "diode-receiver"), file=sys.stderr)


def rebaseline(toml: Path, epoch: int | None, *, as_json: bool) -> None:
    """Make an older ledger know what was published since, or believe heartbeats from ``epoch`` on again."""
    config = load(ReceiverConfig, toml)
    configure(config.log.level, json=config.log.as_json)
    if epoch is not None:
        ids = reset_order(config, epoch)
        if as_json:
            say_json({"epoch": epoch, "link_keys": ids})
        say(f"heartbeats of epoch {epoch} and later are believed again under {', '.join(ids)}", file=sys.stderr)
        return
    done = rebaseline_ledger(config)
    if as_json:
        say_json(done._asdict())
    else:
        _say_done(done)


def _say_done(done: Rebaselined) -> None:
    if done.audit_loss:
        say(f"{done.audit_loss}; the audit log says so from now on, and goes on", file=sys.stderr)
    if not done.changed:
        say("the ledger is not older than its rollback guard or its inbox; nothing was changed", file=sys.stderr)
    if done.is_blind:
        say("the rollback guard was damaged: only the inbox tells what was published", file=sys.stderr)
    for label in done.taken:
        say(f"{label}: taken from its receipt, and refused from now on", file=sys.stderr)
    for channel, sequence in done.spent.items():
        say(f"{channel}: numbers up to {sequence} are spent", file=sys.stderr)
    for channel, ranges in done.unknown.items():
        text = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges[:MOST_SHOWN])
        more = ", ..." if len(ranges) > MOST_SHOWN else ""
        say(
            f"{channel}: of these nothing is known: {text}{more}; if they were not published before, have them sent "
            "again under a new version",
            file=sys.stderr,
        )
