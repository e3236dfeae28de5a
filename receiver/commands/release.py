"""``diode-receiver held``, ``accept`` and ``reject``: bundles that people have to release before they are published."""

import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from diode.bundle.beginning import find_bundle
from diode.bundle.ref import label_of
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.bundles import Listed, show_waiting
from diode.console.contents import say_files
from diode.console.moments import whole_time
from diode.console.prompts import print_fields
from diode.console.terminal import say, say_json
from diode.errors import UsageError
from diode.formats.timestamps import now_utc
from diode.storage.locking import is_locked
from receiver.commands.accepted import Acceptance, Acceptances
from receiver.commands.opening import open_ledger
from receiver.commands.speaking import signers_for
from receiver.inbox.folder import Inbox
from receiver.ledger.bundles import Row
from receiver.ledger.states import State
from receiver.release.contents import held_facts
from receiver.release.decisions import Verdict, write_decision
from receiver.release.held import decide

_SHOWN: Final = ("signed_by", "waits_for", "still_needed", "classification", "releasable_to")


@dataclass(frozen=True, slots=True)
class Word:
    """What one person decided, why, and with which key it is signed (None: not signed)."""

    verdict: Verdict
    reason: str
    key: str | None
    public: Path | None  # the public half of a key in hardware


def held(toml: Path, *, as_json: bool) -> None:
    """Show the bundles that are verified and wait to be released."""
    config = load(ReceiverConfig, toml)
    with closing(open_ledger(config)) as ledger:
        rows = ledger.bundles.held()
    place = Inbox(config.inbox.path).held
    acceptances = Acceptances(config)
    facts = [_facts(acceptances.of(row), row, place / row.id) for row in rows]
    if as_json:
        say_json([row._asdict() | one for row, one in zip(rows, facts, strict=True)])
        return
    show_waiting([Listed.of(row, whole_time(row.changed)) for row in rows], ("since",))
    for row, one in zip(rows, facts, strict=True):
        say(f"{label_of(row)} ({row.id})")
        print_fields({name.replace("_", " "): one[name] for name in _SHOWN} | {"accepted by": _accepted(one)})
        say_files(one["first_files"], row.files)
    if rows:
        say(f"they lie below {place}; 'accept ID' or 'reject ID'", file=sys.stderr)


def _facts(acceptance: Acceptance, row: Row, tree: Path) -> dict[str, Any]:
    """What people see of a bundle that waits, beside its row."""
    return {"path": str(tree), "signed_by": row.signer} | acceptance.said() | held_facts(tree)


def _accepted(facts: dict[str, Any]) -> str:
    return ", ".join(facts["accepted"]) or "nobody yet"


def write(toml: Path, bundle: str, word: Word) -> None:
    """Write down what a person decided of the bundle whose id begins with ``bundle``. The daemon reads it.

    Raises UsageError unless that is one bundle that is held, TrustError when the word would not count.
    """
    config = load(ReceiverConfig, toml)
    with closing(open_ledger(config)) as ledger:
        row = find_bundle(ledger.bundles, bundle, "'diode-receiver held' shows those that wait", {State.HELD})
    signers = signers_for(config, row.channel, word.key, word.public)
    decision = decide(row.id, row.content, word.verdict, word.reason, now_utc())
    try:
        write_decision(config.state, decision, signers)
    except OSError as error:
        raise UsageError(f"{config.state} cannot be written by you: {error.strerror}; nothing was decided") from error
    when = "within seconds" if is_locked(config.state) else "when it runs again"
    say(f"{label_of(row)} ({row.id}): the daemon reads your {word.verdict} {when}", file=sys.stderr)
