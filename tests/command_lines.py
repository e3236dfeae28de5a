"""Command lines as documentation shows them, held against the commands of this project: nothing is executed."""

import importlib
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any, get_args

import typer

ROOT = Path(__file__).parents[1]
PROGRAMS = {"diode": "diode.cli.main", "diode-sender": "sender.cli.main", "diode-receiver": "receiver.cli.main"}
ENDS = {"&", "&&", "|", ";", ">", ">>", "2>"}  # of a command in a line of the shell
_ASSIGNMENT = re.compile(r"([A-Z_]+)=(.*)", re.DOTALL)
_RULE = re.compile(r"^([a-z][a-z-]*):[^=].*\n((?:\t.*\n)*)", re.MULTILINE)


def problem_of(line: str, *, is_whole: bool = True) -> str | None:
    """What is wrong with a command line of ours; None: nothing, or it is not one of ours.

    Brackets mark what may be left out, ``a|b`` a choice, capitals a placeholder. A line that ``is_whole`` names all
    arguments that its command needs.
    """
    words = _words(line)
    if not words:
        return None
    name, rest = words[0].removeprefix(".venv/bin/"), words[1:]
    if name in PROGRAMS:
        return _problem_of_ours(name, rest, is_whole=is_whole)
    if name == "make":
        return _problem_of_make(rest)
    if name in ("python", "python3") and rest[:1] == ["-m"] and rest[1].startswith("tests."):
        return _problem_of_module(rest[1], rest[2:])
    return None


def _words(line: str) -> list[str]:
    bare = line.strip().removeprefix("$ ")
    while (inner := re.sub(r"\[(-[^\[\]]*)\]", r"\1", bare)) != bare:
        bare = inner
    lexer = shlex.shlex(bare, posix=True, punctuation_chars="&;>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words = list(lexer)
    end = next((n for n, word in enumerate(words) if word in ENDS), len(words))
    return words[:end]


@cache
def _command(name: str) -> Any:
    app = importlib.import_module(PROGRAMS[name]).app
    return typer.main.get_command(app) if isinstance(app, typer.Typer) else app


def _problem_of_ours(name: str, words: list[str], *, is_whole: bool) -> str | None:
    return _problem_below(_command(name), name, words, is_whole=is_whole)


def _problem_below(command: Any, path: str, words: list[str], *, is_whole: bool) -> str | None:
    """Go down the tree of commands, an option's values with it."""
    is_group = hasattr(command, "list_commands")
    options = {text: param for param in command.params for text in (*param.opts, *param.secondary_opts)}
    given, waiting = [], list(words)
    while waiting:
        word = waiting.pop(0)
        if word.startswith("-") and len(word) > 1:
            text, equals, value = word.partition("=")
            if text == "--help":
                continue
            if text not in options:
                return f"{path} has no option {text}"
            if not getattr(options[text], "is_flag", False):
                value = value if equals else waiting.pop(0) if waiting else ""
                if wrong := _problem_of_value(options[text], value):
                    return f"{path} {text}: {wrong}"
        elif is_group:
            return _problem_of_names(command, path, word, waiting, is_whole=is_whole)
        else:
            given.append(word)
    return None if is_group else _problem_of_arguments(command, path, given, is_whole=is_whole)


def _problem_of_names(group: Any, path: str, word: str, rest: list[str], *, is_whole: bool) -> str | None:
    known = set(group.list_commands(None))
    for name in word.split("|"):
        if name not in known:
            return f"{path} has no command {name}"
        if wrong := _problem_below(group.get_command(None, name), f"{path} {name}", rest, is_whole=is_whole):
            return wrong
    return None


def _problem_of_value(option: Any, value: str) -> str | None:
    """A value that is shown, and is no placeholder, is one of those that the option takes."""
    if not value:
        return "a value is missing"
    choices = _choices(option.type_descriptor.annotation)
    wrong = [] if not choices or value.isupper() else sorted(set(value.split("|")) - choices)
    return f"not one of its values: {', '.join(wrong)}" if wrong else None


def _choices(annotation: Any) -> set[str]:
    """Words of ``Literal``, also of one that may be left out."""
    inner = get_args(annotation)
    return {each for each in inner if isinstance(each, str)}.union(*map(_choices, inner)) if inner else set()


def _problem_of_arguments(command: Any, path: str, given: list[str], *, is_whole: bool) -> str | None:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    least = sum(max(1, param.nargs) for param in arguments if param.required)
    endless = any(param.nargs == -1 for param in arguments)
    if not endless and len([word for word in given if word != "..."]) > sum(param.nargs for param in arguments):
        return f"{path} takes fewer arguments: {' '.join(given)}"
    return f"{path} needs more arguments" if is_whole and len(given) < least else None


@cache
def make_targets() -> dict[str, str]:
    """The recipe of each target of the Makefile."""
    return dict(_RULE.findall((ROOT / "Makefile").read_text()))


def _problem_of_make(words: list[str]) -> str | None:
    """Targets have rules, variables are used in the Makefile, and ARGS suit the command that they are handed to."""
    given = {found[1]: found[2] for word in words if (found := _ASSIGNMENT.fullmatch(word))}
    targets = [word for word in words if not _ASSIGNMENT.fullmatch(word)]
    for target in targets:
        if target not in make_targets():
            return f"make has no target {target}"
    for variable in given:
        if not re.search(rf"\$\(({variable})\)|^{variable}\b", (ROOT / "Makefile").read_text(), re.MULTILINE):
            return f"make knows no {variable}"
    if "ARGS" not in given:
        return None
    recipes = [line.strip().lstrip("@") for target in targets for line in make_targets()[target].splitlines()]
    lines = [line.replace("$(BIN)/", "").replace("$(ARGS)", given["ARGS"]) for line in recipes if "$(ARGS)" in line]
    return next((wrong for line in lines if (wrong := problem_of(line))), None) if lines else "it takes no ARGS"


def _problem_of_module(name: str, words: list[str]) -> str | None:
    """A program of the tests is there, and reads the options that are shown."""
    place = ROOT.joinpath(*name.split("."))
    files = sorted(place.glob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    if not (place / "__main__.py").is_file() and not place.with_suffix(".py").is_file():
        return f"there is no {name}"
    text = "".join(file.read_text() for file in files)
    unknown = [word for word in words if word.startswith("--") and f'"{word.split("=")[0]}"' not in text]
    return f"{name} has no option {', '.join(unknown)}" if unknown else None
