"""``diode-sender run``, ``send`` and ``pack``: the daemon, and what a person sends by name."""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer

from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.console.entry import INTERRUPTED
from diode.console.logs import configure
from diode.console.progress import Display, choose_mode
from diode.errors import UsageError
from sender.daemon import Sender

FAILED: Final = 3  # exit code when something could not be sent


@dataclass(frozen=True, slots=True)
class Named:
    """What a person wants to be sent as one bundle. None: as the configuration says, or found by itself."""

    paths: Sequence[Path]
    channel: str
    name: str | None
    version: str | None
    passes: int | None = None
    pass_delay_s: float | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A sender of this process, and what it shows."""

    sender: Sender
    display: Display

    def finish(self, work: Coroutine[Any, Any, object], *, failed_code: int) -> None:
        """Do ``work`` and say how it went. Raises typer.Exit: interrupted, or ``failed_code`` (0: never)."""
        try:
            asyncio.run(work)
        finally:
            self.display.close()
        self.display.summary({**self.sender.tally.outcomes(), **self.sender.tally.figures()})
        if self.sender.interrupted is not None:
            raise typer.Exit(INTERRUPTED if self.sender.interrupted == 2 else 0)
        if self.sender.tally.failed and failed_code:
            raise typer.Exit(failed_code)


@contextmanager
def session(toml: Path, *, as_json: bool, quiet: bool) -> Iterator[Session]:
    """A sender that holds its folder until this ends."""
    config = load(SenderConfig, toml)
    configure(config.log.level, json=config.log.as_json)
    display = Display(choose_mode(as_json=as_json, quiet=quiet))
    with Sender(config, display) as sender:
        yield Session(sender, display)


def run(toml: Path, *, until_idle: bool, as_json: bool, quiet: bool) -> None:
    """Send what is queued and what appears in the outbox."""
    with session(toml, as_json=as_json, quiet=quiet) as one:
        one.finish(one.sender.run(until_idle=until_idle), failed_code=FAILED if until_idle else 0)


def send(toml: Path, wanted: Named, *, only_pack: bool = False, as_json: bool, quiet: bool) -> None:
    """Pack what is ``wanted``, and send it unless ``only_pack``. Raises UsageError, typer.Exit."""
    for path in wanted.paths:
        if not path.exists():
            raise UsageError(f"{path} does not exist")
    with session(toml, as_json=as_json, quiet=quiet) as one:
        defaults = one.sender.config.send
        work = one.sender.send(
            list(wanted.paths),
            wanted.channel,
            wanted.name,
            wanted.version,
            defaults.passes if wanted.passes is None else wanted.passes,
            defaults.pass_delay_s if wanted.pass_delay_s is None else wanted.pass_delay_s,
            only_pack=only_pack,
        )
        one.finish(work, failed_code=FAILED)
        if one.sender.tally.unapproved and not only_pack:
            raise typer.Exit(FAILED)
