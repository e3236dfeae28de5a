"""``diode-receiver import``: takes bundles from physical media, as they would come over the link."""

import sys
from contextlib import closing
from pathlib import Path

import typer

from diode.bundle.manifest import Manifest
from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.logs import configure
from diode.console.progress import Display, choose_mode
from diode.console.terminal import say
from diode.errors import BytesError, DiodeError, StorageError, UsageError
from diode.storage.locking import locked_as_it_is
from receiver.commands.opening import open_ledger
from receiver.media.handing import Handing
from receiver.media.importing import Importing, Outcome
from receiver.media.medium import Listed, Medium
from receiver.spool.handed_in import FOLDER


def import_bundles(toml: Path, folder: Path, *, as_json: bool, quiet: bool) -> None:
    """Take every bundle of the medium at ``folder``. Raises typer.Exit with the first failure's code."""
    config = load(ReceiverConfig, toml)
    configure(config.log.level, json=config.log.as_json)
    handing = Handing(config.state)
    display = Display(choose_mode(as_json=as_json, quiet=quiet))

    def show(manifest: Manifest, done: int, detail: str) -> None:
        display.update(manifest.label, done, manifest.stream_bytes, detail, {"label": manifest.label})

    try:
        with locked_as_it_is(config.state / FOLDER), closing(open_ledger(config)) as ledger, closing(handing):
            codes = _take_all(Importing(config, ledger, handing, show), Medium(folder), display)
    finally:
        display.close()
    if any(codes):
        raise typer.Exit(next(filter(None, codes)))
    say("the medium may be pulled once it is unmounted", file=sys.stderr)


def _take_all(importing: Importing, medium: Medium, display: Display) -> list[int]:
    """Exit codes: of each bundle in the order of its channel, and of what else lies there."""
    listed = _list(medium)
    codes = [_take(importing, medium, hex_id, display) for hex_id in importing.in_order(medium, listed.bundles)]
    for strange in listed.strange:
        say(f"error: {strange}", file=sys.stderr)
    if not listed.bundles and not listed.strange:
        raise UsageError("there is no bundle on this medium")
    return [*codes, *(BytesError.exit_code for _ in listed.strange[:1])]


def _list(medium: Medium) -> Listed:
    try:
        return medium.listed()
    except OSError as error:
        raise StorageError(f"the medium cannot be read: {error.strerror}; nothing was imported") from error


def _take(importing: Importing, medium: Medium, hex_id: str, display: Display) -> int:
    """Bring one bundle, and say what became of it; the exit code."""
    try:
        outcome = importing.bring(medium, hex_id)
    except (StorageError, UsageError):
        raise  # the medium, the disk or the daemon: the next bundle would fare alike
    except DiodeError as error:
        say(f"error: {error}", file=sys.stderr)
        return error.exit_code
    _tell(outcome, hex_id, display)
    return 0


def _tell(outcome: Outcome, hex_id: str, display: Display) -> None:
    manifest = outcome.opened.manifest
    said = outcome.state if outcome.is_new else f"{outcome.state} already"
    display.finish(manifest.label, said, {"bundle": hex_id, "label": manifest.label, "bytes": manifest.stream_bytes})
    if outcome.state == "published":
        say(f"{manifest.label} is {said}; its confirm code: diode-receiver receipt {hex_id} --code", file=sys.stderr)
    else:
        say(f"{manifest.label} is verified, and waits for people: diode-receiver held", file=sys.stderr)
