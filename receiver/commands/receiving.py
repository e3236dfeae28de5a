"""``diode-receiver run``: the daemon."""

import asyncio
import os
from pathlib import Path

import typer

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.entry import INTERRUPTED
from diode.console.logs import configure
from diode.console.progress import Display, choose_mode
from receiver.daemon import Receiver


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
                raise typer.Exit(INTERRUPTED if receiver.interrupted == 2 else 0)
            raise typer.Exit(receiver.exit_code if bundles is not None else 0)
    finally:
        display.close()


def keep_to_oneself() -> None:
    """Set the umask so that only the owner can write to what is published. The workers inherit it."""
    os.umask(os.umask(0o077) | 0o022)
