"""``diode-receiver run``: the daemon."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Final

import typer

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.entry import INTERRUPTED, fail
from diode.console.logs import configure
from diode.console.progress import Display, choose_mode
from receiver.daemon import Receiver

KEPT: Final = "what arrived is kept, and the next run goes on with it"


def run(toml: Path, bundles: int | None, *, as_json: bool, quiet: bool) -> None:
    """Receive bundles into the inbox. If a number of bundles is given, end after that many. Raises typer.Exit."""
    config = load(ReceiverConfig, toml)
    configure(config.log.level, json=config.log.as_json)
    keep_to_oneself()
    display = Display(choose_mode(as_json=as_json, quiet=quiet))
    try:
        with Receiver(config, display) as receiver:
            asyncio.run(receiver.run(bundles))
            display.close()
            display.summary(receiver.summary())
            if receiver.interrupted is not None:
                if receiver.interrupted != signal.SIGINT:
                    raise typer.Exit
                fail(f"interrupted; {KEPT}", INTERRUPTED)
            raise typer.Exit(receiver.exit_code if bundles is not None else 0)
    finally:
        display.close()


def keep_to_oneself() -> None:
    """Set the umask so that only the owner can write to what is published. The workers inherit it."""
    os.umask(os.umask(0o077) | 0o022)
