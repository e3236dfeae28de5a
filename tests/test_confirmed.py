"""Each command that asks a person has ``--yes``, and does nothing where there is no terminal to ask on."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from diode.console.prompts import confirm
from diode.errors import UsageError
from tests.command_lines import PROGRAMS, ROOT

ASKS = {
    "diode sign",
    "diode-receiver drill rollback",
    "diode-receiver gc",
    "diode-receiver promote",
    "diode-receiver recall",
    "diode-receiver rollback",
    "diode-receiver trust install",
    "diode-sender approve",
    "diode-sender recall",
}


def asking_functions() -> Iterator[tuple[str, str]]:
    """Module and name of each public function that asks, itself or by a private one beside it."""
    for path in sorted(path for side in ("diode", "sender", "receiver") for path in (ROOT / side).rglob("*.py")):
        if "confirm(" in path.read_text() and path.name != "prompts.py":
            yield from ((path.stem, name) for name in _asking_in(path) if not name.startswith("_"))


def _asking_in(path: Path) -> set[str]:
    functions = [one for one in ast.parse(path.read_text()).body if isinstance(one, ast.FunctionDef)]
    calls = {one.name: {name for each in ast.walk(one) if (name := _called(each))} for one in functions}
    asking = {"confirm"}
    while more := {name for name, called in calls.items() if called & asking} - asking:
        asking |= more
    return asking - {"confirm"}


def _called(node: ast.AST) -> str:
    """The plain name that is called; empty: this is no such call."""
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


@cache
def commands() -> dict[str, Any]:
    """Every command of the three programs, by what is typed."""
    found: dict[str, Any] = {}

    def walk(command: Any, words: str) -> None:
        if hasattr(command, "list_commands"):
            for name in command.list_commands(None):
                walk(command.get_command(None, name), f"{words} {name}")
        else:
            found[words] = command

    for name, module in PROGRAMS.items():
        app = importlib.import_module(module).app
        walk(typer.main.get_command(app) if isinstance(app, typer.Typer) else app, name)
    return found


def is_asking(command: Any, functions: set[tuple[str, str]]) -> bool:
    """Whether the command's own code calls one of these."""
    source = inspect.getsource(inspect.unwrap(command.callback))
    return any(f"{module}.{name}(" in source or f"    {name}(" in source for module, name in functions)


def test_who_asks_has_yes() -> None:
    """And who has it, asks."""
    functions = set(asking_functions())
    with_yes = {words for words, one in commands().items() if any("--yes" in param.opts for param in one.params)}
    assert (ASKS, ASKS) == ({words for words, one in commands().items() if is_asking(one, functions)}, with_yes)


def test_without_a_terminal_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is done, and nothing is read from what is piped in."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(UsageError, match=r"nothing was done: .* with --yes nothing is asked"):
        confirm("really?", yes=False)
    confirm("really?", yes=True)
