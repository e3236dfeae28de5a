"""``diode-sender cancel``, ``hold``, ``pause``, ``resume`` and ``retry``: what a person asks of the running daemon."""

import os
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
from sender.control.words import WORDS, Cancel, Hold, LetGo, Pause, Resume, Retry, RetryItem
from sender.ledger import Row
from sender.outbox.folder import check_channel, printable


def cancel(toml: Path, bundle: str, why: str) -> None:
    """Give a bundle up that waits or is being sent. Raises UsageError, DiodeError."""
    config = load(SenderConfig, toml)
    if os.sep in bundle and os.path.lexists(bundle):
        raise UsageError(
            f"{printable(Path(bundle))} is an item, and no bundle yet: move it out of the outbox, or remove it; a file "
            "that is being hashed is given up at its next MiB"
        )
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


def hold(toml: Path, bundle: str, *, is_off: bool) -> None:
    """Keep a bundle back, or let it go."""
    config = load(SenderConfig, toml)
    row = _one(config, bundle)
    with asking(config) as daemon:
        daemon.ask(LetGo(row.id) if is_off else Hold(row.id))
    if is_off:
        say(f"{label_of(row)} ({row.id}) is queued again")
    else:
        say(f"{label_of(row)} ({row.id}) is kept back, over restarts too, until 'diode-sender hold --off {row.id}'")


def retry(toml: Path, what: str) -> None:
    """Have the daemon try again what failed of an item or a bundle. Raises UsageError with what to type otherwise."""
    config = load(SenderConfig, toml)
    message = _maybe_item(config, what) or Retry(_one(config, what).id)
    with asking(config) as daemon:
        said = daemon.ask(message)
    say(f"{said['what']} is tried again; 'diode-sender status' shows what comes of it")


def _maybe_item(config: SenderConfig, what: str) -> RetryItem | None:
    """The item that a person names by its path. None: it is no path. Raises UsageError for a path elsewhere."""
    if "/" not in what:
        return None
    path = Path(os.path.abspath(what))
    for place, base in (("outbox", config.outbox.path), ("failed", config.outbox.failed)):
        if path.parent.parent == Path(os.path.abspath(base)):
            check_channel(path.parent.name)
            return RetryItem(place, path.parent.name, path.name)
    raise UsageError(f"{what} is no item of {config.outbox.path} or {config.outbox.failed}: BASE/CHANNEL/NAME")


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
