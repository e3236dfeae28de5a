"""What the pages claim names the test that shows it, and that test exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "SECURITY.md"])
_NAMED = re.compile(r"(?:\b(tests/(?!fuzz/targets/NAME)[\w/-]+(?:\.(?:py|rs))?)|(?=::test_))(?:::(\w+))?")


@cache
def named_in(path: Path) -> frozenset[str]:
    """Names of the tests of a file."""
    nodes = ast.walk(ast.parse(path.read_bytes()))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_tests_exist(page: Path) -> None:
    """A page names no test, and no folder of tests, that is not there; ``::name`` alone is of the file named last."""
    wrong, last = [], ""
    for place, name in _NAMED.findall(page.read_text()):
        last = place or last
        path = ROOT / last
        if not path.exists() or (name and (path.is_dir() or name not in named_in(path))):
            wrong.append(f"{last}::{name}" if name else last)
    assert [] == wrong


@pytest.mark.parametrize("page", ["threat-model.md", "security.md"])
def test_each_threat_names_its_test(page: str) -> None:
    """Each row of a table of threats or claims names a test or a command, or says by '-' that nothing shows it."""
    tables = re.findall(
        r"(?m)^\| (?:threat|claim|value|kind of attack) .*\n\|[-| ]+\n((?:\|.*\n)+)", (ROOT / "docs" / page).read_text()
    )
    rows = [row for table in tables for row in table.splitlines()]
    shown = re.compile(r"`(?:tests/|make |diode )|\| - \|$|the same")
    assert rows
    assert [] == [row for row in rows if not shown.search(row)]
