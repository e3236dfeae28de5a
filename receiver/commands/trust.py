"""``diode-receiver trust``: the document that says who may sign what."""

import sys
from contextlib import closing
from pathlib import Path

from diode.audit.chain import What
from diode.audit.facts import trust_facts
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.prompts import confirm
from diode.console.terminal import say, say_json
from diode.console.trust_tables import show_document
from diode.errors import UsageError
from diode.formats.timestamps import now_utc
from diode.storage.durable import read_bounded
from diode.storage.locking import locked
from diode.trust.document import MAX_TRUST_BYTES, document_digest, read_document
from receiver.commands.opening import open_audit, open_ledger
from receiver.inbox.folder import Inbox
from receiver.policy.authority import Authority
from receiver.recovery import rebaseline


def install(toml: Path, path: Path, *, yes: bool) -> None:
    """Believe a trust document, the first one above all."""
    config = load(ReceiverConfig, toml)
    try:
        sealed = read_bounded(path, MAX_TRUST_BYTES)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    document = read_document(sealed)
    show_document(document)
    confirm("believe it?", yes=yes)
    with locked(config.state):
        Inbox(config.inbox.path).prepare()
        with closing(rebaseline.open_ledger(config)) as ledger:
            audit = open_audit(config)
            Authority(ledger, None, {}).install(
                sealed,
                now_utc(),
                lambda taken, _: audit.append(
                    What.TRUST_CHANGED, **trust_facts(taken.version, document_digest(sealed), "; by hand")
                ),
            )
    say(f"trust document {document.version} counts here from now on", file=sys.stderr)


def show(toml: Path, *, as_json: bool) -> None:
    """Show the trust document that counts here."""
    with closing(open_ledger(load(ReceiverConfig, toml))) as ledger:
        sealed = ledger.trust.document()
    if sealed is None:
        raise UsageError("no trust document is installed: the keys in the folder of signers count")
    document = read_document(sealed)
    if as_json:
        say_json(document.model_dump())
    else:
        show_document(document)
