"""``diode-receiver dismiss``: a person says that something is not missed any more, or takes that back."""

from contextlib import closing
from pathlib import Path

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.terminal import say, say_json
from diode.control.ask import maybe_asking
from diode.errors import UsageError
from receiver.commands.opening import open_ledger
from receiver.control.words import WORDS, Dismiss, TakeBack
from receiver.peer.dismissing import read_subject


def dismiss(toml: Path, typed: str, reason: str, *, undo: bool, as_json: bool) -> None:
    """Take a bundle, or a number, off what is missing; with ``undo`` have it missed again. The daemon must run."""
    if not (reason.strip() or undo):
        raise UsageError("say why: --reason TEXT; it is kept in the audit log, and nothing was changed")
    config = load(ReceiverConfig, toml)
    with closing(open_ledger(config)) as ledger:
        subject = read_subject(ledger, typed)
    daemon = maybe_asking(config.state, "receiver", WORDS)
    if daemon is None:
        raise UsageError("no daemon runs here, so nothing was changed; 'diode-receiver run' starts one")
    with daemon:
        said = daemon.ask((TakeBack if undo else Dismiss)(*subject, reason))
    if as_json:
        say_json(subject._asdict() | {"dismissed": not undo, "changed": said["changed"]})
    elif undo:
        say(f"{subject.said} is missed again" if said["changed"] else f"{subject.said} was not dismissed")
    else:
        already = "" if said["changed"] else " already"
        say(f"{subject.said} is dismissed{already}; what arrives of it is published all the same; --undo takes it back")
