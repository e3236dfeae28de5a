"""What CI judges once more, and what it does not."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.alone import MOST, main

RACES = """
import pathlib, pytest
@pytest.mark.{mark}
def test_fails_the_first_time():
    mark = pathlib.Path({mark_file!r})
    was_there = mark.exists()
    mark.touch()
    assert {holds}
"""


def run(folder: Path, source: str) -> Path:
    """A run of pytest over one file, and its cache."""
    (folder / "conftest.py").write_text("from tests.alone import pytest_sessionfinish\n")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    long\n    quick\n")
    (folder / "test_it.py").write_text(source)
    cache = folder / "cache"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-o", f"cache_dir={cache}", str(folder)]
    subprocess.run(command, check=False, capture_output=True, cwd=Path(__file__).parents[1])
    return cache


@pytest.mark.long
@pytest.mark.parametrize(
    ("mark", "holds", "verdict"), [("long", "was_there", 0), ("long", "False", 1), ("quick", "was_there", 1)]
)
def test_what_passes_alone_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str, holds: str, verdict: int
) -> None:
    """A long test that raced passes; one that fails again fails, and so does any other at its first failure."""
    cache = run(tmp_path, RACES.format(mark=mark, mark_file=str(tmp_path / "mark"), holds=holds))
    monkeypatch.chdir(tmp_path)
    assert verdict == main(cache)


def test_many_are_not_judged_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More failures than a few are the project's."""
    marks = f"@pytest.mark.long\n@pytest.mark.parametrize('n', range({MOST + 1}))"
    source = f"import pytest\n{marks}\ndef test_it(n): assert False\n"
    cache = run(tmp_path, source)
    monkeypatch.chdir(tmp_path)
    assert 1 == main(cache)


def test_a_run_cut_short_is_not_judged_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not run cannot have passed."""
    source = "import pytest\n@pytest.mark.long\ndef test_it(): assert False\ndef test_end(): pytest.exit('cut')\n"
    cache = run(tmp_path, source)
    monkeypatch.chdir(tmp_path)
    assert 1 == main(cache)
