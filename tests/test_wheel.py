"""What the wheel carries besides code: the pages and the units, where a command finds them, and the compiled core."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.diode.core.stubs import fake_rustc

ROOT = Path(__file__).parents[1]
HATCHLING = Path(sys.executable).with_name("hatchling")
CORE = "diode/core/libdiode_core.so"


def run(*words: str | Path, **around: str) -> str:
    """What a command prints."""
    environment = {**os.environ, **around}
    return subprocess.run(words, check=True, capture_output=True, text=True, cwd=ROOT, env=environment).stdout


def relative(folder: Path) -> list[str]:
    """All files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def build(into: Path, **around: str) -> Path:
    """The wheel that hatchling builds of these sources."""
    run(HATCHLING, "build", "-t", "wheel", "-d", into, **around)
    (wheel,) = into.glob("*.whl")
    return wheel


@pytest.mark.long
def test_pages_and_units_are_installed(tmp_path: Path) -> None:
    """``pip install`` of the wheel puts all of ``docs`` where ``diode docs`` says."""
    wheel = build(tmp_path, DIODE_CORE="off")
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


@pytest.mark.long
@pytest.mark.needs("rustc")
def test_with_rustc_a_wheel_carries_the_core(tmp_path: Path) -> None:
    """It is of this machine's kind, the same bytes each time, and what is installed from it has a core that loads."""
    wheel, again = (build(tmp_path / name, DIODE_CORE="require") for name in ("one", "two"))
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert wheel.name.endswith(f"-py3-none-{platform}.whl")
    assert wheel.read_bytes() == again.read_bytes()
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
        assert archive.namelist().count(CORE) == 1
    code = "from diode.core.library import load; print(load()._name, load().diode_core_features())"
    said = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path / "installed"
    ).stdout
    assert said.startswith(str(tmp_path / "installed" / CORE))


@pytest.mark.parametrize("script", ["exit 1", "echo 'error: no linker' >&2; exit 1"])
def test_where_rustc_fails_a_wheel_has_none(tmp_path: Path, script: str) -> None:
    """It is of every kind, and the build says why in one line."""
    path = f"{fake_rustc(tmp_path / 'bin', script)}:/usr/bin:/bin"
    around = {**os.environ, "PATH": path, "DIODE_CORE": "auto"}
    command: list[str | Path] = [HATCHLING, "build", "-t", "wheel", "-d", tmp_path]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=around)
    assert 1 == (done.stdout + done.stderr).count("without the compiled core: rustc fails")
    (wheel,) = tmp_path.glob("*-py3-none-any.whl")
    with ZipFile(wheel) as archive:
        assert CORE not in archive.namelist()


def test_required_a_wheel_is_not_built_without(tmp_path: Path) -> None:
    """``DIODE_CORE=require`` makes a compiler that fails an error."""
    path = f"{fake_rustc(tmp_path / 'bin', 'exit 1')}:/usr/bin:/bin"
    with pytest.raises(subprocess.CalledProcessError):
        build(tmp_path, PATH=path, DIODE_CORE="require")
    assert not list(tmp_path.glob("*.whl"))
