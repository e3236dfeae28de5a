"""``diode-sender waiting``, ``approve`` and ``reject``: bundles that people have to sign before they are sent."""

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from diode.bundle.ref import label_of, number_of
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.console.bundles import Listed, show_waiting
from diode.console.contents import first_files, say_files
from diode.console.logs import configure
from diode.console.prompts import confirm, print_fields
from diode.console.terminal import say, say_json
from diode.errors import DiodeError, UsageError
from diode.storage.locking import is_locked
from diode.trust.inspection import MANIFEST_FILE, describe, inspect, read_sealed
from diode.trust.keys import read_any_signer
from sender.commands.opening import open_audit, open_ledger
from sender.ledger import Row
from sender.pack.approval import Approval, Approvals, find_waiting, reject_waiting
from sender.pack.identity_copies import changes_of
from sender.pack.packed import load_packed
from sender.pack.sources import ShownFiles


def waiting(toml: Path, *, as_json: bool) -> None:
    """Show the bundles that wait for people's signatures."""
    config = load(SenderConfig, toml)
    approvals = Approvals(config, open_audit(config))
    with closing(open_ledger(config)) as ledger:
        found = [(row, approvals.read(row)) for row in ledger.unapproved()]
    facts = [row._asdict() | _facts(config, row, one) for row, one in found]
    if as_json:
        say_json(facts)
        return
    bundles = [Listed.of(row, ", ".join(one.persons) or "nobody", str(one.needed)) for row, one in found]
    show_waiting(bundles, ("signed by", "needed"))
    for row, one in zip((row for row, _ in found), facts, strict=True):
        say(f"{label_of(row)} ({row.id})")
        print_fields({name.replace("_", " "): one[name] for name in ("classification", "releasable_to")})
        say_files(one["first_files"], row.files)
        _show_changes("it", one.get("changes", ()))


class Hand(NamedTuple):
    """How a person signs: with ``key`` (``public`` where it is in hardware), or by a manifest ``signed`` elsewhere."""

    key: str | None
    public: Path | None
    signed: Path | None


def approve(toml: Path, bundle: str, hand: Hand, *, yes: bool, as_json: bool) -> None:
    """Sign a bundle that waits, after showing what it is. ``as_json``: instead, what it is then is one object."""
    key, public, signed = hand
    if (key is None) == (signed is None):
        raise UsageError("give either --key KEY, or --signed FILE with a manifest that was signed elsewhere")
    if as_json and key is not None and not yes:
        raise UsageError("with --json nothing is shown before it is signed, so nobody is asked: give --yes as well")
    config = load(SenderConfig, toml)
    approvals = Approvals(config, open_audit(config))
    with closing(open_ledger(config, read_only=False)) as ledger:
        row = find_waiting(ledger, bundle)
        if not as_json:
            _show(config, row, approvals.read(row))
        if signed is not None:
            approval = approvals.merge(ledger, row, read_sealed(signed))
        else:
            assert key is not None
            signer = read_any_signer(key, public)
            confirm(f"sign it with key {signer.public_key.keyid[:16]}?", yes=yes)
            approval = approvals.sign(ledger, row, signer)
    if as_json:
        say_json(row._asdict() | _facts(config, row, approval) | {"is_approved": approval.is_enough})
        return
    say(f"signed by {', '.join(approval.persons)}; {approval.needed} needed", file=sys.stderr)
    if approval.is_enough:
        text = "the running daemon sends it" if is_locked(config.state) else "the next run sends it"
        say(f"approved; {text}", file=sys.stderr)


def _show(config: SenderConfig, row: Row, approval: Approval) -> None:
    """What a person sees before they sign."""
    found = inspect(read_sealed(config.state / "bundles" / row.id / MANIFEST_FILE))
    print_fields(describe(found.manifest, found.number) | _standing(approval))
    say_files(_first_files(config, row), found.manifest.files.entries)
    _show_changes("it", changes_of(config.state, row))


def _facts(config: SenderConfig, row: Row, approval: Approval) -> dict[str, Any]:
    """What ``--json`` tells of a bundle beside its row; ``changes``: of identity material alone."""
    changes = changes_of(config.state, row)
    labels = inspect(read_sealed(config.state / "bundles" / row.id / MANIFEST_FILE)).manifest.labels
    return {
        "signed_by": approval.persons,
        "needed": approval.needed,
        "classification": labels.classification if labels else None,
        "releasable_to": labels.releasable_to if labels else None,
        "first_files": _first_files(config, row),
    } | ({"changes": changes} if changes else {})


def _standing(approval: Approval) -> dict[str, str]:
    """Who has signed, and how many are still needed."""
    missing = max(0, approval.needed - len(approval.persons))
    return {"signed by": ", ".join(approval.persons) or "nobody", "still needed": f"{missing} of {approval.needed}"}


def _first_files(config: SenderConfig, row: Row) -> list[dict[str, Any]]:
    try:
        files = ShownFiles(config.state / "bundles" / row.id, load_packed(config.state, number_of(row.id)).manifest)
        return first_files(files.entries(), files.open)
    except (DiodeError, OSError, ValueError, IndexError):
        return []  # a damaged one is not signed either, and is said then


def _show_changes(what: str, changes: Sequence[str]) -> None:
    """What approvers of identity material must know: nothing is said of what has none."""
    if changes:
        say(f"{what} changes:", *(f"  {line}" for line in changes))


def reject(toml: Path, bundle: str, reason: str) -> None:
    """Withdraw a bundle that waits for signatures."""
    config = load(SenderConfig, toml)
    configure(config.log.level, json=config.log.as_json)
    with closing(open_ledger(config, read_only=False)) as ledger:
        row = find_waiting(ledger, bundle)
        reject_waiting(config, ledger, row, reason, open_audit(config))
    say(f"{label_of(row)} ({row.id}) is withdrawn", file=sys.stderr)
