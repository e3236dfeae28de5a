"""``config check`` of both sides: every key at once, and whether the files that a configuration names are there."""

import os
from collections.abc import Iterator
from pathlib import Path

import typer

from diode.config.load import ConfigError, load
from diode.config.ownership import find_unsafe
from diode.config.programs import problems_of_programs
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from diode.console.terminal import say, say_json
from diode.errors import UsageError

Side = SenderConfig | ReceiverConfig


def check(kind: type[SenderConfig] | type[ReceiverConfig], path: Path, *, as_json: bool) -> None:
    """Say all that is wrong with a configuration. Raises typer.Exit with 2 when something is, NotInitialisedError."""
    problems = problems_of(kind, path)
    if as_json:
        say_json({"file": str(path), "problems": problems})
    else:
        say(*problems or [f"{path} is sound"])
    if problems:
        raise typer.Exit(UsageError.exit_code)


def problems_of(kind: type[SenderConfig] | type[ReceiverConfig], path: Path) -> list[str]:
    """A line for each thing that is wrong with the file at ``path``; none: a daemon would take it.

    Raises NotInitialisedError when there is no such file.
    """
    try:
        config: Side = load(kind, path)
    except ConfigError as error:
        return error.problems
    return [*_missing(config), *_no_programs(config), *_of_others(config)]


def _missing(config: Side) -> Iterator[str]:
    """Keys that must be there before a daemon starts."""
    for name, key in _keys(config):
        if not os.access(key, os.R_OK):
            yield f"{name}: {key} is not there, or cannot be read"


def _no_programs(config: Side) -> Iterator[str]:
    """Programs of the site that cannot be run: what waits for one would wait for ever."""
    for problem in problems_of_programs(config):
        yield f"{problem.setting}: {problem.text}"


def _keys(config: Side) -> Iterator[tuple[str, Path]]:
    yield "service_key", config.service_key
    yield "link.key", config.link.key
    if isinstance(config, ReceiverConfig):
        yield "signers", config.signers
    elif config.daemon_signs:
        yield "send.key", config.send.key


def _of_others(config: Side) -> Iterator[str]:
    """Files and folders that somebody else may change."""
    for unsafe in find_unsafe(config, {0, os.geteuid()}):
        yield f"{unsafe.text}; type: {unsafe.do}"
