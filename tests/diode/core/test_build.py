"""How the library is built: in place where its sources are newer, and never to anybody's harm."""

import os
import shutil
from pathlib import Path

import pytest

from diode.core import build
from tests.diode.core.stubs import fake_rustc, stub

HOUR_NS = 3600 * 10**9


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the core with sources and no library, in which builds happen."""
    folder = tmp_path / "core"
    shutil.copytree(build.HERE / "src", folder / "src")
    monkeypatch.setattr(build, "HERE", folder)
    monkeypatch.setattr(build, "LIBRARY", folder / build.LIBRARY.name)
    monkeypatch.delenv("DIODE_CORE", raising=False)
    return folder


def pretend(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Let rustc be a script; nothing else is on PATH but what scripts need."""
    monkeypatch.setenv("PATH", f"{fake_rustc(folder, script)}:/usr/bin:/bin")


def copying(tmp_path: Path) -> str:
    """A script that writes a library where rustc would, and is as quick as a test wants."""
    made = stub(tmp_path / "made.so")
    return f'while [ $# -gt 0 ]; do [ "$1" = -o ] && cp {made} "$2"; shift; done'


def test_a_newer_source_is_built_again(core: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is built once, and again when a source is touched."""
    pretend(monkeypatch, tmp_path / "bin", copying(tmp_path))
    assert not build.build_in_place()
    first = build.LIBRARY.stat()
    assert not build.build_in_place()
    assert first == build.LIBRARY.stat()
    os.utime(core / "src" / "lib.rs", ns=(first.st_mtime_ns + HOUR_NS,) * 2)
    assert not build.build_in_place()
    assert first.st_ino != build.LIBRARY.stat().st_ino
    assert [build.LIBRARY.name, "src"] == sorted(os.listdir(core))


def test_no_rustc_is_one_line(core: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rustc there is no library, and a reason."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "rustc is not installed" == build.build_in_place()
    assert not build.LIBRARY.exists()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'error: linker not found' >&2; exit 1", "rustc fails: error: linker not found"),
        ("exit 7", "rustc fails: exit 7"),
        ("exit 0", "cannot open shared object file"),
        ('echo text; while [ $# -gt 0 ]; do [ "$1" = -o ] && echo no > "$2"; shift; done', "file too short"),
    ],
)
def test_a_failing_rustc_fails_nothing(
    core: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str
) -> None:
    """It is a reason, and a library of older sources does not stay."""
    build.LIBRARY.write_bytes(b"older")
    os.utime(build.LIBRARY, (0, 0))
    pretend(monkeypatch, tmp_path / "bin", script)
    assert why in build.build_in_place()
    assert ["src"] == os.listdir(core)


def test_required_is_an_error(core: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who requires the core is told that there is none."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DIODE_CORE", "require")
    with pytest.raises(OSError, match="rustc is not installed"):
        build.build_in_place()


def test_off_builds_nothing(core: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wants none waits for no compiler."""
    pretend(monkeypatch, tmp_path / "bin", copying(tmp_path))
    monkeypatch.setenv("DIODE_CORE", "off")
    assert "DIODE_CORE is off" == build.build_in_place()
    assert not build.LIBRARY.exists()


def test_another_word_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """``DIODE_CORE`` is never a path."""
    monkeypatch.setenv("DIODE_CORE", "/lib/other.so")
    with pytest.raises(ValueError, match="type DIODE_CORE=auto, DIODE_CORE=off or DIODE_CORE=require"):
        build.wanted()


@pytest.mark.long
@pytest.mark.needs("rustc")
def test_the_same_bytes_wherever_it_is_built(core: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two places give the same library, and it names no place of this machine."""
    build.build(tmp_path / "one.so")
    other = tmp_path / "another" / "place"
    shutil.copytree(core, other)
    monkeypatch.setattr(build, "HERE", other)
    build.build(other / "two.so")
    built = (tmp_path / "one.so").read_bytes()
    assert built == (other / "two.so").read_bytes()
    for place in (tmp_path, Path.home(), Path(os.environ.get("RUSTUP_HOME", Path.home() / ".rustup"))):
        assert str(place).encode() + b"/" not in built
