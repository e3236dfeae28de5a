"""``diode-sender run``, ``send`` and ``pack``: the daemon, and files that a person names in a command."""

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer

from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.console.entry import INTERRUPTED, fail
from diode.console.logs import configure
from diode.console.progress import Display, choose_mode
from sender.daemon import Sender
from sender.pack.wanted import Named

KEPT: Final = "what is queued stays queued, and the next run goes on with it; what was not packed yet stays where it is"
FAILED: Final = 3  # exit code when something could not be sent


@dataclass(frozen=True, slots=True)
class Session:
    """A sender that runs in this process, and the display on which it shows progress."""

    sender: Sender
    display: Display

    def finish(self, work: Coroutine[Any, Any, object], *, failed_code: int) -> None:
        """Do ``work`` and print the summary.

        Raises typer.Exit when a signal interrupted it, and with ``failed_code`` when something could not be sent. With
        a ``failed_code`` of 0 a failure does not end the process by an exit code.
        """
        try:
            asyncio.run(work)
        finally:
            self.display.close()
        self.display.summary({**self.sender.tally.outcomes(), **self.sender.tally.figures()})
        if self.sender.interrupted is not None:
            if self.sender.interrupted != signal.SIGINT:
                raise typer.Exit
            fail(f"interrupted; {KEPT}", INTERRUPTED)
        if self.sender.tally.failed and failed_code:
            raise typer.Exit(failed_code)


@contextmanager
def session(toml: Path, *, as_json: bool, quiet: bool) -> Iterator[Session]:
    """Open a sender. It holds the locks of its state folder and outbox until the ``with`` block ends."""
    config = load(SenderConfig, toml)
    configure(config.log.level, json=config.log.as_json)
    display = Display(choose_mode(as_json=as_json, quiet=quiet))
    with Sender(config, display) as sender:
        yield Session(sender, display)


def run(toml: Path, *, until_idle: bool, as_json: bool, quiet: bool) -> None:
    """Send what is queued and what appears in the outbox."""
    with session(toml, as_json=as_json, quiet=quiet) as one:
        one.finish(one.sender.run(until_idle=until_idle), failed_code=FAILED if until_idle else 0)
        if until_idle and one.sender.left:
            raise typer.Exit(FAILED)  # each was named, with what it waits for


def send(toml: Path, wanted: Named, *, only_pack: bool = False, as_json: bool, quiet: bool) -> None:
    """Pack the files of ``wanted``, and send them unless ``only_pack``. Raises UsageError, typer.Exit."""
    wanted.check()
    with session(toml, as_json=as_json, quiet=quiet) as one:
        work = one.sender.send(wanted, only_pack=only_pack)
        one.finish(work, failed_code=FAILED)
        if one.sender.tally.unapproved and not only_pack:
            raise typer.Exit(FAILED)
