"""Every command of the three programs, as a newcomer meets it: its help, and where the configuration is named."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import typer

from diode.console.entry import placed
from diode.console.help import OTHERS, HelpfulGroup

PROGRAMS = {"diode": "diode.cli.main", "diode-sender": "sender.cli.main", "diode-receiver": "receiver.cli.main"}
NARROW = 80
OF_BOTH = ("diode-sender", "diode-receiver")  # programs of which every command reads one


def below(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """A command and all that are below it, each with the words that name it."""
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from below(inner, (*words, name))


GROUPS: dict[str, Any] = {
    name: typer.main.get_command(importlib.import_module(module).app) for name, module in PROGRAMS.items()
}
COMMANDS = {(program, *words): command for program, group in GROUPS.items() for words, command in below(group)}
READ_ONE = [
    words
    for words, command in COMMANDS.items()
    if not isinstance(command, HelpfulGroup)
    and (words[0] in OF_BOTH or any("-c" in param.opts for param in command.params))
]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a program prints on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", str(NARROW))

    def called(program: str, *words: str) -> str:
        GROUPS[program]([*words], prog_name=program, standalone_mode=False)
        return capsys.readouterr().out

    return called


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_help_fits_and_leaves_nothing_out(words: tuple[str, ...], said: Callable[..., str]) -> None:
    """Nothing is longer than 80 characters or cut, each option says what it does, and -h shows the same."""
    shown, command = said(*words, "--help"), COMMANDS[words]
    assert shown == said(*words, "-h")
    assert [] == [line for line in shown.splitlines()[1:] if len(line) > NARROW or line.endswith("...")]
    assert command.help[:1].isupper()
    assert [] == [param.name for param in command.params if not getattr(param, "help", None) and param.name != "help"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_command_stands_in_one_panel(program: str) -> None:
    """By what a person wants to do. A panel names no command that is not there."""
    group = GROUPS[program]
    assert isinstance(group, HelpfulGroup)
    named = [name for names in group.panels.values() for name in names]
    assert (sorted(group.commands), OTHERS in group.panels) == (sorted(named), False)


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_says_its_version(program: str, said: Callable[..., str]) -> None:
    """In one line."""
    assert [["diode"]] == [line.split()[:1] for line in said(program, "--version").splitlines()]


def least(command: Any) -> list[str]:
    """Words for the arguments and options that a command cannot do without, but for its configuration."""
    words: list[str] = []
    for param in command.params:
        if param.required and param.name != "config":
            words += [] if param.param_type_name == "argument" else [param.opts[0]]
            words.append(value_for(param.type_descriptor.annotation))
    return words


def value_for(annotation: Any) -> str:
    """A word that a parameter of this type takes."""
    if get_origin(annotation) is list:
        return value_for(get_args(annotation)[0])
    return "1" if annotation in (int, float) else "x"


@pytest.mark.parametrize("words", READ_ONE, ids=" ".join)
def test_the_configuration_is_named_before_or_after_a_command(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each command of the daemons, and of those of ``diode`` that read one. Nothing of the command itself is run."""
    program, command, found = words[0], COMMANDS[words], list[Path]()
    in_front = program in OF_BOTH
    take: Any = (
        (lambda context: found.append(context.obj)) if in_front else (lambda **given: found.append(given["config"]))
    )
    monkeypatch.setattr(command, "invoke" if in_front else "callback", take)
    rest = [*words[1:], *least(command)]
    lines = [["-c", "y", *rest], [*rest, "-c", "y"], [*rest, "--config=y"]]
    for line in lines:
        GROUPS[program](placed(line, in_front=in_front), standalone_mode=False)
    assert [Path("y")] * len(lines) == found
