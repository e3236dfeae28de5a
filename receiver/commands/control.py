"""``diode-receiver retry``: what a person asks of the running daemon."""

from contextlib import closing
from pathlib import Path

from diode.bundle.beginning import find_bundle
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.terminal import say
from diode.control.ask import maybe_asking
from diode.errors import UsageError
from receiver.commands.opening import open_ledger
from receiver.control.words import WORDS, Retry


def retry(toml: Path, bundle: str) -> None:
    """Have the daemon try again what failed of a bundle here. Raises UsageError with what to type where it cannot."""
    config = load(ReceiverConfig, toml)
    bundle = _one(config, bundle)
    asking = maybe_asking(config.state, "receiver", WORDS)
    if asking is None:
        raise UsageError("no daemon runs here, so nothing was tried; 'diode-receiver run' starts one")
    try:
        with asking:
            said = asking.ask(Retry(bundle))
    except UsageError as error:
        if lines := _unfinished(config, toml, bundle):
            raise UsageError(f"{error}. A store was left half done; type: {'; '.join(lines)}") from None
        raise
    say(
        f"{said['label']} ({said['id']}): {said['what']} is tried again; 'diode-receiver status' shows what comes of it"
    )


def _unfinished(config: ReceiverConfig, toml: Path, bundle: str) -> list[str]:
    """What to type where ``ingest`` was interrupted: that is a command's work, which the daemon does not do."""
    if not config.ingest:
        return []
    from receiver.commands.ingest import unfinished_lines  # loads what signs

    return unfinished_lines(config, toml, bundle)


def _one(config: ReceiverConfig, beginning: str) -> str:
    """The id that a person means by it, or by its beginning. Raises UsageError."""
    with closing(open_ledger(config)) as ledger:
        return find_bundle(ledger.bundles, beginning, "'diode-receiver status' shows them").id
