"""Completion for shells: of commands and options, of bundle ids and channels. It is never loud, and never fails.

The scripts are typer's own. A shell inserts what is printed here as if it was typed, and one of them evaluates it, so
nothing is offered but words of harmless characters: a stranger's name with a ``$`` in it is left out.
"""

import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from threading import Timer
from typing import Any, Final, Literal

import typer

Shell = Literal["bash", "zsh", "fish"]

MOST: Final = 50  # words that are offered
MAX_CONFIG_BYTES: Final = 1 << 20
_HARMLESS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+/-]{0,300}")
_LINE: Final = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")  # the line as bash, and as the others, hand it over
_LEDGER: Final = "ledger.db"
_PATIENCE_S: Final = 2.0  # then nothing is offered


def variable_of(program: str) -> str:
    """The environment variable by which a shell asks this program for words."""
    return f"_{program.replace('-', '_').upper()}_COMPLETE"


def answer(app: typer.Typer, program: str) -> None:
    """Print the words that the shell asked for, and end the program. Nothing at all is printed when that fails."""
    patience = Timer(_PATIENCE_S, os._exit, (0,))
    patience.daemon = True
    patience.start()
    with suppress(Exception):
        from typer._completion_classes import completion_init
        from typer.completion import shell_complete

        completion_init()
        variable = variable_of(program)
        shell_complete(typer.main.get_command(app), {}, program, variable, os.environ[variable])
    sys.exit(0)


def show(program: str, shell: Shell) -> str:
    """The script for a shell."""
    from typer._completion_shared import get_completion_script

    return get_completion_script(prog_name=program, complete_var=variable_of(program), shell=shell)


def install(program: str, shell: Shell) -> Path:
    """Write the script where the shell of this user finds it, and return where. Raises OSError."""
    from typer._completion_shared import install as install_script

    _, path = install_script(shell=shell, prog_name=program, complete_var=variable_of(program))
    return path


def bundles(context: typer.Context, incomplete: str) -> list[str]:
    """Ids of bundles that begin so."""
    return _offered(context, incomplete, lambda listing: (one.id for one in listing.beginning(incomplete, MOST)))


def channels(context: typer.Context, incomplete: str) -> list[str]:
    """Channels of which the ledger knows."""
    return _offered(context, incomplete, lambda listing: iter(listing.channels()))


def places(context: typer.Context, incomplete: str) -> list[str]:
    """``CHANNEL`` or, after a slash, ``CHANNEL/NAME``."""
    channel, slash, name = incomplete.partition("/")
    if not slash:
        return channels(context, incomplete)
    return _offered(
        context, incomplete, lambda listing: (f"{channel}/{found}" for found in listing.names(channel, name, MOST))
    )


def _offered(context: typer.Context, incomplete: str, look: Callable[[Any], Iterator[str]]) -> list[str]:
    """What ``look`` finds in the ledger, if it is harmless. An unreadable ledger offers nothing."""
    with suppress(Exception):
        from diode.storage.connection import Connection
        from diode.storage.listing import Listing

        with closing(Connection(_state(context) / _LEDGER, "NORMAL", read_only=True)) as ledger:
            found = look(Listing(ledger, "id"))
            return [word for word in found if word.startswith(incomplete) and _HARMLESS.fullmatch(word)][:MOST]
    return []


def _state(context: typer.Context) -> Path:
    """The state folder of the configuration that the line names, or that would be read without one."""
    toml = _named(_words()) or context.find_root().obj or Path()
    with toml.open("rb") as file:
        written = tomllib.loads(file.read(MAX_CONFIG_BYTES).decode())
    return toml.resolve().parent / str(written.get("state", "state"))


def _words() -> Sequence[str]:
    return next((os.environ[name].split() for name in _LINE if name in os.environ), [])


def _named(words: Sequence[str]) -> Path | None:
    for n, word in enumerate(words[:-1]):
        if word in ("-c", "--config"):
            return Path(words[n + 1]).expanduser()
    return next((Path(word.partition("=")[2]).expanduser() for word in words if word.startswith("--config=")), None)
