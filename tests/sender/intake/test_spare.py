"""The child that is started ahead: it is there in time, holds nothing, and nobody depends on it."""

import gc
import os
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from diode.content.rules import Rules
from diode.errors import UsageError
from sender.intake import spare
from sender.intake.examiner import examine_apart
from sender.intake.spare import Spare
from tests.patience import wait_until
from tests.sender.intake.conftest import MakeCandidate

ROOT = Path(__file__).parents[3]


def pid_of(ahead: Spare) -> int:
    """Of the child that waits."""
    assert ahead._next is not None
    return ahead._next.worker.pid


def test_an_item_takes_it_and_another_takes_the_next(candidate: MakeCandidate) -> None:
    """One child an item, whether one was ready or not."""
    ahead, asked, used = Spare(), candidate({"a": b"text"}), []

    def take() -> spare.Started:
        used.append(ahead.take())
        return used[-1]

    for is_ready in (True, False, True):
        if is_ready:
            ahead.prepare()
        assert {"text": 1} == examine_apart(Rules(), asked, take).kinds
    assert 3 == len({child.worker.pid for child in used})
    assert all(child.worker.process.returncode == -signal.SIGKILL for child in used)
    ahead.close()


def test_preparing_twice_starts_one() -> None:
    """Nothing piles up, and nothing is left when it is closed."""
    before, ahead = sorted(os.listdir("/proc/self/fd")), Spare()
    ahead.prepare()
    first = pid_of(ahead)
    ahead.prepare()
    assert first == pid_of(ahead)
    ahead.close()
    ahead.close()
    assert before == sorted(os.listdir("/proc/self/fd"))
    assert not Path(f"/proc/{first}").exists()


@pytest.mark.parametrize("is_noticed", [True, False])
def test_one_that_died_is_replaced(candidate: MakeCandidate, is_noticed: bool) -> None:
    """By the next preparation, or when it is asked for."""
    before, ahead = sorted(os.listdir("/proc/self/fd")), Spare()
    ahead.prepare()
    dead = pid_of(ahead)
    os.kill(dead, signal.SIGKILL)
    os.waitid(os.P_PID, dead, os.WEXITED | os.WNOWAIT)
    if is_noticed:
        ahead.prepare()
        assert dead != pid_of(ahead)
    assert {"text": 1} == examine_apart(Rules(), candidate({"a": b"text"}), ahead.take).kinds
    ahead.close()
    assert before == sorted(os.listdir("/proc/self/fd"))


def test_it_holds_nothing_of_other_items(candidate: MakeCandidate, tmp_path: Path) -> None:
    """Its descriptors are pipes and the socket that files will come by, whatever is open when it is started."""
    ahead, asked = Spare(), candidate({"a": b"text"})
    with (tmp_path / "open").open("wb"):
        inheritable = os.open(tmp_path / "open", os.O_RDONLY)
        os.set_inheritable(inheritable, True)
        ahead.prepare()
        examine_apart(Rules(), asked, ahead.take)
        ahead.prepare()
        folder = f"/proc/{pid_of(ahead)}/fd"
        wait_until(lambda: "python" in os.readlink(f"/proc/{pid_of(ahead)}/exe"), "it has become a Python")
        wait_until(lambda: held_in(folder) <= {"pipe", "socket", "/dev/null"}, "it has loaded its libraries")
        os.close(inheritable)
    ahead.close()


def held_in(folder: str) -> set[str]:
    """What the descriptors in a process's folder of them lead to. One may be closed meanwhile."""
    held = set()
    for fd in os.listdir(folder):
        with suppress(FileNotFoundError):
            held.add(os.readlink(f"{folder}/{fd}").partition(":")[0])
    return held


def is_alive(pid: int) -> bool:
    """Whether a process is there and runs."""
    try:
        return b"Z" not in Path(f"/proc/{pid}/stat").read_bytes().split()[2]
    except OSError:
        return False


def test_it_ends_with_who_started_it(tmp_path: Path) -> None:
    """Also when that is killed and can tell nobody."""
    program = """
import os, sys, time
from sender.intake.spare import Spare
ahead = Spare()
ahead.prepare()
print(ahead._next.worker.pid, flush=True)
time.sleep(1000)
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    wait_until(lambda: not is_alive(child), "it has ended")


def test_one_that_cannot_be_started(candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Preparing says nothing, since no item waits; whoever takes one is told."""

    def refuse(*_: object, **__: object) -> None:
        raise UsageError("no")

    gc.collect()  # what other tests left behind closes now, and not in between
    ahead, before = Spare(), sorted(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(spare, "Worker", refuse)
    ahead.prepare()
    with pytest.raises(UsageError):
        examine_apart(Rules(), candidate({"a": b"text"}), partial(ahead.take))
    assert before == sorted(os.listdir("/proc/self/fd"))
