"""How other programs are started: which code they run, and what they may read of it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from diode.errors import UsageError
from diode.process import programs
from diode.process.programs import code_path, environment, module_of, python, readable_folders, written_by_others

ROOT = Path(__file__).parents[3]


def test_a_started_program_is_isolated() -> None:
    """It imports from Python's library and the named folders; nothing ran before it; none of them is relative."""
    start = python("this")
    code = "import json, sys; print(json.dumps([sys.path, sys.flags.isolated, sys.flags.no_site]))"
    command = [*start[:3], "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/", env=environment())
    path, isolated, no_site = json.loads(done.stdout)
    assert (1, 1) == (isolated, no_site)
    assert all(os.path.isabs(folder) for folder in [*path, *json.loads(start[5])])


def test_a_command_line_tells_its_module() -> None:
    """So that what a daemon uses can be told by worker."""
    assert "receiver.transport.listen" == module_of(python("receiver.transport.listen", "{}"))
    assert "" == module_of([sys.executable, "-c", "pass"])


@pytest.mark.parametrize("planted", ["", ".", "relative", "/"])
def test_workers_never_read_the_working_directory(planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor the folder of sources as a whole, in which keys may lie, nor the root."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [planted, *sys.path])
    folders = readable_folders()
    assert not {"", ".", "relative", "/", str(ROOT), sys.prefix, sys.base_prefix} & set(folders)
    assert {str(ROOT / name) for name in programs.PACKAGES} <= set(folders)


@pytest.mark.parametrize(("mode", "is_open"), [(0o755, False), (0o777, True), (0o1777, True), (0o757, True)])
def test_folders_that_others_write_are_told(tmp_path: Path, mode: int, is_open: bool) -> None:
    """Whoever can write into a folder of code decides what runs; a sticky bit only keeps others' files."""
    code = tmp_path / "code"
    code.mkdir()
    code.chmod(mode)
    assert (str(code) if is_open else "") == written_by_others(str(code))


@pytest.mark.parametrize(("mode", "is_open"), [(0o755, False), (0o1777, False), (0o777, True)])
def test_folders_above_count_as_well(tmp_path: Path, mode: int, is_open: bool) -> None:
    """Whoever can rename the folder above puts another in its place, unless the sticky bit forbids it."""
    above = tmp_path / "above"
    (above / "code").mkdir(parents=True)
    above.chmod(mode)
    (tmp_path / "link").symlink_to(above / "code")
    assert (str(above) if is_open else "") == written_by_others(str(tmp_path / "link"))


@pytest.mark.needs("root")
def test_a_group_of_others_counts_as_others(tmp_path: Path) -> None:
    """But not a user's own group."""
    tmp_path.chmod(0o775)
    os.chown(tmp_path, 4242, 4242)
    assert "" == written_by_others(str(tmp_path))
    os.chown(tmp_path, 4242, 4243)
    assert str(tmp_path) == written_by_others(str(tmp_path))


def test_code_that_others_can_write_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where our packages lie, or a library that is loaded, nothing starts; a folder nothing came from is left out."""
    unused, used = tmp_path / "unused", tmp_path / "used"
    for folder in (unused, used):
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
    monkeypatch.setattr(programs, "_sites", lambda: [str(unused)])
    assert [str(ROOT)] == code_path.__wrapped__()
    monkeypatch.setattr(programs, "_sites", lambda: [str(used)])
    monkeypatch.setattr(json, "__file__", str(used / "library.py"))
    with pytest.raises(UsageError, match="can be written by others"):
        code_path.__wrapped__()


def test_sources_that_others_can_write_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout in a folder of mode 1777 with open packages is refused."""
    (tmp_path / "diode").mkdir()
    (tmp_path / "diode").chmod(0o777)
    monkeypatch.setattr(programs, "_root", lambda: str(tmp_path))
    with pytest.raises(UsageError, match="chmod go-w"):
        code_path.__wrapped__()


def test_the_environment_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixed search path, and of the caller's variables those that are asked for by name."""
    monkeypatch.setenv("PATH", "/tmp")
    monkeypatch.setenv("PYTHONPATH", "/tmp")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    assert programs.ENVIRONMENT == environment()
    assert programs.ENVIRONMENT | {"CREDENTIALS_DIRECTORY": "/run/credentials/x", "A": "b"} == environment(
        "CREDENTIALS_DIRECTORY", "MISSING", A="b"
    )
