"""Questions and answers that several commands share: confirmations, and lists of fields."""

import sys
from collections.abc import Mapping

from diode.console.terminal import ask, say
from diode.errors import UsageError


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation on the terminal. Without a terminal ``--yes`` is needed; otherwise UsageError is raised."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nothing was done: there is no terminal to ask on; with --yes nothing is asked")
    if not ask(question):
        raise UsageError("nothing was done")


def print_fields(fields: Mapping[str, object]) -> None:
    """Print one line for each field that is not empty."""
    for name, value in fields.items():
        if value is not None:
            say(f"{name + ':':<16}{value}")
