"""The child that is born ahead: it is there in time, holds nothing, and nobody depends on it."""

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
from diode.process import nursery
from diode.process.measure import process_tree
from sender.intake.examiner import examine_apart
from sender.intake.spare import Spare, Started
from tests.patience import wait_until
from tests.sender.intake.conftest import MakeCandidate

ROOT = Path(__file__).parents[3]


def pid_of(ahead: Spare) -> int:
    """Of the nursery."""
    assert ahead._nursery is not None
    return ahead._nursery.worker.pid


def children_of(ahead: Spare) -> set[int]:
    """Those that are there now. What its libraries run while they are loaded is no child: it is not confined."""
    return {pid for pid in process_tree(pid_of(ahead)) if pid != pid_of(ahead) and is_confined(pid)}


def the_child(ahead: Spare) -> int:
    """The one that waits, as soon as it is born."""
    wait_until(lambda: len(children_of(ahead)) == 1, "it is born")
    return children_of(ahead).pop()


def test_an_item_takes_it_and_another_takes_the_next(candidate: MakeCandidate) -> None:
    """One child an item, whether one was ready or not. None is left of it afterwards."""
    ahead, asked, used = Spare(), candidate({"a": b"text"}), set()

    def take() -> Started:
        started = ahead.take()
        used.add(the_child(ahead))
        return started

    for is_ready in (True, False, True):
        if is_ready:
            ahead.prepare()
        assert {"text": 1} == examine_apart(Rules(), asked, take).kinds
        wait_until(lambda: not children_of(ahead), "it has ended")
    assert 3 == len(used)
    ahead.close()


def test_preparing_twice_starts_one() -> None:
    """Nothing piles up, and nothing is left when it is closed."""
    before, ahead = sorted(os.listdir("/proc/self/fd")), Spare()
    ahead.prepare()
    first = the_child(ahead), pid_of(ahead)
    ahead.prepare()
    assert first == (the_child(ahead), pid_of(ahead))
    ahead.close()
    ahead.close()
    assert before == sorted(os.listdir("/proc/self/fd"))
    wait_until(lambda: not any(map(is_alive, first)), "both have ended")


@pytest.mark.parametrize("is_noticed", [True, False])
@pytest.mark.parametrize("who", ["child", "nursery"])
def test_one_that_died_is_replaced(candidate: MakeCandidate, who: str, is_noticed: bool) -> None:
    """By the next preparation, or when it is asked for."""
    before, ahead = sorted(os.listdir("/proc/self/fd")), Spare()
    ahead.prepare()
    dead = the_child(ahead)
    waiting = ahead._next
    assert waiting is not None
    os.kill(dead if who == "child" else pid_of(ahead), signal.SIGKILL)
    wait_until(lambda: waiting.has_ended, "it has ended")
    if is_noticed:
        ahead.prepare()
        assert waiting is not ahead._next
    assert {"text": 1} == examine_apart(Rules(), candidate({"a": b"text"}), ahead.take).kinds
    ahead.close()
    assert before == sorted(os.listdir("/proc/self/fd"))


def test_it_holds_nothing_of_other_items(candidate: MakeCandidate, tmp_path: Path) -> None:
    """Its descriptors are pipes and the socket that files will come by, whatever is open, and whoever lives beside."""
    ahead, asked = Spare(), candidate({"a": b"text"})
    with (tmp_path / "open").open("wb"):
        inheritable = os.open(tmp_path / "open", os.O_RDONLY)
        os.set_inheritable(inheritable, True)
        ahead.prepare()
        examine_apart(Rules(), asked, ahead.take)
        wait_until(lambda: not children_of(ahead), "the one of the item has ended")
        ahead.prepare()
        other = ahead.take()
        first = the_child(ahead)
        ahead.prepare()
        wait_until(lambda: len(children_of(ahead)) == 2, "the next is born, too")
        (child,) = children_of(ahead) - {first}
        wait_until(lambda: len(held_in(child)) == 4, "it has let go of all that is the nursery's")
        assert ["pipe"] * 3 + ["socket"] == sorted(link.partition(":")[0] for link in held_in(child))
        assert set(held_in(child)).isdisjoint(held_in(first))
        os.close(inheritable)
        other.close()
    ahead.close()


def held_in(pid: int) -> list[str]:
    """What the descriptors of a process lead to, standard error left out: it is where output goes, too."""
    held = []
    for fd in {*os.listdir(f"/proc/{pid}/fd")} - {"2"}:
        with suppress(FileNotFoundError):  # it may be closed meanwhile
            held.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return held


def is_confined(pid: int) -> bool:
    """Whether it has given up system calls."""
    with suppress(OSError):
        return "Seccomp:\t2" in Path(f"/proc/{pid}/status").read_text()
    return False


def is_alive(pid: int) -> bool:
    """Whether a process is there and runs."""
    try:
        return b"Z" not in Path(f"/proc/{pid}/stat").read_bytes().split()[2]
    except OSError:
        return False


def test_they_end_with_who_started_them(tmp_path: Path) -> None:
    """Also when that is killed and can tell nobody."""
    program = """
import time
from sender.intake.spare import Spare
from tests.sender.intake.test_spare import pid_of, the_child
ahead = Spare()
ahead.prepare()
print(the_child(ahead), pid_of(ahead), flush=True)
time.sleep(1000)
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children = [*map(int, parent.stdout.readline().split())]
        parent.kill()
    assert 2 == len(children)
    wait_until(lambda: not any(map(is_alive, children)), "they have ended")


def test_one_that_cannot_be_started(candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Preparing says nothing, since no item waits; whoever takes one is told."""

    def refuse(*_: object, **__: object) -> None:
        raise UsageError("no")

    gc.collect()  # what other tests left behind closes now, and not in between
    ahead, before = Spare(), sorted(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(nursery, "Worker", refuse)
    ahead.prepare()
    with pytest.raises(UsageError):
        examine_apart(Rules(), candidate({"a": b"text"}), partial(ahead.take))
    assert before == sorted(os.listdir("/proc/self/fd"))
