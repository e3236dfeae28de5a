"""Programs of the site that a configuration names: hooks, scanners, targets. One list, for all that is asked of them.

Whoever can write such a program decides in the daemon's name; one that cannot be run decides nothing, and an item, a
bundle or a version waits for it.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from diode.config.ingest import ProgramTarget
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from diode.errors import UsageError
from diode.formats.escape import escape
from diode.log import log
from diode.process.judges import Account, find_program

DO: Final = "put the program there, or mend the setting; what waits for it waits until then"

Config = SenderConfig | ReceiverConfig


class Program(NamedTuple):
    """One command. ``setting``: the key that names it; ``user_setting`` the one with the user whom it runs as."""

    setting: str
    command: tuple[str, ...]
    user_setting: str
    user: str
    is_persons: bool = False  # a command starts it, not the daemon


class Problem(NamedTuple):
    """What is wrong with a setting, in words."""

    setting: str
    text: str


def programs_of(config: Config) -> Iterator[Program]:
    """Every program that a side may start."""
    for event, command in config.hooks.commands.items():
        yield Program(f"hooks.{event}", command, "hooks.user", config.hooks.user)
    yield from _of_sender(config) if isinstance(config, SenderConfig) else _of_receiver(config)


def problems_of_programs(config: Config) -> Iterator[Problem]:
    """Programs that are not there or may not be executed, and users whom nobody knows; each setting once."""
    seen = set()
    for program in programs_of(config):
        for problem in _problems_of(program):
            if problem not in seen:
                seen.add(problem)
                yield problem


def say_missing(config: Config) -> None:
    """Name at the start what cannot be run. The daemon starts all the same: its other work does not wait for that."""
    for problem in problems_of_programs(config):
        log.warning("program_missing", setting=problem.setting, detail=escape(problem.text), do=DO)


def _problems_of(program: Program) -> Iterator[Problem]:
    try:
        find_program(program.command[0])
    except OSError as error:
        yield Problem(program.setting, f"{program.command[0]} cannot be run: {error.strerror}")
    try:
        if program.user:
            Account.of(program.user)
    except UsageError as error:
        yield Problem(program.user_setting, str(error))


def _of_sender(config: SenderConfig) -> Iterator[Program]:
    for name, channel in config.channels.items():
        for number, hook in enumerate(channel.intake.hooks):
            setting = f"channels.{name}.intake.hooks.{number}"
            yield Program(f"{setting}.run", hook.run, f"{setting}.user", hook.user)


def _of_receiver(config: ReceiverConfig) -> Iterator[Program]:
    for name, channel in config.channels.items():
        setting = f"channels.{name}"
        if channel.scan:
            yield Program(f"{setting}.scan", channel.scan, f"{setting}.scan_user", channel.scan_user)
        if channel.health:
            yield Program(f"{setting}.health", channel.health, f"{setting}.health_user", channel.health_user)
    for name, target in config.ingest.items():
        if isinstance(target, ProgramTarget):
            yield Program(f"ingest.{name}.command", target.command, f"ingest.{name}.user", target.user, True)
