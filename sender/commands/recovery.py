"""``diode-sender backup``, ``restore`` and ``rebaseline``: a person prepares for the loss of a ledger, or mends it."""

import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from diode.audit.chain import What
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.console.logs import configure
from diode.console.terminal import say, say_json
from diode.storage.backup import describe_backup, describe_restore, describe_taken
from diode.storage.backup_seal import Contents
from diode.trust.backup_keys import keys_of, signer_of
from sender.commands.opening import open_audit, open_ledger
from sender.ledger import Ledger
from sender.recovery.backup import back_up
from sender.recovery.backup import restore as restore_backup
from sender.recovery.rebaseline import Rebaselined, parse_after
from sender.recovery.rebaseline import rebaseline as rebaseline_ledger


def backup(toml: Path, folder: Path) -> None:
    """Copy ledger and packed bundles to ``folder``."""
    config = load(SenderConfig, toml)
    configure(config.log.level, json=config.log.as_json)
    with closing(open_ledger(config)) as ledger:
        back_up(ledger, folder, signer_of(config.service_key))
        say(describe_backup(ledger, folder), file=sys.stderr)


def restore(toml: Path, folder: Path, signed_by: Path | None, *, force: bool, is_unsigned: bool) -> None:
    """Put the backup in ``folder`` back."""
    config = load(SenderConfig, toml)
    configure(config.log.level, json=config.log.as_json)
    audit = open_audit(config)

    def note(ledger: Ledger, contents: Contents | None) -> None:
        audit.append(What.RESTORED, detail=describe_taken(ledger, folder, contents))

    keys = keys_of(config.service_key, signed_by)
    kept = restore_backup(folder, config.state, force=force, keys=keys, is_unsigned=is_unsigned, note=note)
    say(describe_restore(kept, "diode-sender"), file=sys.stderr)


def rebaseline(toml: Path, after: list[str], *, as_json: bool) -> None:
    """Make an older ledger go on after the last numbers that were issued."""
    config = load(SenderConfig, toml)
    configure(config.log.level, json=config.log.as_json)
    wanted = parse_after(after)
    done = rebaseline_ledger(config, wanted)
    if as_json:
        say_json(done._asdict())
    else:
        _say_done(done, wanted)


def _say_done(done: Rebaselined, wanted: Mapping[str, int]) -> None:
    if done.audit_loss:
        say(f"{done.audit_loss}; the audit log says so from now on, and goes on", file=sys.stderr)
    if not done.changed:
        say("the ledger is not older than its rollback guard; nothing was changed", file=sys.stderr)
    for channel, sequence in done.jumped.items():
        say(f"{channel}: goes on after {sequence}", file=sys.stderr)
    if done.is_blind:
        say(
            "the guard was damaged, so what was issued is not known: compare with 'diode-receiver status --json', and "
            "give the numbers with --after where they are higher there",
            file=sys.stderr,
        )
    for channel in wanted.keys() - done.jumped.keys():
        say(f"{channel}: goes on where it was, which is further", file=sys.stderr)
    if done.jumped or done.is_blind:
        say("what was sent and is not in this ledger is not known: codes for it are refused", file=sys.stderr)
