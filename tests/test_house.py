"""How large a file, a class and a function may grow before it is split by idea (docs/contributing.md)."""

import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("diode", "sender", "receiver")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MOST_LINES = 400
MOST_FILES = {"diode": 3, "sender": 6, "receiver": 6}  # directly in the package
MOST_ATTRIBUTES = 14
MOST_METHODS = 25

Function = ast.FunctionDef | ast.AsyncFunctionDef


def parsed(path: Path) -> ast.Module:
    """One file."""
    return ast.parse(path.read_bytes())


def classes(path: Path) -> list[ast.ClassDef]:
    """All classes of a file."""
    return [node for node in ast.walk(parsed(path)) if isinstance(node, ast.ClassDef)]


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


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_is_one_idea(path: Path) -> None:
    """A file that needs more lines is two files."""
    assert len(path.read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("package", PACKAGES)
def test_few_files_lie_at_the_top(package: str) -> None:
    """What belongs to a room lies in it."""
    assert len(list((ROOT / package).glob("*.py"))) <= MOST_FILES[package]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_class_is_one_idea(path: Path) -> None:
    """A class that keeps more, or does more, is several."""
    for kind in classes(path):
        assert len(attributes(kind)) <= MOST_ATTRIBUTES, kind.name
        assert len(methods(kind)) <= MOST_METHODS, kind.name


def test_functions_are_short() -> None:
    """Half of them in fewer than 8 lines, nine of ten in fewer than 25."""
    found = [node for path in FILES for node in ast.walk(parsed(path)) if isinstance(node, Function)]
    lines = sorted((node.end_lineno or node.lineno) - node.lineno + 1 for node in found)
    assert statistics.median(lines) < 8
    assert lines[len(lines) * 9 // 10] < 25
