"""What the wheel carries besides code: the pages and the units, where a command finds them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*words: str | Path, **around: str) -> str:
    """What a command prints."""
    environment = {**os.environ, **around}
    return subprocess.run(words, check=True, capture_output=True, text=True, cwd=ROOT, env=environment).stdout


def relative(folder: Path) -> list[str]:
    """All files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.long
def test_pages_and_units_are_installed(tmp_path: Path) -> None:
    """``pip install`` of the wheel puts all of ``docs`` where ``diode docs`` says."""
    run(Path(sys.executable).with_name("hatchling"), "build", "-t", "wheel", "-d", tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, "--prefix", tmp_path / "installed", "--ignore-installed", wheel)
    (packages,) = (tmp_path / "installed").glob("lib/python*/site-packages")
    said = run(tmp_path / "installed" / "bin" / "diode", "docs", PYTHONPATH=str(packages))
    docs, units = (Path(line.split(maxsplit=1)[1]) for line in said.splitlines())
    assert docs.is_relative_to(tmp_path)
    tracked = run("git", "ls-files", "-z", "docs").split("\0")[:-1] if (ROOT / ".git").exists() else []
    assert set(tracked) <= {f"docs/{path}" for path in relative(docs)}
    assert relative(ROOT / "docs" / "systemd") == relative(units)
    assert (docs.parent / "README.md").read_text() == (ROOT / "README.md").read_text()
