"""What the demonstration sends must be what a sender takes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from diode.cli.options import share_of
from diode.content.judge import Judge
from diode.content.rules import Rules
from diode.errors import UsageError
from diode.lab import demo
from tests.patience import PATIENCE_S, wait_until


@pytest.mark.long
def test_library_holds_nothing_that_intake_refuses(tmp_path: Path) -> None:
    """Python's library has pickles and links in it; they stay behind, and most of it does not."""
    demo._copy_library(tmp_path / "library")
    files = [path for path in (tmp_path / "library").rglob("*") if path.is_file()]
    assert len(files) > 500
    assert not any(path.is_symlink() for path in files)
    names = [str(path.relative_to(tmp_path / "library")) for path in files]
    judge = Judge(Rules(), names, sum(path.stat().st_size for path in files))
    for name, path in zip(names, files, strict=True):
        with path.open("rb") as file:
            assert judge.look(file, path.stat().st_size, name).trouble is None, name


@pytest.fixture
def started(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The demonstration of a file that takes seconds to cross, once its processes run."""
    (tmp_path / "file").write_bytes(b"x" * (60 << 20))
    command = [sys.executable, "-m", "diode.cli.main", "demo", "--files", str(tmp_path / "file"), "--rate", "5M"]
    (tmp_path / "made").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "made")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as demo:
        assert demo.stdout is not None
        assert "1 bundle(s)" in demo.stdout.readline()
        wait_until(lambda: bool(child_with(demo.pid, "sender.cli.main")), "the sender runs")
        yield demo
        demo.kill()


def child_with(parent: int, words: str) -> int:
    """The process among the children of ``parent`` whose command line has these words; 0: there is none yet."""
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if words in Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "):
            return int(pid)
    return 0


@pytest.mark.long
def test_a_signal_leaves_nothing_behind(started: subprocess.Popen[str], tmp_path: Path) -> None:
    """Neither folders nor processes."""
    link = child_with(started.pid, "diode.cli.main link")
    started.terminate()
    assert 128 + signal.SIGTERM == started.wait(PATIENCE_S)
    assert [] == os.listdir(tmp_path / "made")
    assert not Path(f"/proc/{link}").exists()


@pytest.mark.long
def test_a_diode_that_dies_ends_it_at_once(started: subprocess.Popen[str]) -> None:
    """It says so, and claims nothing of what did not arrive."""
    link = child_with(started.pid, "diode.cli.main link")
    assert link
    os.kill(link, signal.SIGKILL)
    said, _ = started.communicate(timeout=PATIENCE_S)
    assert 1 == started.returncode
    assert "the diode was killed by signal 9" in said
    assert "every slab" not in said


@pytest.mark.parametrize("text", ["5", "100", "1.01", "-1", "-5%", "101%", "nan", "inf", "x", ""])
def test_what_is_no_share_is_refused(text: str) -> None:
    """A bare number above 1 most of all: it was taken for so many times all datagrams."""
    with pytest.raises(UsageError):
        share_of(text)


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0.5", 0.5), ("1", 1.0), ("100%", 1.0), ("0", 0.0)])
def test_a_share_is_read(text: str, share: float) -> None:
    """Per cent, or a part of one."""
    assert share == share_of(text)


def test_a_rate_is_needed(tmp_path: Path) -> None:
    """Nothing holds a sender back on loopback."""
    with pytest.raises(UsageError, match="outruns"):
        demo.run_demo(files=None, loss=0.0, mtu=1500, rate=0, keep=tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
