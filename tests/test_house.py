"""How large a file, a class and a function may grow before it is split by idea (docs/contributing.md)."""

import ast
import statistics
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("diode", "sender", "receiver")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MOST_LINES = 400
MOST_FILES = {"diode": 3, "sender": 6, "receiver": 6}  # directly in the package
MOST_ATTRIBUTES = 14
MOST_METHODS = 25

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Class(NamedTuple):
    """How large a class is. ``name``: its file's, and its own."""

    name: str
    attributes: int
    methods: int


@cache
def sizes() -> tuple[list[int], list[Class]]:
    """(lines of each function, each class) of all files, whose trees would take hundreds of megabytes."""
    lines, classes = [], []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, Function):
                lines.append((node.end_lineno or node.lineno) - node.lineno + 1)
            elif isinstance(node, ast.ClassDef):
                classes.append(Class(f"{name_of(path)}: {node.name}", len(attributes(node)), len(methods(node))))
    return lines, classes


def methods(kind: ast.ClassDef) -> list[Function]:
    """What a class defines itself."""
    return [node for node in kind.body if isinstance(node, Function)]


def attributes(kind: ast.ClassDef) -> set[str]:
    """What its methods set on ``self``."""
    stored = [node for each in methods(kind) for node in ast.walk(each) if isinstance(node, ast.Attribute)]
    return {
        node.attr
        for node in stored
        if isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }


def name_of(path: Path) -> str:
    """As people name it."""
    return str(path.relative_to(ROOT))


def test_a_file_is_one_idea() -> None:
    """A file that needs more lines is two files."""
    assert [] == [name_of(path) for path in FILES if len(path.read_text().splitlines()) > MOST_LINES]


@pytest.mark.parametrize("package", PACKAGES)
def test_few_files_lie_at_the_top(package: str) -> None:
    """What belongs to a room lies in it."""
    assert len(list((ROOT / package).glob("*.py"))) <= MOST_FILES[package]


def test_a_class_is_one_idea() -> None:
    """A class that keeps more, or does more, is several."""
    _, classes = sizes()
    assert [] == [one for one in classes if one.attributes > MOST_ATTRIBUTES or one.methods > MOST_METHODS]


def test_functions_are_short() -> None:
    """Half of them in fewer than 8 lines, nine of ten in fewer than 25."""
    lines = sorted(sizes()[0])
    assert statistics.median(lines) < 8
    assert lines[len(lines) * 9 // 10] < 25
