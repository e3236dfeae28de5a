"""``diode-sender cancel``, ``pause`` and ``resume``: what a person asks of the running daemon."""

from contextlib import closing
from pathlib import Path

from diode.bundle.beginning import find_bundle
from diode.bundle.ref import label_of
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.console.terminal import say
from diode.control.ask import Asking, maybe_asking
from diode.errors import UsageError
from sender.commands.opening import open_ledger
from sender.control.words import WORDS, Cancel, Pause, Resume
from sender.ledger import Row


def cancel(toml: Path, bundle: str, why: str) -> None:
    """Give a bundle up that waits or is being sent. Raises UsageError, DiodeError."""
    config = load(SenderConfig, toml)
    row = _one(config, bundle)
    with asking(config) as daemon:
        daemon.ask(Cancel(row.id, why))
    say(f"{label_of(row)} ({row.id}) is withdrawn; what has left already cannot be called back")


def pause(toml: Path, channel: str) -> None:
    """Send nothing of a channel, or of any, until it is resumed."""
    with asking(load(SenderConfig, toml)) as daemon:
        said = daemon.ask(Pause(channel))
    say(f"{_what(channel)} is paused{'' if said['changed'] else ' already'}; a restart does not resume it")


def resume(toml: Path, channel: str) -> None:
    """Send again what was paused."""
    with asking(load(SenderConfig, toml)) as daemon:
        said = daemon.ask(Resume(channel))
    say(f"{_what(channel)} {'is resumed' if said['changed'] else 'was not paused'}")


def asking(config: SenderConfig) -> Asking:
    """The running daemon. Raises UsageError when none runs."""
    found = maybe_asking(config.state, "sender", WORDS)
    if found is None:
        raise UsageError("no daemon runs here, so nothing was changed; 'diode-sender run' starts one")
    return found


def _what(channel: str) -> str:
    return f"channel {channel}" if channel else "the line"


def _one(config: SenderConfig, beginning: str) -> Row:
    """The bundle that a person means by its id, or the beginning of it. Raises UsageError."""
    with closing(open_ledger(config)) as ledger:
        return find_bundle(ledger.ids, beginning, "'diode-sender status' shows them")
